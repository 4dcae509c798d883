"""Budgets for `model.generate` of transformers, and for what is built on it: a logits processor around the same controllers.

    budget = BudgetProcessor(Rules(Pieces(tokenizer, eos), budget, texts))
    model.generate(**prompts, logits_processor=LogitsProcessorList([budget]))

Greedy answers are those of the project's own loop. A sampler draws behind this processor, so that nothing can be put in the place
of what it drew: it acts where the likeliest token would end the thinking, and else the sampler cannot draw what ends it.
"""

import torch
from transformers import LogitsProcessor

from pretrain.generation.forcing import Forcing, Rules, Spent


class BudgetProcessor(LogitsProcessor):
    """All rows of one call; a call that begins anew begins with new budgets. Beams cannot be held to one."""

    def __init__(self, rules: Rules):
        self.rules = rules
        self._prompt = self._length = 0
        self._rows: list[_Row] = []

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """(row, position) and (row, vocabulary), as generate() calls it."""
        rows, length = input_ids.shape
        if rows != len(self._rows) or length != self._length + 1:
            self._prompt, self._rows = length, [_Row(self.rules) for _ in range(rows)]
        self._length = length
        scores = scores.clone()  # type: ignore[assignment]
        likeliest = scores.argmax(dim=-1).tolist()
        for number, generated in enumerate(input_ids[:, self._prompt :].tolist()):
            self._rows[number].rule(generated, scores[number], likeliest[number])
        return scores

    def spent(self, sequences: torch.LongTensor) -> list[Spent]:
        """Of each row of what generate() returned."""
        return [row.finish(ids) for row, ids in zip(self._rows, sequences[:, self._prompt :].tolist(), strict=True)]


class _Row:
    def __init__(self, rules: Rules):
        self._eos = rules.pieces.eos
        self._forcing = Forcing(rules)
        self._forced: list[int] = []
        self._before: list[int] = []

    def rule(self, generated: list[int], scores: torch.Tensor, likeliest: int) -> None:
        """Leaves one token in the scores, or takes those out that must not be drawn."""
        if generated[:-1] != self._before:
            raise ValueError("a row does not go on where it was: beams cannot be held to a budget; generate with num_beams=1")
        self._before = generated
        if generated and generated[-1] in self._eos:
            return  # padding, until the other rows are done
        if not self._forced:
            refused = self._forcing.forbidden(generated)
            if likeliest in refused:
                scores[sorted(refused)] = -torch.inf
                likeliest = int(scores.argmax())
            stands = list(self._forcing.replaced(generated, likeliest))
            if stands == [likeliest]:
                scores[sorted({*refused, *self._forcing.endings()} - {likeliest})] = -torch.inf
                return
            self._forced = stands
        token = self._forced.pop(0)
        scores[:] = -torch.inf
        scores[token] = 0.0

    def finish(self, generated: list[int]) -> Spent:
        ends = [place for place, token in enumerate(generated) if token in self._eos]
        return self._forcing.finish(generated[: ends[0] + 1] if ends else generated)
