"""How a dataset's documents score, as histograms by tenths: from counts over all of them, or from a few files of features."""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from markupsafe import Markup

from recipes.report.bars import histogram_svg
from recipes.report.record import Record

SCORE = "_score"
MAX_FILES = 4  # of features read a stage, drawn by its fingerprint: the page must not wait for thousands of shards


def histograms(records: Sequence[Record]) -> list[tuple[str, Markup]]:
    """(heading, plot) of each score of one dataset. Counted ones are of the documents that the filter judged, those of features
    of all that came to its stage."""
    drawn, counted = [], {key for record in records for key in record.tree("counts", "scores")}
    for record in records:
        asked_by = [other for other in records if record.made in other.inputs.values()] if record.do == "features" else [record]
        measured = {key: found for key, found in _measured(record).items() if key not in counted}
        for key, (bins, of) in {**_counted(record), **measured}.items():
            what = key.replace("_", " ")
            mark = next((asked for other in asked_by if (asked := _asked(other, key)) is not None), None)
            shown = [(i / 10, (i + 1) / 10, bins.get(i, 0)) for i in range(10)]
            plot = histogram_svg(shown, title=f"{what} of {of}", x_label=what, mark=mark)
            drawn.append((f"{record.stage}: {what} of {of}", plot))
    return drawn


def _counted(record: Record) -> dict[str, tuple[dict[int, int], str]]:
    found = {}
    for key in record.tree("counts", "scores"):
        bins: dict[int, int] = {}
        for low, documents in record.numbers("counts", "scores", key).items():
            try:
                bins[round(float(low) * 10)] = int(documents)
            except ValueError:
                continue  # no tenth of a score: not ours to draw
        if bins:
            found[key] = bins, "all documents judged, kept or not"
    return found


def _measured(record: Record) -> dict[str, tuple[dict[int, int], str]]:
    if record.do != "features":
        return {}
    files = sorted(str(row["path"]) for row in record.rows("outputs") if str(row.get("path")).endswith(".parquet"))
    there = [record.folder / path for path in files if (record.folder / path).is_file()]
    some = random.Random(str(record.at("fingerprint"))).sample(there, min(MAX_FILES, len(there)))
    of = "all documents" if len(some) == len(files) else f"documents in {len(some)} of {len(files)} shards"
    counts: dict[str, Counter[int]] = {}
    for path in some:
        try:
            with pq.ParquetFile(path) as file:
                _count(file, counts)
        except (pa.ArrowException, OSError):
            return {}  # changed since it was made, which `midtrain verify` names
    return {key: (dict(bins), of) for key, bins in counts.items()}


def _count(file: pq.ParquetFile, counts: dict[str, Counter[int]]) -> None:
    """Adds up a file's scores by tenths; what is no number is no score."""
    named = [field.name for field in file.schema_arrow if field.name.endswith(SCORE) and pa.types.is_floating(field.type)]
    for group in range(file.num_row_groups if named else 0):
        table = file.read_row_group(group, columns=named)
        for name in named:
            scores = table[name].cast(pa.float64())
            scores = scores.filter(pc.fill_null(pc.is_finite(scores), False))
            tenths = pc.min_element_wise(pc.floor(pc.multiply(scores, 10.0)), 9.0)
            _add(counts.setdefault(name, Counter()), pc.value_counts(tenths).to_pylist())


def _add(bins: Counter[int], rows: Iterable[dict[str, Any]]) -> None:
    for row in rows:
        if row["values"] >= 0:
            bins[int(row["values"])] += row["counts"]


def _asked(record: Record, score: str) -> Any:
    """The least score that a filter of the stage asked for: math_score is that of math_classifier."""
    kind = score.removesuffix(SCORE)
    for name in record.tree("params", "filters"):
        if name == kind or name.startswith(f"{kind}_"):
            chosen = record.number("details", "chosen", name, "min_score", "all")
            return record.number("params", "filters", name, "min_score") if chosen is None else chosen
    return None
