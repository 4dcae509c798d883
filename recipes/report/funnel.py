"""How one dataset came to be: documents into and out of each stage, what was dropped and why, with examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from recipes.report.bars import histogram_svg
from recipes.report.figures import is_number
from recipes.report.record import Record, flat

RAW = ("extract", "format")  # what comes in (and is dropped) is no text yet: HTML, records
INTERNAL = (
    "dedup_signatures",
    "tokenize_shards",
)  # see documents, but decide nothing: the next stage tells the outcome


@dataclass(frozen=True)
class Drop:
    """Documents dropped for one reason. `tokens` is about; `details` are rules or causes with their counts."""

    stage: str
    reason: str
    documents: Any
    share: Any
    tokens: Any
    details: list[tuple[str, Any]]


@dataclass(frozen=True)
class Step:
    """A stage that lets documents through. `left` is its share of the first stage's documents."""

    record: Record
    documents_in: Any
    documents_out: Any
    kept: Any
    left: Any
    tokens: Any
    is_exact: bool
    drops: list[Drop]
    examples: list[tuple[str, list[dict[str, Any]]]]  # (heading, examples)

    @property
    def name(self) -> str:
        return self.record.stage


@dataclass(frozen=True)
class Benchmarks:
    """What documents were compared with: by benchmark, figures in the order of `columns`, and documents dropped."""

    stage: str
    columns: list[str]
    rows: list[tuple[str, list[Any], Any]]


@dataclass(frozen=True)
class Dataset:
    page: str
    records: list[Record]
    steps: list[Step]
    characters_per_token: float | None
    tokens: Any
    facts: list[tuple[str, list[tuple[str, Any]]]]  # (heading, figures): reading, clusters, decontamination, ...
    benchmarks: list[Benchmarks]
    classifiers: list[Record]
    histograms: list[tuple[str, Markup]]

    @property
    def name(self) -> str:
        return self.page.removeprefix("curate/")

    @property
    def drops(self) -> list[Drop]:
        return [drop for step in self.steps for drop in step.drops]


def read_datasets(records: Sequence[Record]) -> list[Dataset]:
    """Pages of curation, in the order of their first stages."""
    pages = dict.fromkeys(record.page for record in records if record.page.startswith("curate/"))
    return [_dataset(page, [record for record in records if record.page == page]) for page in pages]


def tokens_of(record: Record) -> Any:
    """Tokens that a tokenize stage counted, over all splits."""
    total = record.number("counts", "tokens")
    if total is not None:
        return total
    by_split = [part.get("tokens") if isinstance(part, dict) else part for part in record.tree("counts", "tokens").values()]
    by_split = by_split or [part.get("tokens") for part in record.tree("counts").values() if isinstance(part, dict)]
    numbers = [part for part in by_split if is_number(part)]
    return sum(numbers) if numbers else None


def _dataset(page: str, records: list[Record]) -> Dataset:
    shards = next((record for record in records if record.do == "tokenize_shards"), None)
    last = next((record for record in records if record.do == "tokenize"), None)
    tokens = tokens_of(last) if last else None
    characters = shards.number("counts", "characters_in") if shards else None
    per_token = characters / tokens if characters and tokens else None
    moving = [r for r in records if r.do not in INTERNAL and (r.number("counts", "documents_in") is not None or r is last)]
    first = next((r.number("counts", "documents_in") for r in moving), None)
    return Dataset(
        page=page,
        records=records,
        steps=[_step(record, shards, first, per_token, tokens) for record in moving],
        characters_per_token=per_token,
        tokens=tokens,
        facts=[fact for record in records for fact in _facts(record)],
        benchmarks=[_benchmarks(record) for record in records if record.do == "decontaminate"],
        classifiers=[record for record in records if record.do == "train_classifier"],
        histograms=[pair for record in records for pair in _histograms(record)],
    )


def _step(record: Record, shards: Record | None, first: Any, per_token: float | None, tokens: Any) -> Step:
    came, left = record.number("counts", "documents_in"), record.number("counts", "documents_out")
    characters = record.number("counts", "characters_out")
    is_exact = record.do == "tokenize"
    if is_exact:
        came = came if came is not None else (shards.number("counts", "documents_in") if shards else None)
        left = left if left is not None else _documents(record)
    return Step(
        record=record,
        documents_in=came,
        documents_out=left,
        kept=left / came if came and left is not None else None,
        left=left / first if first and left is not None else None,
        tokens=tokens if is_exact else (characters / per_token if characters is not None and per_token else None),
        is_exact=is_exact,
        drops=_drops(record, came, per_token),
        examples=_examples(record),
    )


def _documents(record: Record) -> Any:
    """Documents that a tokenize stage counted, over all splits."""
    total = record.number("counts", "documents")
    if total is not None:
        return total
    by_split = [part for part in record.tree("counts", "documents").values() if is_number(part)]
    return sum(by_split) if by_split else None


def _drops(record: Record, came: Any, per_token: float | None) -> list[Drop]:
    drops = []
    for reason in record.tree("counts", "dropped"):
        documents = record.number("counts", "dropped", reason, "documents")
        characters = record.number("counts", "dropped", reason, "characters")
        is_text = record.do not in RAW and characters is not None and per_token
        details = record.numbers("counts", "details", reason)
        drops.append(
            Drop(
                stage=record.stage,
                reason=reason,
                documents=documents,
                share=documents / came if came and documents is not None else None,
                tokens=characters / per_token if is_text and per_token else None,
                details=sorted(details.items(), key=lambda item: (-item[1], item[0])),
            )
        )
    return sorted(drops, key=lambda drop: (-(drop.documents or 0), drop.reason))


def _examples(record: Record) -> list[tuple[str, list[dict[str, Any]]]]:
    """Kept ones first, then by reason."""
    found = []
    for key in sorted(record.tree("examples"), key=lambda key: (key != "kept", key)):
        rows = [row for row in record.rows("examples", key) if isinstance(row.get("text"), str)]
        if rows:
            found.append((key.replace("dropped/", "dropped: ", 1), rows))
    return found


def _facts(record: Record) -> list[tuple[str, list[tuple[str, Any]]]]:
    """What a kind of stage has to say beside its documents."""
    counts = record.tree("counts")
    told: list[tuple[str, list[tuple[str, Any]]]] = []
    if record.do in ("read", "extract", "format"):
        keys = ("files", "records", "skipped", "unreadable", "duplicate_ids")
        told.append(("read", flat({key: counts[key] for key in keys if key in counts})))
    elif record.do == "decontaminate":
        told.append(("n-grams", list(record.numbers("details").items())))
    elif record.do in ("dedup_clusters", "sample"):
        told.append(("clusters" if record.do == "dedup_clusters" else "made", flat(counts)))
    elif record.do == "tokenize":
        told.append(("tokens", flat(counts) + flat(record.tree("details"))))
    return [(f"{record.stage}: {heading}", figures) for heading, figures in told if figures]


def _benchmarks(record: Record) -> Benchmarks:
    compared = {name: record.numbers("details", "benchmarks", name) for name in record.tree("details", "benchmarks")}
    dropped = record.numbers("counts", "details", "contaminated")
    columns = list(dict.fromkeys(key for counts in compared.values() for key in counts))
    rows = [
        (name, [compared.get(name, {}).get(column) for column in columns], dropped.get(name, 0))
        for name in dict.fromkeys([*compared, *dropped])
    ]
    return Benchmarks(record.stage, columns, rows)


def _histograms(record: Record) -> list[tuple[str, Markup]]:
    made = []
    for key in record.tree("counts", "scores"):
        by_low = {}
        for low, documents in record.numbers("counts", "scores", key).items():
            try:
                by_low[round(float(low) * 10)] = int(documents)
            except ValueError:
                continue  # no tenth of a score: not ours to draw
        bins = [(i / 10, (i + 1) / 10, by_low.get(i, 0)) for i in range(10)]
        if by_low:
            what = key.replace("_", " ")
            title = f"{what} of all documents, kept or not"
            made.append((f"{record.stage}: {title}", histogram_svg(bins, title=title, x_label=what)))
    return made
