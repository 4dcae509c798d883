"""Keys of the pages in recipes/sweep: one page planned many times, each time with other values."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from recipes.schema.base import Name, Strict

Metric = Literal["validation", "bits_per_byte", "loss", "documents", "tokens"]
SweepValue = (
    int | float | bool | str | dict[str, object] | list[object]
)  # a string is written as behind `key=` on the command line


def _as_list(given: object) -> object:
    return [given] if isinstance(given, dict) else given


# axis: values, or a string in Hydra's grammar (range(1,5), choice(a,b)). Every value of one axis meets every one of the others.
Grid = dict[Name, Annotated[list[SweepValue], Field(min_length=1)] | Name]


class Sweep(Strict):
    """Points are those of `points`, or of the grid, or of both multiplied. A list of grids is their union. An axis called `seed`
    repeats points, and so do points that differ in a seed alone: results are then means with their spread."""

    name: Name  # as it is asked for: sweep/NAME, or the page that the command line sweeps; of a file elsewhere its own
    page: Name
    overrides: list[Name] = []  # of every point
    points: dict[Name, list[Name]] = {}  # name: its overrides
    grid: Annotated[list[Grid], BeforeValidator(_as_list)] = []
    ends: list[Name] = []  # which of the page's ends are compared: branches, or stages that are exported; []: all
    control: Name | None = None  # the point that others are compared with; None: the first one
    metrics: list[Metric] = []  # []: held-out losses of a train page, documents and tokens of a curate page
