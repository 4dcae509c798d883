"""What stands in the batches of a step that went wrong, and what its documents share. NumPy only.

What is in a batch is told beside what is in the batches around it: a dataset, source or site that has much more of this one than
of its neighbours is where to look first.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from pretrain import ledger
from pretrain.guards import batch_of_step, read_rewinds
from pretrain.metrics import METRICS, read_journal
from recipes.stage import Stage, read_stage

KINDS = ("dataset", "source", "site")
MAX_LISTED = 20  # of a list; the documents are listed all
MIN_TOKENS = 16  # of a piece that may be called monotonous
DTYPES = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2"}  # megatron-core's codes (indexed_dataset.py, class DType)
DTYPE_PLACE = 17  # in the header of a .idx


def spike(folder: Path, step: int, *, before: int = 0, around: int = 5) -> dict[str, Any]:
    """Of the batches of `before` steps and `step`; compared with those of `around` steps on either side. Where a guard went back
    in that step, the batches that it left out are looked at, not those that took their place."""
    folder = Path(folder)
    stage, index = read_stage(folder), ledger.read_index(folder)
    steps = index.record["steps"]
    if not 1 <= step <= steps:
        raise ValueError(f"step={step} is not a step of {folder}; it has steps 1 to {steps}")
    wanted = range(max(1, step - before), step + 1)
    rewinds = read_rewinds(folder)
    rewind = next((row for row in reversed(rewinds) if row["step"] == step), None)
    if rewind is None:
        rows = {row["step"]: row for row in read_journal(folder / METRICS)}
        looked_at = [{"step": at, "batch": batch_of_step(at, rewinds), **rows.get(at, {})} for at in wanted]
    else:
        looked_at = [row for row in rewind["abandoned"] if row["step"] in wanted]
    near = [*range(max(1, wanted[0] - around), wanted[0]), *range(step + 1, min(steps, step + around) + 1)]
    batches = [row["batch"] for row in looked_at]
    neighbours = [number for at in near if (number := batch_of_step(at, rewinds)) not in batches]
    pieces, others = (_told(stage, ledger.trace_batches(folder, numbers)) for numbers in (batches, neighbours))
    return {
        "run": str(folder),
        "left_out": rewind is not None,
        "steps": looked_at,
        "neighbours": len(neighbours),
        "tokens": sum(piece["num_tokens"] for piece in pieces),
        "shares": {kind: _shares(kind, pieces, others, index.record["datasets"]) for kind in KINDS},
        "repeated": _repeated(folder, pieces, others),
        "longest": _most("num_tokens", pieces),
        "monotonous": _most("commonest_token_share", [piece for piece in pieces if piece["num_tokens"] >= MIN_TOKENS]),
        "documents": _documents(pieces),
    }


def _told(stage: Stage, pieces: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pieces with their site, and how much of each is one and the same token."""
    texts: dict[str, np.ndarray] = {}
    told = []
    for piece in pieces:
        if piece["dataset"] not in texts:
            prefix = Path(stage.input(f"dataset/{piece['dataset']}")) / "train"
            code = int(np.fromfile(prefix.with_suffix(".idx"), dtype=np.uint8, count=1, offset=DTYPE_PLACE)[0])
            texts[piece["dataset"]] = np.memmap(prefix.with_suffix(".bin"), dtype=DTYPES[code], mode="r")
        tokens = texts[piece["dataset"]][piece["first_token"] : piece["first_token"] + piece["num_tokens"]]
        commonest = int(np.unique(tokens, return_counts=True)[1].max())
        site = urlsplit(piece["url"] or "").hostname
        told.append({**piece, "site": site, "commonest_token_share": round(commonest / len(tokens), 4)})
    return told


def _shares(
    kind: str, pieces: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]], datasets: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Of the tokens, by dataset, source or site: those of which there is more than around come first."""
    here, around = (_tokens_by(kind, part) for part in (pieces, others))
    asked = {dataset["name"]: dataset["share"] for dataset in datasets} if kind == "dataset" else {}
    rows = []
    for name in here:
        share = here[name] / here.total()
        there = around[name] / around.total() if others else None
        row = {kind: name, "tokens": here[name], "share": share, "share_around": there}
        rows.append(row | ({"share_asked": asked[name]} if asked else {}))
    rows.sort(key=lambda row: (-(row["share"] - (row["share_around"] or 0.0)), str(row[kind])))
    return rows[:MAX_LISTED]


def _tokens_by(kind: str, pieces: Iterable[dict[str, Any]]) -> Counter[str | None]:
    tokens: Counter[str | None] = Counter()
    for piece in pieces:
        tokens[piece[kind]] += piece["num_tokens"]
    return tokens


def _documents(pieces: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each document of the pieces once, those with the most tokens first."""
    documents: dict[tuple[str, int], dict[str, Any]] = {}
    for piece in pieces:
        known = {name: piece[name] for name in ("dataset", "document", "id", "url", "source", "site")}
        row = documents.setdefault((piece["dataset"], piece["document"]), {**known, "pieces": 0, "tokens": 0})
        row["pieces"] += 1
        row["tokens"] += piece["num_tokens"]
    return sorted(documents.values(), key=lambda row: (-row["tokens"], row["dataset"], row["document"]))


def _repeated(folder: Path, pieces: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Documents that stand in several samples, here and around, with all steps that saw them."""
    samples: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
    for piece in [*pieces, *others]:
        samples[piece["dataset"], piece["document"]].add(piece["sample"])
    rows = [row for row in _documents(pieces) if len(samples[row["dataset"], row["document"]]) > 1]
    rows.sort(key=lambda row: -len(samples[row["dataset"], row["document"]]))
    return [
        {
            **row,
            "samples": len(samples[row["dataset"], row["document"]]),
            "seen_in_steps": ledger.steps_with(folder, row["dataset"], row["document"]),
        }
        for row in rows[:MAX_LISTED]
    ]


def _most(what: str, pieces: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("sample", "dataset", "id", "url", "first_token", "num_tokens", "commonest_token_share")
    ordered = sorted(pieces, key=lambda piece: (-piece[what], piece["sample"], piece["first_token"]))
    return [{name: piece[name] for name in names} for piece in ordered[:MAX_LISTED]]
