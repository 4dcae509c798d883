"""The table that mix search begins from: a row a proxy run, its blend, and what it came to.

Read from the finished points of a sweep, from finished training stages of one name, or from a CSV or JSONL file. Runs of one
table differ in blend and seed alone.
"""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from recipes.manifest import read_summary
from recipes.stage import Stage, is_finished, read_stage
from slurm.leaves import flat

DIGITS = 6  # of a share: two blends that agree in them are one blend
BLEND = "blend."  # of a column that holds the share of a source
LOSS = "loss"  # of such a column, or of those below it, low is good
NO_TARGETS = ("name", "seed")


@dataclass(frozen=True)
class Table:
    """`shares` (runs, sources) sum to 1 by row; `targets` hold a figure a run. Rows of one blend differ by their seed alone.
    `stages` made the runs; none where the table was read from a file. `unfinished`: points of a sweep that are left out."""

    names: list[str]
    sources: list[str]
    shares: np.ndarray
    targets: dict[str, np.ndarray]
    stages: list[Stage] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)

    @property
    def blend_of_run(self) -> np.ndarray:
        """(runs,) numbers of distinct blends, in the order in which they come first."""
        numbers: dict[tuple[float, ...], int] = {}
        return np.array([numbers.setdefault(tuple(row), len(numbers)) for row in self.shares.round(DIGITS).tolist()])

    @property
    def are_losses(self) -> bool:
        """Low is good of all targets: what runs have measured on held-out text, and columns `loss` and `loss.NAME` of a file."""
        return bool(self.stages) or all(name.partition(".")[0] == LOSS for name in self.targets)

    @property
    def has_repeats(self) -> bool:
        return len(self.names) > int(self.blend_of_run.max()) + 1

    @property
    def most_repeated(self) -> np.ndarray:
        """(sources,) the blend that most runs have, the first of them: where sampling has put its repeats."""
        blends = self.blend_of_run
        return np.asarray(self.shares[int(np.argmax(blends == np.bincount(blends).argmax()))])

    def shares_of(self, blend: dict[str, float]) -> np.ndarray:
        """(sources,) a blend in the table's order."""
        unknown = [name for name in blend if name not in self.sources]
        if unknown:
            raise ValueError(f"the runs have no source {unknown[0]!r}; they have {', '.join(self.sources)}")
        return np.array([blend.get(source, 0.0) for source in self.sources])

    def blend(self, shares: np.ndarray) -> dict[str, float]:
        return {source: float(share) for source, share in zip(self.sources, shares)}


def read_table(given: str, root: Path, wanted: Sequence[str] = ()) -> Table:
    """`given`: a sweep (sweep/NAME or its .yaml file), a file of .csv or .jsonl, or PAGE/STAGE, whose finished runs under `root`
    are read. `wanted`: the targets that are asked for; (): all."""
    path = Path(given)
    if path.suffix in (".csv", ".jsonl"):
        if not path.is_file():
            raise ValueError(f"{given}: there is no such file")
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file)) if path.suffix == ".csv" else [json.loads(line) for line in file if line.strip()]
        return _from_rows(given, rows, wanted)
    if given.startswith("sweep/") or path.suffix in (".yaml", ".yml"):
        table = _from_sweep(given)
    else:
        table = table_of(given, _stages_named(given, root))
    _refuse_unknown(wanted, list(table.targets))
    return table


def _refuse_unknown(wanted: Sequence[str], targets: Sequence[str]) -> None:
    for name in wanted:
        if name not in targets:
            raise ValueError(f"--target {name}: the runs have no {name!r}; they have {', '.join(targets)}")


# ---------------------------------------------------------------------------------------------------- files


def _from_rows(given: str, rows: Sequence[dict[str, Any]], wanted: Sequence[str]) -> Table:
    """Columns `blend.SOURCE` are shares; `name` and `seed` are names; all else are targets: those that are wanted, or all that
    are not text. JSONL may nest them: {"blend": {"web": 0.7, "qa": 0.3}, "loss": {"web": 2.1}}."""
    leaves = [flat(row) for row in rows]
    columns = list(dict.fromkeys(column for row in leaves for column in row))
    sources = [column.removeprefix(BLEND) for column in columns if column.startswith(BLEND)]
    others = [column for column in columns if not column.startswith(BLEND) and column not in NO_TARGETS]
    _refuse_unknown(wanted, others)
    targets = list(wanted) or [column for column in others if not _is_text([row.get(column) for row in leaves])]
    if not sources or not targets:
        raise ValueError(
            f"{given} has the columns {', '.join(columns) or 'none'}; it needs a share of each source ({BLEND}SOURCE) and at "
            "least one column of a loss or score"
        )
    shares = [
        [_figure(given, i, BLEND + source, row.get(BLEND + source, 0.0)) for source in sources] for i, row in enumerate(leaves)
    ]
    figures = {target: [_figure(given, i, target, row.get(target)) for i, row in enumerate(leaves)] for target in targets}
    names = [str(row.get("name") or f"run {i}") for i, row in enumerate(leaves, 1)]
    return _table(given, names, sources, shares, figures)


def _is_text(values: Sequence[Any]) -> bool:
    """Words in every row: a note, a date, a checkpoint's path. A column of figures with one that is broken is none."""
    return all(isinstance(value, str) and value and not _is_number(value) for value in values)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _figure(given: str, row: int, column: str, value: Any) -> float:
    try:
        figure = float(0.0 if value == "" and column.startswith(BLEND) else value)
    except (TypeError, ValueError):
        figure = float("nan")
    if not np.isfinite(figure):
        raise ValueError(f"{given}, run {row + 1}: {column}={value!r} is no finite number; mend it or leave the run out")
    return figure


# ---------------------------------------------------------------------------------------------------- finished stages


def _stages_named(given: str, root: Path) -> dict[str, Stage]:
    page, _, name = given.rpartition("/")
    folders = sorted(file.parent for file in (root / page).glob(f"{name}-*/recipe.yaml")) if page and name else []
    stages = [read_stage(folder) for folder in folders if is_finished(folder)]
    runs = {stage.folder.name: stage for stage in stages if stage.do == "train" and stage.name == name}
    if not runs:
        raise ValueError(
            f"{given}: no finished training run of that name under {root}; make some with `midtrain mix sample {page or 'PAGE'}` "
            "and `midtrain sweep`, or name a sweep, or a file of .csv or .jsonl"
        )
    return runs


def _from_sweep(given: str) -> Table:
    from slurm.sweep.plan import plan_sweep

    runs: dict[str, Stage] = {}
    unfinished = []
    for planned in plan_sweep(given).points:
        if len(planned.ends) != 1:
            raise ValueError(
                f"{given}: point {planned.point.name!r} ends in {len(planned.ends)} runs; a blend has one: take one branch"
            )
        end = next(iter(planned.ends.values()))
        if end.is_finished:
            runs[planned.point.name] = read_stage(end.folder)
        else:
            unfinished.append(planned.point.name)
    if not runs:
        raise ValueError(f"{given}: no point is finished; make them with: midtrain sweep {given} --run")
    return replace(table_of(given, runs), unfinished=unfinished)


def table_of(given: str, named: Mapping[str, Stage]) -> Table:
    """Of finished training stages, by the names that the runs are to have. `given` is what an error calls them."""
    names, runs = list(named), list(named.values())
    _refuse_other_differences(given, runs)
    manifests = [read_summary(stage.folder) for stage in runs]
    sources = list(dict.fromkeys(source for stage in runs for source in stage.params["blend"]))
    shares = [[stage.params["blend"].get(source, 0.0) for source in sources] for stage in runs]
    measured = [manifest["details"]["validation"] for manifest in manifests]
    targets = {target: [record[target] for record in measured] for target in measured[0]}
    if not targets:
        raise ValueError(f"{given}: these runs have measured nothing held out; give their page `validation: {{NAME: DATASET}}`")
    return replace(_table(given, names, sources, shares, targets), stages=runs)


def _refuse_other_differences(given: str, runs: Sequence[Stage]) -> None:
    """Runs of one table differ in blend and seed alone, and read the same data."""
    known = _asked(runs[0])
    for stage in runs[1:]:
        asked = _asked(stage)
        datasets = {key for key in {*known, *asked} if key.startswith("input dataset/")}  # of which a blend may have others
        for key in sorted({*known, *asked} - (datasets - (known.keys() & asked.keys()))):
            if asked.get(key) != known.get(key):
                raise ValueError(
                    f"{given}: {runs[0].folder.name} has {key}={known.get(key)}, {stage.folder.name} has {asked.get(key)}: runs "
                    "of one table differ in blend and seed alone; keep each question's under a root of its own (root=…, --root)"
                )
        known |= asked


def _asked(stage: Stage) -> dict[str, Any]:
    params = {key: value for key, value in stage.params.items() if key not in ("blend", "seed")}
    return flat(params) | {f"input {role}": entry.identity for role, entry in stage.inputs.items()}


def _table(
    given: str, names: list[str], sources: list[str], shares: Sequence[Sequence[float]], targets: Mapping[str, Iterable[float]]
) -> Table:
    table = Table(names, sources, np.array(shares, dtype=float), {name: np.array(list(v)) for name, v in targets.items()})
    for name, row in zip(names, table.shares):
        if abs(row.sum() - 1.0) > 1e-3 or row.min() < 0:
            raise ValueError(f"{given}, {name}: shares {table.blend(row)} sum to {row.sum():.4g}, not 1")
    table.shares[:] /= table.shares.sum(axis=1, keepdims=True)
    return table
