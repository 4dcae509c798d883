"""The parity gate: is the folder that was written the model that was trained?"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

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


def compare(gpt: "GPTModel", folder: Path, tokenizer: Path, params: ExportParams) -> dict[str, Any]:
    """Largest absolute logit differences by case, whether the tokenizer is the same, and a greedy continuation."""
    disable_progress_bar()
    set_verbosity_error()
    exported = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()
    original = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    cases = {}
    for positions in sorted({min(SHORT, params.model.max_position_embeddings), min(LONG, params.model.max_position_embeddings)}):
        cases[f"random_{positions}"] = _difference(gpt, exported, _random_tokens(params.model.vocab_size, positions))
        cases[f"text_{positions}"] = _difference(gpt, exported, _text_tokens(original, positions))
    written = AutoTokenizer.from_pretrained(folder)
    ids = [written.encode(text, add_special_tokens=False) for text in TEXTS]
    prompt = torch.tensor([ids[0]])
    with torch.no_grad():
        answer = exported.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            min_new_tokens=NUM_GENERATED,
            max_new_tokens=NUM_GENERATED,
            do_sample=False,
            pad_token_id=0,
        )
    return {
        "dtype": params.dtype,
        "max_difference": max(cases.values()),
        "cases": cases,
        "tokenizer_agrees": ids == [original.encode(text, add_special_tokens=False).ids for text in TEXTS],
        "tokenizer_lossless": [written.decode(tokens) for tokens in ids] == list(TEXTS),
        "generated": answer[0, prompt.shape[1] :].tolist(),
    }


def _difference(gpt: "GPTModel", exported: Any, tokens: torch.Tensor) -> float:
    with torch.no_grad():
        trained = gpt(tokens, torch.arange(tokens.shape[1])[None], None)
        return float((trained - exported(input_ids=tokens, use_cache=False).logits).abs_().max())


def _random_tokens(vocab_size: int, positions: int) -> torch.Tensor:
    return torch.randint(vocab_size, (1, positions), generator=torch.Generator().manual_seed(SEED))


def _text_tokens(tokenizer: Tokenizer, positions: int) -> torch.Tensor:
    ids = tokenizer.encode(" ".join(TEXTS), add_special_tokens=False).ids
    return torch.tensor([(ids * (positions // len(ids) + 1))[:positions]])
