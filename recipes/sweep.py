"""A sweep page, or a page with Hydra's own sweep overrides (`a=1,2`, `range()`, `choice()`), becomes points: the page again and
again, each time with other overrides. Nothing is planned here."""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, ValueType
from hydra.errors import HydraException
from pydantic import ValidationError

from recipes.load import RECIPES, explain, pages
from recipes.schema import Sweep, SweepValue, nearest

DISCRETE = (ValueType.SIMPLE_CHOICE_SWEEP, ValueType.CHOICE_SWEEP, ValueType.RANGE_SWEEP)
MAX_POINTS = 1000
POINT = "point"  # the axis of the names that a page gives


@dataclass(frozen=True)
class Point:
    """`values`: the swept ones alone, by axis. Points that differ in a `seed` alone have the same `group` and `values`."""

    name: str
    group: str
    values: dict[str, str]
    seeds: dict[str, str]
    overrides: tuple[str, ...]


def sweeps() -> list[str]:
    """All sweep pages: "sweep/NAME"."""
    return [f"sweep/{file.stem}" for file in sorted((RECIPES / "sweep").glob("*.yaml"))]


def load_sweep(name: str, overrides: Iterable[str] = ()) -> Sweep:
    """A sweep page, by its name or its file's path; or a page, which the overrides sweep. Overrides go to every point; one of a
    swept axis takes that axis' place. Raises ValueError for what is unknown or no sweep."""
    content: dict[str, Any]
    if name in pages():
        content = {"name": name, "page": name}
    elif name in sweeps():
        content = {"name": name, **_read(RECIPES / f"{name}.yaml")}
    elif name.endswith((".yaml", ".yml")) and Path(name).is_file():
        content = {"name": Path(name).stem, **_read(Path(name))}
    else:
        raise ValueError(f"there is no sweep, page or .yaml file {name!r}; {nearest(name, [*sweeps(), *pages()])}")
    try:
        return _with(Sweep.model_validate(content), overrides)
    except ValidationError as error:
        raise ValueError(f"sweep {name}: {explain(error)}") from None


def _read(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{file} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or "name" in content:
        raise ValueError(f"{file} is no sweep page: write `page:` and a `grid:` or `points:`; its name is its file's")
    return content


def _with(sweep: Sweep, overrides: Iterable[str]) -> Sweep:
    """The sweep with the overrides of the command line."""
    fixed, grids = list(sweep.overrides), [dict(grid) for grid in sweep.grid]
    for override in overrides:
        key, parsed = _parse(override)
        taken = [point for point, own in sweep.points.items() if key in [_parse(one)[0] for one in own]]
        if taken:
            raise ValueError(f"{override}: the points of this sweep differ in {key}, which {taken[0]!r} sets itself")
        if not parsed.is_sweep_override():
            grids = [{axis: values for axis, values in grid.items() if axis != key} for grid in grids]
            fixed.append(override)
        elif any(key in grid for grid in grids):
            values = _elements(override, parsed)
            grids = [{axis: values if axis == key else old for axis, old in grid.items()} for grid in grids]
        else:
            grids = [{**grid, key: _elements(override, parsed)} for grid in grids or [{}]]
    return sweep.model_copy(update={"overrides": fixed, "grid": grids})


def points_of(sweep: Sweep) -> list[Point]:
    """In the page's order; the last axis changes first."""
    if not sweep.points and not any(sweep.grid):
        raise ValueError(f"{sweep.name} sweeps nothing: give an override several values (key=1,2), or write points or a grid")
    grids = [{key: _values(key, given) for key, given in grid.items()} for grid in sweep.grid] or [{}]
    labels = _labels(list(dict.fromkeys(key for grid in grids for key in grid)))
    if len(sweep.points or [""]) * sum(math.prod(map(len, grid.values())) for grid in grids) > MAX_POINTS:
        raise ValueError(f"{sweep.name} has more than {MAX_POINTS:,} points; sweep fewer values")
    found: dict[str, Point] = {}
    for name, own in sweep.points.items():
        _refuse_sweeps(name, own)
    firsts = _firsts(sweep.points)
    for name, grid in itertools.product(sweep.points or [""], grids):
        for chosen in itertools.product(*grid.values()):
            point = _point(sweep, name, firsts.get(name, ""), dict(zip(grid, chosen, strict=True)), labels)
            if point.name in found:
                raise ValueError(f"{sweep.name}: the point {point.name!r} is there twice; take one of its values out")
            found[point.name] = point
    groups = [point.group for point in found.values()]
    if sweep.control is not None and sweep.control not in groups:
        raise ValueError(f"{sweep.name}: control={sweep.control!r} is no point; {nearest(sweep.control, groups)}")
    return list(found.values())


def _firsts(points: dict[str, list[str]]) -> dict[str, str]:
    """By name, the first point that differs from it in a seed alone: the one that it repeats, or itself."""
    firsts: dict[tuple[str, ...], str] = {}
    return {
        name: firsts.setdefault(tuple(override for override in own if not _is_seed(_parse(override)[0])), name)
        for name, own in points.items()
    }


def _point(sweep: Sweep, name: str, first: str, chosen: dict[str, str], labels: dict[str, str]) -> Point:
    values = {labels[key]: value for key, value in chosen.items() if not _is_seed(key)}
    seeds = {labels[key]: value for key, value in chosen.items() if _is_seed(key)}
    group, repeat = ([f"{label}={value}" for label, value in of.items()] for of in (values, seeds))
    return Point(
        name=" ".join([name, *group, *repeat]).strip() or sweep.page,
        group=" ".join([first, *group]).strip() or sweep.page,
        values=({POINT: first} if first else {}) | values,
        seeds=seeds,
        overrides=(*sweep.overrides, *sweep.points.get(name, []), *(f"{key}={value}" for key, value in chosen.items())),
    )


def _is_seed(key: str) -> bool:
    return key.rpartition(".")[2].rpartition(":")[2] == "seed"


def _labels(keys: list[str]) -> dict[str, str]:
    """Axes by the ends of their keys, as short as they stay different: stages.decay.lr.peak is `peak`."""
    labels = {}
    for key in keys:
        parts = key.replace(":", ".").split(".")
        others = [other.replace(":", ".").split(".") for other in keys if other != key]
        length = next(n for n in range(1, len(parts) + 1) if n == len(parts) or all(o[-n:] != parts[-n:] for o in others))
        labels[key] = ".".join(parts[-length:])
    return labels


# ---------------------------------------------------------------------------------------------------- Hydra's grammar


def _values(key: str, given: list[SweepValue] | str) -> list[str]:
    """Of an axis, as they are written behind `key=`."""
    if isinstance(given, str):
        parsed = _parse(f"{key}={given}")[1]
        if not parsed.is_sweep_override():
            raise ValueError(f"grid.{key}={given} is one value; write a list, range(…) or choice(…)")
        given = _elements(f"{key}={given}", parsed)
    written = [_written(value) for value in given]
    several = next((text for text in written if _parse(f"{key}={text}")[1].is_sweep_override()), None)
    if several is not None:
        raise ValueError(f"grid.{key}: {several!r} is several values; put each into the list by itself")
    return written


def _written(value: Any) -> str:
    """A YAML value in Hydra's grammar; a string is there already."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_written(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_written(item) for item in value) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _elements(override: str, parsed: Override) -> list[SweepValue]:
    """Of a sweep override, each value as it is written behind `key=`."""
    if parsed.value_type not in DISCRETE:
        raise ValueError(
            f"{override}: {parsed.value_type.name.lower()} is not for sweeps; write a,b or choice(a,b) or range(1,5)"
        )
    found: list[SweepValue] = [str(text) for text in parsed.sweep_string_iterator()]
    if not found:
        raise ValueError(f"{override}: there is no value in this range; write range(start,stop,step)")
    return found


def _parse(override: str) -> tuple[str, Override]:
    """The key, with the page it is for (`demo_web:seed`), and what Hydra's grammar says of the rest."""
    page, colon, rest = override.partition(":")
    prefix = f"{page.lstrip('~+')}:" if colon and "=" not in page else ""
    try:
        parsed = OverridesParser.create().parse_override(rest if prefix else override)
    except HydraException:
        raise ValueError(f"cannot read the override {override!r}; write it as key=value (Hydra's grammar)") from None
    return prefix + parsed.key_or_group, parsed


def _refuse_sweeps(name: str, overrides: list[str]) -> None:
    several = next((override for override in overrides if _parse(override)[1].is_sweep_override()), None)
    if several is not None:
        raise ValueError(f"points.{name}: {several} is several values; a point has one, and `grid` has axes")
