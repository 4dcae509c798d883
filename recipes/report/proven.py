"""The checkpoints that a prove page asks: their names, and the one colour that each has wherever it stands on the page."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, cycle

from recipes.report.record import Record
from recipes.report.training import NUM_COLOURS, Checkpoint

KINDS = ("readiness", "evaluate", "probe")  # of stages that a section tells of


def checkpoint_of(record: Record) -> str:
    """Its name on the page: readiness_long, evaluate_long and probe_long_answer_1 ask "long"."""
    name = record.stage.removeprefix(f"{record.do}_")
    if record.do != "probe":
        return name
    return name.removesuffix(f"_{record.at('details', 'probe', 'arm')}_{record.at('details', 'probe', 'run')}")


def colours_of(records: Sequence[Record], exports: Sequence[Checkpoint] = ()) -> dict[str, int]:
    """By name. An export has the colour of the branch it comes from, others those that no branch has."""
    made_by = {checkpoint_of(record): record.inputs.get("checkpoint") for record in records if record.do in KINDS}
    of_branch = {export.record.made: export.colour for export in exports}
    free = _free(set(of_branch.values()))
    return {name: of_branch[made] if made in of_branch else next(free) for name, made in made_by.items()}


def colour_keys(colours: Mapping[str, int], names: Sequence[str]) -> list[tuple[int, str]]:
    """(colour, name) of each, as a legend has them."""
    return [(colours.get(name, 0), name) for name in names]


def _free(taken: set[int]) -> Iterator[int]:
    every = range(1, NUM_COLOURS + 1)
    return chain((colour for colour in every if colour not in taken), cycle(every))
