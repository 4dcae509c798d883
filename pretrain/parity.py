"""The parity gate: is the folder that was written the model that was trained?"""

import gc
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from recipes.schema import ExportParams

if TYPE_CHECKING:
    from megatron.core.models.gpt.gpt_model import GPTModel

SHORT, LONG = 64, 4096  # positions
SEED = 0
NUM_GENERATED = 8
TEXTS = (
    "Let $f(x) = x^2 - 4x + 7$. Find the minimum of $f$ over the real numbers, and say where it is attained.",
    "Completing the square gives $(x-2)^2 + 3$, so the minimum is 3, at $x = 2$. Therefore, the answer is $\\boxed{3}$.",
    "A train leaves at 9:15 and covers 210 km in 2 hours 48 minutes; what is its average speed in km/h?",
)


def compare(load: "Callable[[], GPTModel]", folder: Path, tokenizer: Path, params: ExportParams) -> dict[str, Any]:
    """Largest absolute logit differences by case, whether the tokenizer is the same, and a greedy continuation. One model is in
    memory at a time: the trained one's logits wait on the disk (4 GB for a Llama)."""
    quieten()
    original = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    cases = {}
    for positions in sorted({min(SHORT, params.model.max_position_embeddings), min(LONG, params.model.max_position_embeddings)}):
        cases[f"random_{positions}"] = _random_tokens(params.model.vocab_size, positions)
        cases[f"text_{positions}"] = _text_tokens(original, positions)
    with tempfile.TemporaryDirectory(prefix=".logits", suffix=".tmp", dir=folder) as scratch:
        files = {name: Path(scratch) / name for name in cases}
        compute_logits(load, cases, files)
        exported = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
        differences = {name: difference(files[name], exported, tokens) for name, tokens in cases.items()}
    written = AutoTokenizer.from_pretrained(folder)
    ids = [written.encode(text, add_special_tokens=False) for text in TEXTS]
    first_id = params.model.vocab_size - params.model.added_rows
    special = [written.encode(token, add_special_tokens=False) for token in params.special_tokens]
    return {
        "dtype": params.dtype,
        "max_difference": largest(differences),
        "cases": differences,
        "tokenizer_agrees": ids == [original.encode(text, add_special_tokens=False).ids for text in TEXTS]
        and special == [[number] for number in range(first_id, first_id + len(special))],
        "tokenizer_lossless": [written.decode(tokens) for tokens in ids] == list(TEXTS),
        "generated": _continue(exported, ids[0]),
    }


def quieten() -> None:
    """transformers tells nothing but errors."""
    disable_progress_bar()
    set_verbosity_error()


def compute_logits(load: "Callable[[], GPTModel]", cases: dict[str, torch.Tensor], files: dict[str, Path]) -> None:
    """Writes each case's logits as float32, position by position, and lets the model go."""
    gpt = load()
    with torch.no_grad():
        for name, tokens in cases.items():
            gpt(tokens, torch.arange(tokens.shape[1])[None], None)[0].numpy().tofile(files[name])
    del gpt
    gc.collect()  # Megatron's modules refer to each other in circles


def difference(trained: Path, exported: Any, tokens: torch.Tensor) -> float:
    """The largest between a file of `compute_logits` and a transformers model. NaN where either has one."""
    with torch.no_grad():
        logits = exported(input_ids=tokens, use_cache=False).logits[0]  # (position, vocab)
    largest = torch.zeros(())
    with open(trained, "rb") as file:
        for portion in logits.split(SHORT):
            theirs = torch.from_numpy(np.fromfile(file, dtype=np.float32, count=portion.numel())).view_as(portion)
            largest = torch.maximum(largest, (theirs - portion).abs_().max())
    return float(largest)


def largest(differences: dict[str, float]) -> float:
    """NaN where any case has one: Python's `max` would keep it only where it comes first."""
    return float(np.max(list(differences.values())))


def _continue(exported: Any, prompt: list[int]) -> list[int]:
    tokens = torch.tensor([prompt])
    with torch.no_grad():
        answer = exported.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            min_new_tokens=NUM_GENERATED,
            max_new_tokens=NUM_GENERATED,
            do_sample=False,
            pad_token_id=0,
        )
    generated: list[int] = answer[0, len(prompt) :].tolist()
    return generated


def _random_tokens(vocab_size: int, positions: int) -> torch.Tensor:
    return torch.randint(vocab_size, (1, positions), generator=torch.Generator().manual_seed(SEED))


def _text_tokens(tokenizer: Tokenizer, positions: int) -> torch.Tensor:
    ids = tokenizer.encode(" ".join(TEXTS), add_special_tokens=False).ids
    return torch.tensor([(ids * (positions // len(ids) + 1))[:positions]])
