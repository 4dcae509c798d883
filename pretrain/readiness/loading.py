"""Whether the libraries that RL is done with take a checkpoint: each is really tried where it is installed, in a process of its
own, so that none leaves memory behind or takes the card with it.

transformers loads and generates, with no weight missing; vLLM loads and generates; verl's own readers take the tokenizer and the
generation config (its training needs Ray and is not tried); TRL does one step of GRPO at a learning rate of zero.

As a module: `python -m pretrain.readiness.loading KIND FOLDER DTYPE`, whose last line of output is what it found.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pretrain.readiness.verdicts import Check

SECONDS = 1800.0
TEXT = "1 + 1 ="
NUM_TOKENS = 8
LONGEST = 300  # characters of an error that are told


def check(kind: str, checkpoint: Path, dtype: str) -> Check:
    try:
        number = version(kind)
    except PackageNotFoundError:
        return Check("not measured", "not installed")
    command = [sys.executable, "-m", "pretrain.readiness.loading", kind, str(checkpoint), dtype]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled", "TOKENIZERS_PARALLELISM": "false"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return Check("fail", f"{kind} {number} did not end within {SECONDS:.0f} s")
    said, complained = _last_line(done.stdout), _last_line(done.stderr)
    if done.returncode:
        return Check("fail", f"{kind} {number}: {complained or f'exit status {done.returncode}'}")
    return Check("pass", f"{kind} {number}: {said}")


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip()[:LONGEST] if lines else ""


# ---------------------------------------------------------------------------------------------------- in the process


def with_transformers(folder: str, dtype: str) -> str:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), output_loading_info=True)
    wrong = [
        f"{what}: {', '.join(sorted(map(str, info[what]))[:3])}" for what in ("missing_keys", "mismatched_keys") if info[what]
    ]
    if wrong:
        raise ValueError(f"weights and config.json do not fit: {'; '.join(wrong)}")
    inputs = AutoTokenizer.from_pretrained(folder)(TEXT, return_tensors="pt", return_token_type_ids=False).to(device)
    given = model.to(device).generate(**inputs, max_new_tokens=NUM_TOKENS, do_sample=False)
    return f"loaded and generated {given.shape[1] - inputs['input_ids'].shape[1]} tokens"


def with_vllm(folder: str, dtype: str) -> str:
    from vllm import LLM, SamplingParams

    given = LLM(model=folder, dtype=dtype, max_model_len=64, enforce_eager=True).generate(
        [TEXT], SamplingParams(temperature=0.0, max_tokens=NUM_TOKENS)
    )
    return f"loaded and generated {len(given[0].outputs[0].token_ids)} tokens"


def with_verl(folder: str, dtype: str) -> str:
    from verl.utils import hf_tokenizer
    from verl.utils.model import get_generation_config

    tokenizer, generation = hf_tokenizer(folder), get_generation_config(folder)
    ends = generation.eos_token_id if isinstance(generation.eos_token_id, list) else [generation.eos_token_id]
    if tokenizer.eos_token_id not in ends:
        raise ValueError(f"it stops at {ends}, and its tokenizer ends a text with {tokenizer.eos_token_id}")
    return f"read tokenizer and generation config, and stops at {ends}; its training was not tried"


def with_trl(folder: str, dtype: str) -> str:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import GRPOConfig, GRPOTrainer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    with tempfile.TemporaryDirectory() as made:
        settings = GRPOConfig(
            output_dir=made,
            max_steps=1,
            per_device_train_batch_size=2,
            num_generations=2,
            max_completion_length=NUM_TOKENS,
            learning_rate=0.0,
            optim="sgd",
            report_to=[],
            save_strategy="no",
            use_cpu=not torch.cuda.is_available(),
            bf16=False,
            disable_tqdm=True,
        )
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=lambda completions, **_: [float(number) for number, _ in enumerate(completions)],
            args=settings,
            train_dataset=Dataset.from_list([{"prompt": TEXT}] * 2),
        )
        steps = trainer.train().global_step
    return f"did {steps} step of GRPO"


KINDS: dict[str, Callable[[str, str], str]] = {
    "transformers": with_transformers,
    "vllm": with_vllm,
    "verl": with_verl,
    "trl": with_trl,
}


def main(arguments: Sequence[str]) -> int:
    kind, folder, dtype = arguments
    try:
        said = KINDS[kind](folder, dtype)
    except Exception as error:
        sys.stderr.write(f"\n{type(error).__name__}: {' '.join(str(error).split())}\n")
        return 1
    sys.stdout.write(f"\n{said}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
