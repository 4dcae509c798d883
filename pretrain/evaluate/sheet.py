"""A benchmark ready to be asked: its items, its worked examples, and what they become together."""

from collections.abc import Sequence
from dataclasses import dataclass

from pretrain.evaluate.items import Item, read_items, read_shots
from pretrain.generation.engine import seed_of
from pretrain.generation.prompts import LETTERS, TEMPLATES, Shot, prompt
from recipes.schema.evaluation import Benchmark
from recipes.stage import Stage


@dataclass(frozen=True)
class Sheet:
    """`shots`: different questions, one more than is asked for, so that an item that is among them has enough others."""

    name: str
    benchmark: Benchmark
    items: Sequence[Item]
    shots: Sequence[Shot]

    @property
    def stop(self) -> tuple[str, ...]:
        own = self.benchmark.stop
        return TEMPLATES[self.benchmark.template].stop if own is None else tuple(own)

    @property
    def fewest_shots(self) -> int:
        """That an item was given: the file may have no other in place of the item itself."""
        return min(len(self._shots(item)) for item in self.items)

    def _shots(self, item: Item) -> Sequence[Shot]:
        others = [shot for shot in self.shots if shot.question != item.question]
        return others[: self.benchmark.shots.number if self.benchmark.shots else 0]

    def prompt(self, item: Item) -> str:
        shots = self._shots(item)
        if self._shows_choices:
            return prompt(self.benchmark.template, item.question, shots, item.choices)
        return prompt(self.benchmark.template, item.question, [Shot(s.question, s.solution, s.answer) for s in shots])

    def continuations(self, item: Item) -> list[str]:
        """What may stand behind the prompt, of which the likeliest is taken."""
        if self._shows_choices:
            return [f" {letter}" for letter in LETTERS[: len(item.choices)]]
        return [f" {choice}" for choice in item.choices]

    @property
    def _shows_choices(self) -> bool:
        """Choices that are compared as texts are not shown, or the model would copy one."""
        return self.benchmark.grade != "log_likelihood" or self.benchmark.template == "letters"


def open_sheet(stage: Stage, name: str, benchmark: Benchmark) -> Sheet:
    """ValueError names the benchmark, and what is wrong with its file."""
    seed = seed_of(stage.params["seed"], name)
    try:
        items = read_items(stage.input(f"benchmark/{name}"), benchmark, seed)
    except ValueError as error:
        raise ValueError(f"evaluation.benchmarks.{name}.path: {error}") from None
    if benchmark.shots is None:
        return Sheet(name, benchmark, items, ())
    try:
        return Sheet(name, benchmark, items, read_shots(stage.input(f"shots/{name}"), benchmark.shots, seed))
    except ValueError as error:
        raise ValueError(f"evaluation.benchmarks.{name}.shots: {error}") from None
