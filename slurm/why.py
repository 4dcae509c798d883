"""What became of one document: where it was read, what every stage learned of it, which one dropped it, by which rule.

A document stays in its shard from the first stage of a page to the last, so all shards are gone through once, for the first
stage; behind it one file a stage is opened. Which steps saw its tokens is found in the index of each training stage that blends
them (`pretrain/ledger.py`).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pretrain.ledger import INDEX, steps_with
from recipes.report.record import Record, read_records
from recipes.stage import MANIFEST
from slurm.plan import plan
from slurm.shards import Shard, Sighting, rows_with, search, shards_of
from slurm.urls import bare_url, plain_part
from slurm.ways import told_apart

MAX_NEAREST = 5
MAX_STEPS = 5  # of a training stage that are named
MIN_NEAREST_CHARS = 6  # of the asked text that a nearest id or URL must hold
TOKENS = "docs.parquet"
CLUSTERS = "clusters.parquet"
DATASET = "dataset/"  # the role of a dataset among the inputs of a training stage
REPEAT = re.compile(r"(.+)#([2-9]|[1-9][0-9]{1,11})", re.DOTALL)  # as `curation/sources/identity.py` tells repeated ids apart
ASIDE = ("draw",)  # what it passes on is for labelling; the road goes on from the stage before


def fates(asked: str, records: Sequence[Record]) -> dict[str, Any]:
    """The fates of the documents with this id or URL in finished stages; `nearest` where there is none. `same_id`: the ids that
    readers made of this one where it came several times."""
    asked = asked.strip()
    if not asked:
        raise ValueError("the document's id or URL is empty")
    entries = [record for record in records if _is_entry(record, records)]
    if not entries:
        raise ValueError("no finished stage there has documents; make some with: midtrain run curate/PAGE")
    found: list[tuple[Record, Sighting]] = []
    ids: set[str] = set()
    for entry in entries:
        sightings, alike = find(asked, shards_of(entry.folder))
        found += [(entry, sighting) for sighting in sightings]
        ids |= alike if entry.number("counts", "duplicate_ids") else set()
    lives = [fate for entry, sighting in found for fate in _lives(entry, sighting, records)]
    counted = [entry.number("counts", "documents_in") for entry in entries]
    return {
        "asked": asked,
        "pages": sorted({entry.page for entry in entries}),
        "documents_searched": sum(number or 0 for number in counted),
        "same_id": {"documents": len(ids), "some": sorted(ids, key=_parted)[:MAX_NEAREST]} if len(ids) > 1 else None,
        "documents": told_apart(lives, records),
        "nearest": [] if found else _nearest(asked, entries),
    }


def records_of_page(page: str, overrides: tuple[str, ...]) -> list[Record]:
    """The finished stages of a page and of those it needs."""
    finished = [stage for stage in plan(page, overrides).stages if stage.is_finished]
    if not any(stage.room == "curation" for stage in finished):
        raise ValueError(f"no stage of curation of {page} is finished; make them with: midtrain run {page}")
    return read_records([stage.folder for stage in finished])


def records_under(root: Path) -> list[Record]:
    """All finished stages of curation and training whose results lie under `root`."""
    folders = {room: sorted(file.parent for file in root.glob(f"{room}/*/*/{MANIFEST}")) for room in ("curate", "train")}
    if not folders["curate"]:
        raise ValueError(f"no stage of curation is finished under {root}; name the results with --root")
    return read_records([*folders["curate"], *folders["train"]])


# ---------------------------------------------------------------------------------------------------- looking


def find(asked: str, shards: Iterable[Shard]) -> tuple[list[Sighting], set[str]]:
    """Documents with this id (`<urn:uuid:` around it may lack), else with this URL (scheme and last slash may lack); and all ids
    that are this one but for the number of their repetition."""
    shards = list(shards)
    id_, number = _parted(asked)
    alike = search(shards, "id", bare_id(id_), lambda sighting: bare_id(id_) in bare_ids(sighting.id))
    ids = {sighting.id for sighting in alike}
    found = [sighting for sighting in alike if _parted(sighting.id)[1] == number]
    if found or not bare_url(asked):
        return found, ids
    found = search(shards, "metadata", plain_part(asked), lambda s: s.url is not None and bare_url(s.url) == bare_url(asked))
    return found, ids


def bare_ids(id_: str) -> tuple[str, str]:
    """An id without the number of its repetition, and without the file that tells it from the same id of another file."""
    id_, _ = _parted(id_)
    return bare_id(id_), bare_id(id_.rpartition("@")[0] or id_)


def _parted(id_: str) -> tuple[str, int]:
    """An id as it was given and which of those it is: `x#2` is the second `x`."""
    repeat = REPEAT.fullmatch(id_)
    return (repeat[1], int(repeat[2])) if repeat else (id_, 1)


def bare_id(id_: str) -> str:
    return id_.removeprefix("<").removesuffix(">").removeprefix("urn:uuid:")


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
            pattern = text if column == "id" else plain_part(text)
            near = search(shards, column, pattern, partial(_holds, column, text), limit=MAX_NEAREST)
            if near:
                return [{"id": id_, "url": url} for id_, url in sorted({(s.id, s.url or "") for s in near})[:MAX_NEAREST]]
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
    return text.lower() in (sighting.id if column == "id" else bare_url(sighting.url or "")).lower()


# ---------------------------------------------------------------------------------------------------- the way of a document


def _lives(entry: Record, sighting: Sighting, records: Sequence[Record]) -> Iterator[dict[str, Any]]:
    """One fate a way through the stages: there are several where a page was run with other parameters behind this stage."""
    for steps in _ways(entry, sighting, {}, records):
        last = steps[-1]
        is_kept = last["outcome"] in ("tokenized", "blended")
        yield {
            "id": sighting.id,
            "url": sighting.url,
            "page": entry.page,
            "shard": sighting.shard.name,
            "verdict": "dropped" if last["outcome"] == "dropped" else "kept" if is_kept else f"kept so far ({last['stage']})",
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
                yield [step, tokens, *_blended(tokens, records)]
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
        asked = record.tree("params", "filters", reason) | record.tree("details", "chosen", reason)
        step |= {"reason": reason, "rule": rule, "asked": asked}
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
    rows = list(rows_with(files[0], "duplicate_of", sighting.id, ["id", "jaccard"]))
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
        for place in rows_with(record.folder / TOKENS, "id", id_, ["split", "document", "first_token", "num_tokens"]):
            yield {"stage": record.stage, "do": record.do, "made": record.made, "outcome": "tokenized"} | place


def _blended(tokens: dict[str, Any], records: Sequence[Record]) -> Iterator[dict[str, Any]]:
    """The training stages that blend the document's dataset, in the order of time, each with its steps that saw the document:
    there may be none. `num_steps` is None where the stage's index is gone."""
    for record in sorted(records, key=lambda record: str(record.at("started"))):
        for role in (role for role, made in record.inputs.items() if made == tokens["made"] and role.startswith(DATASET)):
            dataset = role.removeprefix(DATASET)
            is_known = (record.folder / INDEX).is_file()
            is_seen = is_known and tokens["split"] == "train"
            steps = steps_with(record.folder, dataset, tokens["document"]) if is_seen else []
            yield {
                "stage": record.name,
                "do": record.do,
                "made": record.made,
                "outcome": "blended",
                "dataset": dataset,
                "num_steps": len(steps) if is_known else None,
                "steps": steps[:MAX_STEPS],
            }
