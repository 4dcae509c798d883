"""A certificate: what a dataset was compared with, what was found, what the same detector finds of planted items, and the token
files that this holds for.

Recall is measured, not claimed: items of the benchmarks, written in several ways (canaries.py), are planted into
documents of this dataset, and looked for as in the decontaminate stage. What is found wrongly is measured on items whose words
and numbers are all drawn anew, planted likewise, and on documents of the dataset as they are. Intervals are Wilson's, of 95 %.
"""

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.classifier.metrics import wilson
from curation.decontaminate.canaries import KINDS, Recall, measure, plant
from curation.decontaminate.detector import Detector
from curation.shards import num_documents, read_shard
from curation.steps import DOCUMENTS
from recipes.fingerprint import file_hash
from recipes.manifest import read_manifest
from recipes.schema import DecontaminateStage
from recipes.stage import write_atomically

CERTIFICATE = "certificate.json"
TIERS = {"contamination": "removed", "masked_contamination": "masked", "near_contamination": "near"}  # by key of metadata
MAX_HOSTS = 400
MAX_HOST_SHARDS = 16
MAX_MATCHED_CHARS = 300


def certify(
    params: DecontaminateStage, benchmarks: Mapping[str, Path], documents: Path, tokens: Path, out: Path, *, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Leaves certificate.json in `out`. `documents` and `tokens` are the finished decontaminate and tokenize stages. Returns
    counts and the part of the certificate that reports show."""
    detector = Detector.of(benchmarks, params)
    hits = find_hits(documents)
    hosts = _hosts(documents, seed)
    measured = _measure(detector, hosts, params.canaries, seed)
    known: dict[str, Any] = {
        "benchmarks": {
            name: {**counts, **_num_hits(hits, name), "sha256": file_hash(benchmarks[name])}
            for name, counts in detector.counts.items()
        },
        "settings": params.model_dump(mode="json", exclude={"do", "benchmarks"}),
        "ngrams": detector.index.num_ngrams,
        **measured,
    }
    certificate = {
        **known,
        "hits": hits,
        "documents": _made_by(documents),
        "tokens": {**_made_by(tokens), "files": read_manifest(tokens)["outputs"]},
    }
    write_atomically(out / CERTIFICATE, orjson.dumps(certificate, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
    planted = sum(row["planted"] for rows in measured.values() for row in rows.values())
    return {"items_hit": len(hits), "canaries": planted, "token_files": len(certificate["tokens"]["files"])}, known


def _made_by(folder: Path) -> dict[str, str]:
    manifest = read_manifest(folder)
    return {key: manifest[key] for key in ("page", "stage", "fingerprint")}


# ------------------------------------------------------------------------------------------------------- what was found


def find_hits(folder: Path) -> list[dict[str, Any]]:
    """Every item that documents of a decontaminate stage held, by tier: how many documents, and the words of the one that held
    most of it."""
    hits: dict[tuple[str, ...], dict[str, Any]] = {}
    for id_, key, found in _findings(folder):
        name = (TIERS[key], found["benchmark"], found["item"], found["part"])
        share = max(found["coverage"], found["in_order"])
        hit = hits.setdefault(name, {**dict(zip(("tier", "benchmark", "item", "part"), name, strict=True)), "documents": 0})
        hit["documents"] += 1
        if share > hit.get("share", -1.0):
            hit |= {"share": share, "document": id_, "matched": found["matched"][:MAX_MATCHED_CHARS]}
    return [hits[name] for name in sorted(hits)]


def _findings(folder: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(document, key of metadata, finding)."""
    for shard in sorted((folder / "dropped" / "contaminated").glob("*.parquet")) + sorted((folder / DOCUMENTS).glob("*.parquet")):
        for batch in pq.ParquetFile(shard).iter_batches(columns=["id", "metadata"]):
            marked = batch.filter(pc.match_substring(batch["metadata"], "contamination"))
            for id_, text in zip(marked["id"].to_pylist(), marked["metadata"].to_pylist(), strict=True):
                metadata = orjson.loads(text)
                for key in TIERS:
                    found = metadata.get(key, [])
                    yield from ((id_, key, one) for one in (found if isinstance(found, list) else [found]))


def _num_hits(hits: list[dict[str, Any]], benchmark: str) -> dict[str, int]:
    return {
        f"items_{tier}": len({hit["item"] for hit in hits if (hit["tier"], hit["benchmark"]) == (tier, benchmark)})
        for tier in TIERS.values()
    }


# --------------------------------------------------------------------------------------------------- what would be found


def _hosts(folder: Path, seed: int) -> list[str]:
    """Texts of the dataset, drawn from some of its shards."""
    rng = random.Random(f"{seed}/hosts")
    shards = [shard for shard in sorted((folder / DOCUMENTS).glob("*.parquet")) if num_documents(shard)]
    if not shards:
        raise ValueError(f"{folder} has no documents, so there is nothing to certify; see what it dropped in its manifest")
    texts: list[str] = []
    shards = sorted(rng.sample(shards, min(len(shards), MAX_HOST_SHARDS)))
    for shard in shards:
        count = num_documents(shard)
        chosen = set(rng.sample(range(count), min(count, -(-MAX_HOSTS // len(shards)))))
        texts += [doc.text for number, doc in enumerate(read_shard(shard)) if number in chosen]
    return texts


def _measure(detector: Detector, hosts: list[str], count: int, seed: int) -> dict[str, dict[str, dict[str, Any]]]:
    questions = [part for part in detector.parts if part.name != "solutions"]
    solutions = [part for part in detector.parts if part.name == "solutions"]
    found = [findings for findings in detector.find(hosts) if findings]
    num_removed = sum(findings[0].tier == "remove" for findings in found)
    clean = {"documents": Recall(len(hosts), num_removed, len(found))}
    measured = {}
    for name, parts in (("questions", questions), ("solutions", solutions)):
        if parts:
            kinds = {kind: measure(detector, plant(kind, parts, hosts, count, seed)) for kind in KINDS}
            measured[f"canaries_{name}"] = {kind: _row(recall) for kind, recall in kinds.items() if recall.planted}
            clean[f"{name}_drawn_anew"] = measure(detector, plant("drawn_anew", parts, hosts, count, seed))
    return measured | {"clean_items": {kind: _row(recall) for kind, recall in clean.items()}}


def _row(recall: Recall) -> dict[str, Any]:
    return {
        "planted": recall.planted,
        "removed": round(recall.removed / recall.planted, 4),
        "removed_interval": wilson(recall.removed, recall.planted),
        "reported": round(recall.reported / recall.planted, 4),
        "reported_interval": wilson(recall.reported, recall.planted),
    }
