"""How one dataset came to be: documents into and out of each stage, what was dropped and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recipes.report.classifier import Classifier, read_classifiers
from recipes.report.clusters import SIZES
from recipes.report.contamination import Contamination, Table, read_contamination
from recipes.report.figures import is_number
from recipes.report.grades import read_grades
from recipes.report.paths import read_paths
from recipes.report.record import Record, flat

RAW = ("extract", "format")  # what comes in (and is dropped) is no text yet: HTML, records
INTERNAL = (  # they see documents, but decide nothing: another stage tells the outcome
    "dedup_candidates",
    "dedup_index",
    "dedup_pairs",
    "dedup_signatures",
    "draw",
    "draw_choice",
    "draw_keys",
    "features",
    "label_scores",
    "score",
    "select_choice",
    "select_keys",
    "tokenize_shards",
)
TOLD_ABOVE = ("documents_in", "documents_out", "characters_in", "characters_out", "dropped", "details", "scores", SIZES)
TELL_THEMSELVES = ("train_classifier", "decontaminate", "certificate", "pass_at_k")  # their details have tables and plots


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

    @property
    def name(self) -> str:
        return self.record.stage


@dataclass(frozen=True)
class Dataset:
    page: str
    records: list[Record]
    steps: list[Step]
    characters_per_token: float | None
    tokens: Any
    facts: list[tuple[str, list[tuple[str, Any]]]]  # (stage, figures): what was read, clusters, tokens, ...
    contamination: list[Contamination]
    classifiers: list[Classifier]
    tables: list[Table]  # grades, graphs and paths

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
        contamination=read_contamination(records),
        classifiers=read_classifiers(records),
        tables=[*read_grades(records), *read_paths(records)],
    )


def _step(record: Record, shards: Record | None, first: Any, per_token: float | None, tokens: Any) -> Step:
    came, left = record.number("counts", "documents_in"), record.number("counts", "documents_out")
    characters = record.number("counts", "characters_out")
    is_exact = record.do == "tokenize"
    if left is None and came is not None and not is_exact:
        left = 0  # nothing was counted, because nothing came out
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


def _facts(record: Record) -> list[tuple[str, list[tuple[str, Any]]]]:
    """What a stage has to say beside its documents, under its name."""
    counts = {key: count for key, count in record.tree("counts").items() if key not in TOLD_ABOVE}
    named = {} if record.do in TELL_THEMSELVES else record.tree("details")
    details = {key: told for key, told in named.items() if key not in counts}  # names of what is counted stand among the concerns
    figures = [] if record.do == "tokenize_shards" else flat(counts) + flat(details)
    return [(record.stage, figures)] if figures and figures != [("", None)] else []
