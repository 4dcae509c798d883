"""What plans had foretold of training, beside what it took.

A plan leaves its forecast in a stage's `run`, where no fingerprint sees it, and the manifest keeps it. Stages that were not
planned so (of earlier versions, or by hand) have none and are left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from recipes.report.figures import decimal, is_number, share, short, size
from recipes.report.record import Record
from recipes.report.training import Run

GIB = 2**30


@dataclass(frozen=True)
class Figure:
    """As written: `between` is the range that was foretold, `ratio` what it took over what was foretold."""

    name: str
    foretold: str
    between: str
    took: str
    ratio: str


@dataclass(frozen=True)
class Foretold:
    run: Run
    source: str  # of the MFU that the plan counted with
    figures: list[Figure]


def read_foretold(runs: Sequence[Run]) -> list[Foretold]:
    rows = [Foretold(run, str(_forecast(run, "mfu_source") or ""), list(_figures(run))) for run in runs]
    return [row for row in rows if row.figures]


def _forecast(run: Run, *keys: str) -> Any:
    return run.record.at("run", "forecast", *keys)


def _figures(run: Run) -> Iterator[Figure]:
    """The hours are those of steps, done twice or not, and of saving: forecasts hold no starts and no validation."""
    record = run.record
    devices = _product(record.number("run", "cluster", "nodes"), record.number("run", "cluster", "processes_per_node"))
    hours = _product(record.number("details", "speed", "seconds"), devices, 1 / 3600)
    yield from _figure("device-hours", _forecast(run, "device_hours"), hours, decimal, _forecast(run, "device_hours_range"))
    price = record.number("run", "cluster", "price_per_device_hour")
    yield from _figure("price", _forecast(run, "price"), _product(hours, price), decimal, _forecast(run, "price_range"))
    rate, measured = _forecast(run, "tokens_per_second"), record.number("details", "speed", "tokens_per_second")
    yield from _figure("tokens/s", rate, measured, short)
    # Both by the same count: the share that a plan counts with holds recomputed layers too, the measured MFU does not.
    operations, peak = record.number("details", "flops_per_token"), record.number("run", "cluster", "peak_tflops")
    foretold = _product(rate, operations, 1 / (peak * devices * 1e12)) if peak and devices else None
    yield from _figure("MFU", foretold, record.number("details", "speed", "mfu"), share)
    memory = _product(_forecast(run, "memory_gib", "total"), GIB)
    yield from _figure("memory of the fullest GPU", memory, record.number("details", "speed", "peak_memory") or None, size)
    yield from _figure("checkpoint", _forecast(run, "checkpoint_bytes"), _checkpoint_bytes(record), size)


def _figure(name: str, foretold: Any, took: Any, written: Any, between: Any = None) -> Iterator[Figure]:
    """Nothing where one of both is unknown: there is nothing to compare."""
    if is_number(foretold) and is_number(took) and foretold:
        ends = " – ".join(written(end) for end in between) if isinstance(between, list) else ""
        yield Figure(name, written(foretold), ends, written(took), f"{took / foretold:.2f}")


def _product(*factors: Any) -> float | None:
    product = 1.0
    for factor in factors:
        if not is_number(factor):
            return None
        product *= factor
    return product


def _checkpoint_bytes(record: Record) -> int | None:
    """Of the last one."""
    folder = record.at("details", "checkpoint")
    files = [row for row in record.rows("outputs") if str(row.get("path")).startswith(f"{folder}/")] if folder else []
    return sum(row["bytes"] for row in files if is_number(row.get("bytes"))) or None
