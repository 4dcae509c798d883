"""transformers as the engine: runs anywhere, on a GPU if there is one.

The decoding loop is ours, because `model.generate` draws all rows of a batch from one stream of random numbers, so that an answer
would depend on what is asked beside it; greedy answers are the same as its own. What is left is rounding: another batch size may
round a logit otherwise, which moves an answer only where two tokens are as good as equal.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.utils.logging import disable_progress_bar, set_verbosity_error

from pretrain.generation.controller import Control
from pretrain.generation.draw import check_numbers, draw
from pretrain.generation.engine import Asked, Output, Sampling
from pretrain.generation.row import Row
from pretrain.generation.text_ends import ends_of_text, seam
from recipes import schema


class TransformersEngine:
    def __init__(self, checkpoint: Path, engine: schema.Engine, serving: schema.Serving, threads: int):
        disable_progress_bar()
        set_verbosity_error()
        torch.set_num_threads(threads)
        self.batch_size = serving.batch_size
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
        self.model: Any = load_model(checkpoint, getattr(torch, engine.dtype)).to(self.device)
        self.max_positions = int(self.model.config.max_position_embeddings)
        self.eos = ends_of_text(self.model.generation_config, self.tokenizer)

    def generate(self, asked: Sequence[Asked], sampling: Sampling, control: Control | None = None) -> list[Output]:
        rows = [self._row(question, sampling, control) for question in asked]
        waiting = [row for row in rows if row.finish is None]
        waiting.sort(key=lambda row: len(row.prompt))  # neighbours in length need the least padding
        with torch.inference_mode():
            for start in range(0, len(waiting), self.batch_size):
                self._write(waiting[start : start + self.batch_size], sampling)
        return [row.output(self.tokenizer) for row in rows]

    def _row(self, asked: Asked, sampling: Sampling, control: Control | None) -> Row:
        ids = self.encode(asked.prompt)
        if not ids:
            raise ValueError("an empty prompt cannot be asked: this tokenizer puts no token before a text")
        limit = min(sampling.max_tokens, self.max_positions - len(ids))
        return Row(ids, limit, asked.seed, control(asked) if control else None)

    def encode(self, text: str) -> list[int]:
        """As the tokenizer begins a text: with its first token, if it has one."""
        return list(self.tokenizer(text)["input_ids"])

    def _write(self, rows: list[Row], sampling: Sampling) -> None:
        """Answers of one batch; those that are finished leave it."""
        tokens, seen = padded([row.prompt for row in rows], self.device)
        cache = DynamicCache(config=self.model.config)
        while rows:
            positions = (seen.cumsum(dim=-1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
            logits = self.model(
                input_ids=tokens,
                attention_mask=seen,
                position_ids=positions,
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).logits[:, -1]  # (row, vocab)
            drawn = draw(logits, [row.uniform() for row in rows], [row.forbidden() for row in rows], sampling)
            for row, token, entropy in zip(rows, *drawn, strict=True):
                row.take(token, entropy)
                row.look_for_end(self.tokenizer, self.eos, sampling.stop)
            left = [number for number, row in enumerate(rows) if row.finish is None]
            if len(left) < len(rows):
                rows = [rows[number] for number in left]
                chosen = torch.tensor(left, dtype=torch.long, device=self.device)
                cache.batch_select_indices(chosen)
                seen = seen[chosen]
            tokens = torch.tensor([[row.generated[-1]] for row in rows], dtype=torch.long, device=self.device)
            seen = torch.cat([seen, seen.new_ones(len(rows), 1)], dim=-1)

    def log_likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[float | None]:
        cases = [self._case(prompt, continuation) for prompt, continuation in pairs]
        order = [number for number, (ids, _) in enumerate(cases) if len(ids) <= self.max_positions]
        order.sort(key=lambda number: len(cases[number][0]))
        found: list[float | None] = [None] * len(cases)
        with torch.inference_mode():
            for start in range(0, len(order), self.batch_size):
                batch = order[start : start + self.batch_size]
                for number, value in zip(batch, self._sums([cases[number] for number in batch]), strict=True):
                    found[number] = value
        return found

    def _case(self, prompt: str, continuation: str) -> tuple[list[int], int]:
        """Ids of both, and how many at the end are the continuation's."""
        both = self.encode(prompt + continuation)
        return both, len(both) - seam(self.encode(prompt), both)

    def _sums(self, cases: list[tuple[list[int], int]]) -> Iterator[float]:
        tokens, seen = padded([ids for ids, _ in cases], self.device)
        positions = (seen.cumsum(dim=-1) - 1).clamp(min=0)
        longest = max(number for _, number in cases)
        logits = self.model(
            input_ids=tokens, attention_mask=seen, position_ids=positions, use_cache=False, logits_to_keep=longest + 1
        ).logits[:, :-1]  # (row, longest, vocab)
        for row, (_, number) in enumerate(cases):
            logs = logits[row, -number:].float().log_softmax(dim=-1)
            told = logs.gather(-1, tokens[row, -number:, None]).double().sum()
            check_numbers(told)
            yield float(told)

    def close(self) -> None:
        """Gives its memory back."""
        self.model = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def load_model(checkpoint: Path, dtype: torch.dtype) -> Any:
    """In evaluation mode. transformers fills weights that a folder lacks with random numbers and only warns: refused here."""
    model, told = AutoModelForCausalLM.from_pretrained(
        checkpoint,
        dtype=dtype,
        attn_implementation="sdpa",
        local_files_only=True,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # told below, with the names
    )
    for what in ("missing_keys", "mismatched_keys", "unexpected_keys"):
        if told.get(what):
            names = ", ".join(sorted(str(name) for name in told[what])[:5])
            raise ValueError(f"{checkpoint} is not the model that its config.json describes: {what.replace('_', ' ')} {names}")
    return model.eval()


def padded(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids (row, position), padded on the left with what attention does not see, and the mask of what it sees."""
    longest = max(len(row) for row in rows)
    tokens = torch.zeros(len(rows), longest, dtype=torch.long)
    seen = torch.zeros(len(rows), longest, dtype=torch.long)
    for number, row in enumerate(rows):
        tokens[number, longest - len(row) :] = torch.tensor(row, dtype=torch.long)
        seen[number, longest - len(row) :] = 1
    return tokens.to(device), seen.to(device)
