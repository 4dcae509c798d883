"""How far a stage is, and how fast. Of many ranks names are read, and files of those alone that are at work."""

import time
from pathlib import Path
from typing import Any

import orjson

from curation.ranks import finished_ranks, num_ranks
from recipes.stage import Stage, progress_file
from slurm.status.listing import names_in

MANY = 1000  # ranks that have begun: above, ranks are counted and not what is in them
FRESH_SECONDS = 600.0  # a rank that has not reported for longer is no part of the rate: a validation takes minutes, not more


def progress_of(stage: Stage) -> dict[str, Any]:
    """What all ranks have done together. `total` is None where it is not known, and estimated while not all ranks have begun;
    `rate` is a second's, of the processes that work now; `age` is that of the latest report, in seconds."""
    folder = progress_file(stage.folder, 0).parent
    begun = sorted(names_in(folder, ".json"))
    if len(begun) <= MANY:
        records = _read(folder, begun)
        done, total, rate = _sum(records, num_ranks(stage))
        return _told(records, done, total, records[0]["unit"] if records else "", rate)
    finished = finished_ranks(stage)
    records = _read(folder, [name for name in begun if int(name.removesuffix(".json")) not in finished][-MANY:])
    shares = [record for record in records if record["total"]]
    done = len(finished) + sum(record["done"] / record["total"] for record in shares)
    rate = sum(_rate(record) / record["total"] for record in shares)
    return _told(records, int(done), num_ranks(stage), "ranks", rate)


def _read(folder: Path, names: list[str]) -> list[dict[str, Any]]:
    return [orjson.loads((folder / name).read_bytes()) for name in names]


def _sum(records: list[dict[str, Any]], ranks: int) -> tuple[int, int | None, float]:
    totals = [record["total"] for record in records]
    total = sum(totals) * ranks // len(records) if totals and None not in totals else None
    return sum(record["done"] for record in records), total, sum(map(_rate, records))


def _rate(record: dict[str, Any]) -> float:
    """Of the process that wrote this; 0 where it has written nothing for long, or is done."""
    if record["done"] == record["total"] or time.time() - record["time"] > FRESH_SECONDS:
        return 0.0
    seconds = record["time"] - record.get("since", record["time"])
    return float(record["done"] - record["from"]) / seconds if seconds > 0 else 0.0


def _told(records: list[dict[str, Any]], done: int, total: int | None, unit: str, rate: float) -> dict[str, Any]:
    last = max((float(record["time"]) for record in records), default=0.0)
    return {
        "done": done,
        "total": total,
        "unit": unit,
        "time": last,
        "age": round(time.time() - last, 1) if records else None,
        "rate": round(rate, 6) or None,
        "eta_seconds": round((total - done) / rate, 1) if rate and total is not None else None,
    }
