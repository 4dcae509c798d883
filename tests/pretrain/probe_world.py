"""A tiny checkpoint and problems whose answer is always the same, which GRPO can learn in a few steps."""

import json
import signal
from pathlib import Path
from typing import Any

from world import CLUSTER

from pretrain.probe import stage as probe_stage
from recipes.outside import identity, matching
from recipes.schema.probe import Probe
from recipes.schema.prove import Engine, Serving
from recipes.stage import Input, Stage, read_stage, write_stage

ANSWER = "7"
PROBE: dict[str, Any] = {
    "problems": "problems.jsonl",
    "template": "simple",
    "steps": 10,  # after which it is saved, too
    "questions": 4,
    "rollouts": 8,
    "updates": 2,
    "learning_rate": 3e-2,
    "max_tokens": 2,
    "reward": {"extract": "last_number"},
    "held_out": {"problems": 24, "samples": 2},
}


def make_checkpoint(folder: Path) -> Path:
    """A Llama of two layers with random weights, that knows the ten digits and a few words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM

    words = ["<|begin|>", "<|end|>", "?", "Question", "Answer", ":", "what", "is", "plus", *map(str, range(10))]
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), pre_tokenizers.WhitespaceSplit()])
    tokenizer.add_special_tokens(["<|begin|>", "<|end|>"])
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|begin|>", "eos_token": "<|end|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        bos_token_id=0,
        eos_token_id=1,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def make_problems(file: Path, number: int = 60) -> Path:
    rows = [{"id": f"p{at}", "question": f"what is {at // 10} plus {at % 10}", "answer": ANSWER} for at in range(number)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def make_stage(root: Path, name: str, checkpoint: Path, problems: Path, arm: str = "answer", run: int = 1, **keys: Any) -> Stage:
    probe = Probe.model_validate(PROBE | keys)
    params = {"seed": 5, "engine": Engine(dtype="float32").model_dump(), **probe.of_a_run(), "arm": arm, "run": run}
    named = {"checkpoint": str(checkpoint), "problems": str(problems)}
    inputs = {role: Input(location, identity(matching(location))) for role, location in named.items()}
    settings = {"cluster": CLUSTER, "serving": Serving(batch_size=16).model_dump()}
    stage = Stage("prove/tiny", name, "pretrain", "probe", 1, params, inputs, settings, "0" * 12, root / name)
    write_stage(stage)
    return read_stage(stage.folder)


def run(stage: Stage) -> None:
    """In this process, which keeps its own handlers of signals."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)}
    try:
        probe_stage.run(stage)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
