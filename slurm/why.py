"""What became of one document: where it was read, what every stage learned of it, which one dropped it, by which rule.

A document stays in its shard from the first stage of a page to the last, so all shards are gone through once, for the first
stage; behind it one file a stage is opened.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow.compute as pc

from recipes.report.record import Record, read_records
from recipes.stage import MANIFEST
from slurm.plan import plan
from slurm.shards import Shard, Sighting, columns_of, search, shards_of

MAX_NEAREST = 5
MIN_NEAREST_CHARS = 6  # of the asked text that a nearest id or URL must hold
TOKENS = "docs.parquet"
CLUSTERS = "clusters.parquet"
ASIDE = ("draw",)  # what it passes on is for labelling; the road goes on from the stage before


def fates(asked: str, records: Sequence[Record]) -> dict[str, Any]:
    """The fates of the documents with this id or URL in finished stages; `nearest` where there is none."""
    asked = asked.strip()
    if not asked:
        raise ValueError("the document's id or URL is empty")
    entries = [record for record in records if _is_entry(record, records)]
    if not entries:
        raise ValueError("no finished stage there has documents; make some with: midtrain run curate/PAGE")
    found = [(entry, sighting) for entry in entries for sighting in find(asked, shards_of(entry.folder))]
    counted = [entry.number("counts", "documents_in") for entry in entries]
    return {
        "asked": asked,
        "pages": sorted({entry.page for entry in entries}),
        "documents_searched": sum(number or 0 for number in counted),
        "documents": [fate for entry, sighting in found for fate in _lives(entry, sighting, records)],
        "nearest": [] if found else _nearest(asked, entries),
    }


def records_of_page(page: str, overrides: tuple[str, ...]) -> list[Record]:
    """The finished stages of a page and of those it needs."""
    finished = [stage.folder for stage in plan(page, overrides).stages if stage.room == "curation" and stage.is_finished]
    if not finished:
        raise ValueError(f"no stage of curation of {page} is finished; make them with: midtrain run {page}")
    return read_records(finished)


def records_under(root: Path) -> list[Record]:
    """All finished stages of curation whose results lie under `root`."""
    folders = sorted(file.parent for file in root.glob(f"curate/*/*/{MANIFEST}"))
    if not folders:
        raise ValueError(f"no stage of curation is finished under {root}; name the results with --root")
    return read_records(folders)


# ---------------------------------------------------------------------------------------------------- looking


def find(asked: str, shards: Iterable[Shard]) -> list[Sighting]:
    """Documents with this id (`<urn:uuid:` around it may lack), else with this URL (scheme and last slash may lack)."""
    shards = list(shards)
    found = search(shards, "id", bare_id(asked), lambda sighting: bare_id(sighting.id) == bare_id(asked))
    if found or not bare_url(asked):
        return found
    return search(shards, "metadata", bare_url(asked), lambda s: s.url is not None and bare_url(s.url) == bare_url(asked))


def bare_id(id_: str) -> str:
    return id_.removeprefix("<").removesuffix(">").removeprefix("urn:uuid:")


def bare_url(url: str) -> str:
    """Host and what follows it; without the fragment, which no server sees, and the last slash."""
    parts = urlsplit(url if "://" in url else f"//{url}")
    return f"{parts.netloc.lower()}{parts.path}{f'?{parts.query}' if parts.query else ''}".rstrip("/")


def _is_entry(record: Record, records: Sequence[Record]) -> bool:
    """Whether a page's documents come in here: no other of these stages with documents made its own."""
    if record.do in ASIDE or not shards_of(record.folder):
        return False
    before = record.inputs.get("documents")
    return not any(other.made == before and shards_of(other.folder) for other in records)


def _nearest(asked: str, entries: Sequence[Record]) -> list[dict[str, Any]]:
    """A few documents whose id or URL holds what was asked for, or a beginning of it."""
    shards = [shard for entry in entries for shard in shards_of(entry.folder)]
    for column, beginnings in _beginnings(asked).items():
        for text in beginnings:
            near = search(shards, column, text, partial(_holds, column, text), limit=MAX_NEAREST)
            if near:
                return sorted(({"id": s.id, "url": s.url} for s in near), key=lambda row: str(row["id"]))[:MAX_NEAREST]
    return []


def _beginnings(asked: str) -> dict[str, list[str]]:
    """Of an id all, half and a quarter of it; of a URL all, without its last part, and the host. Each is looked for in all
    shards, so there are not more."""
    id_, parts = bare_id(asked), bare_url(asked).split("/")
    by_column = {
        "id": [id_[: len(id_) >> halved] for halved in range(3)],
        "metadata": ["/".join(parts[:number]) for number in (len(parts), len(parts) - 1, 1)],
    }
    return {column: [t for t in dict.fromkeys(texts) if len(t) >= MIN_NEAREST_CHARS] for column, texts in by_column.items()}


def _holds(column: str, text: str, sighting: Sighting) -> bool:
    return text.lower() in (sighting.id if column == "id" else sighting.url or "").lower()


# ---------------------------------------------------------------------------------------------------- the way of a document


def _lives(entry: Record, sighting: Sighting, records: Sequence[Record]) -> Iterator[dict[str, Any]]:
    """One fate a way through the stages: there are several where a page was run with other parameters behind this stage."""
    for steps in _ways(entry, sighting, {}, records):
        last = steps[-1]
        tokens = last if last["outcome"] == "tokenized" else None
        yield {
            "id": sighting.id,
            "url": sighting.url,
            "page": entry.page,
            "shard": sighting.shard.name,
            "verdict": "dropped" if last["outcome"] == "dropped" else "kept" if tokens else f"kept so far ({last['stage']})",
            "steps": steps,
        }


def _ways(record: Record, sighting: Sighting, known: dict[str, Any], records: Sequence[Record]) -> Iterator[list[dict[str, Any]]]:
    step = _step(record, sighting, known) | _stood_for(record, sighting, records)
    went_on = False
    if sighting.shard.reason is None:
        for consumer in records:
            if consumer.inputs.get("documents") != record.made or consumer.do in ASIDE:
                continue
            for seen in _seen_in(consumer, sighting):
                went_on = True
                yield from ([step, *rest] for rest in _ways(consumer, seen, sighting.metadata, records))
            for tokens in _tokens(consumer, sighting.id, records):
                went_on = True
                yield [step, tokens]
    if not went_on:
        yield [step]


def _seen_in(record: Record, before: Sighting) -> list[Sighting]:
    """The document in the next stage: in the shard it was in, or, if that stage was made with others, wherever it is."""
    same = shards_of(record.folder, before.shard.name)
    found = search(same, "id", before.id, lambda sighting: sighting.id == before.id)
    return found or search(shards_of(record.folder), "id", before.id, lambda sighting: sighting.id == before.id)


def _step(record: Record, sighting: Sighting, known: dict[str, Any]) -> dict[str, Any]:
    """`learned`: what the stage wrote beside the document. A duplicate is told with the document it resembles."""
    learned = {key: value for key, value in sighting.metadata.items() if key not in known or known[key] != value}
    rule = learned.pop("dropped_because", None)
    reason = sighting.shard.reason
    step: dict[str, Any] = {
        "stage": record.stage,
        "do": record.do,
        "made": record.made,
        "outcome": "kept" if reason is None else "dropped",
    }
    if reason is not None:
        step |= {"reason": reason, "rule": rule, "asked": record.tree("params", "filters", reason)}
    duplicate_of = learned.pop("duplicate_of", None)
    if duplicate_of is not None:
        step["duplicate_of"] = {"id": duplicate_of, "url": _url_of(duplicate_of, record), "jaccard": learned.pop("jaccard", None)}
    return step | {"learned": learned}


def _stood_for(record: Record, sighting: Sighting, records: Sequence[Record]) -> dict[str, Any]:
    """Of a kept document: the duplicates that were dropped for it."""
    made_by = record.inputs.get("clusters")
    files = [other.folder / CLUSTERS for other in records if other.made == made_by]
    if sighting.shard.reason is not None or not files or not files[0].is_file():
        return {}
    rows = []
    for table in columns_of(files[0], ["id", "duplicate_of", "jaccard"]):
        rows += table.filter(pc.equal(table["duplicate_of"], sighting.id)).to_pylist()
    named = [{"id": row["id"], "jaccard": row["jaccard"]} for row in rows[:MAX_NEAREST]]
    return {"stands_for": {"documents": len(rows), "some": named}} if rows else {}


def _url_of(id_: str, record: Record) -> str | None:
    kept = [shard for shard in shards_of(record.folder) if shard.reason is None]
    return next((s.url for s in search(kept, "id", id_, lambda sighting: sighting.id == id_)), None)


def _tokens(shards: Record, id_: str, records: Sequence[Record]) -> Iterator[dict[str, Any]]:
    """Where the document's tokens lie, by the stage that joined them."""
    for record in records:
        if record.inputs.get("shards") != shards.made or not (record.folder / TOKENS).is_file():
            continue
        columns = ["split", "document", "first_token", "num_tokens", "id"]
        for table in columns_of(record.folder / TOKENS, columns):
            for row in table.filter(pc.equal(table["id"], id_)).to_pylist():
                place = {key: row[key] for key in columns[:-1]}
                yield {"stage": record.stage, "do": record.do, "made": record.made, "outcome": "tokenized"} | place
