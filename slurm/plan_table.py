"""A plan as a person sees it: stages, memory and times on other sizes, what is left to pay for, what lacks."""

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recipes.report.figures import size
from slurm.display import STATES, human

KINDS = {"evaluate": "evaluation", "answers": "answer stage", "probe": "probe run"}  # names that take an s


def print_plan(console: Console, record: dict[str, Any]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("page", "stage", "fingerprint", "state"):
        table.add_column(column, no_wrap=True)
    for column in ("documents", "tokens", "bytes", "device-hours"):
        table.add_column(column, justify="right")
    table.add_column("epochs")
    page = None
    for row in record["stages"]:
        hours = row.get("device_hours")
        table.add_row(
            row["page"] if row["page"] != page else "",
            row["stage"],
            row["fingerprint"],
            STATES[row["state"]],
            human(row["documents"]),
            human(row["tokens"]),
            "" if row["bytes"] is None else size(row["bytes"]),
            "" if hours is None else _hours(hours),
            _epochs(row),
        )
        page = row["page"]
    console.print(table)
    if record["sizes"]:
        _print_sizes(console, record)
    for text in record["warnings"]:
        console.print(f"[yellow]note:[/] {escape(text)}", soft_wrap=True)
    _print_problems(console, record)
    _print_sums(console, record)


def _epochs(row: dict[str, Any]) -> str:
    """With ≈ where the dataset is not made yet, and its page says how many tokens it expects."""
    signs = {name: "≈" if name in row["epochs_expected"] else "" for name in row.get("epochs", {})}
    return "  ".join(f"{name} {signs[name]}{value:.2f}" for name, value in row.get("epochs", {}).items() if value is not None)


def _print_sums(console: Console, record: dict[str, Any]) -> None:
    left, disk = record["left"], record["disk"]
    if record["not_foretold"]:
        told = ", ".join(_many(number, KINDS[kind]) for kind, number in record["not_foretold"].items())
        console.print(f"not foretold: device-hours of what asks a model: {told}", soft_wrap=True)
    if left["stages"]:
        row = next(row for row in record["stages"] if row["do"] == "train" and row["state"] != "done" and "mfu" in row)
        low, high = row["mfu_range"]
        hours = f"{_hours(left['device_hours'])} device-hours ({_between(left['device_hours_range'], _hours)})"
        price = f", price {left['price']:,.0f} ({_between(left['price_range'], '{:,.0f}'.format)})" if "price" in left else ""
        console.print(
            f"left to train: {_many(left['stages'], 'stage')}, {left['flops']:.2e} FLOPs, {hours}{price}; mfu {row['mfu']:.3f} "
            f"({low:.3f} to {high:.3f}), {row['mfu_source']}",
            soft_wrap=True,
        )
    parts = {
        "sources": disk["source_bytes"],
        "documents": disk["documents_bytes"],
        "token files": disk["dataset_bytes"],
        "checkpoints": disk["checkpoint_bytes"],
        "further checkpoints while training": disk["checkpoint_bytes_while_training"],
        "exports": disk["export_bytes"],
    }
    told = ", ".join(f"{name} {size(amount)}" for name, amount in parts.items() if amount)
    if disk["unknown_datasets"]:
        told += f"{'; ' if told else ''}{_many(len(disk['unknown_datasets']), 'dataset')} of unknown size until made"
    console.print(f"disk: {told or 'unknown until stages are made'}", soft_wrap=True)
    if (queue := record["queue"]) is not None and queue["jobs"]:
        training = f"; training takes {_many(queue['training_nodes'], 'node')}" if queue["training_nodes"] else ""
        array = f", the largest array of {queue['largest_array']:,}" if queue["largest_array"] else ""
        console.print(
            f"queue: {_many(queue['jobs'], 'job')}, arrays counted once ({queue['elements']:,} with all their elements{array}); "
            f"at most about {queue['at_once']:,} run at once{training}",
            soft_wrap=True,
        )
    done = sum(row["state"] == "done" for row in record["stages"])
    training = f"; training {human(record['tokens'])} tokens" if record["tokens"] else ""
    console.print(f"{done} of {len(record['stages'])} stages done{training}")


def _hours(hours: float) -> str:
    return f"{hours:.3g}" if hours < 1 else f"{hours:,.2f}" if hours < 100 else f"{hours:,.0f}"


def _between(ends: list[float], written: Callable[[float], str]) -> str:
    return f"{written(ends[0])} to {written(ends[1])}"


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _print_problems(console: Console, record: dict[str, Any]) -> None:
    for text in record["problems"]:
        console.print(f"[red]before this can run:[/] {escape(text)}", soft_wrap=True)


def _print_sizes(console: Console, record: dict[str, Any]) -> None:
    """Memory on the page's own GPUs by its parts, and all training of the page on more or fewer GPUs."""
    first = next(row for row in record["stages"] if row["do"] == "train")
    if "memory_gib" in first:
        parts = [f"{name} {size:.1f}" for name, size in first["memory_gib"].items() if name != "total"]
        total = first["memory_gib"]["total"]
        told = f"memory of the fullest GPU: {' + '.join(parts)} = {total:.1f} GiB; times at {first['mfu']:.1%} of the peak"
        every = first["recomputing_all"]
        told += (
            f"\nwith parallelism.recompute_layers={every['recompute_layers']} (all): {every['memory_gib']:.1f} GiB, "
            f"{every['step_seconds']:.2f} s a step instead of {first['step_seconds']:.2f}"
        )
        console.print(f"\n{told}", soft_wrap=True)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("GPUs", "data-parallel", "micro-batches", "GiB a GPU", "step", "tokens/s", "hours", "GPU-hours"):
        table.add_column(column, justify="right")
    for row in record["sizes"]:
        gpus = f"{row['gpus']:,}{' (here)' if row['is_page'] else ''}"
        if "problem" in row:
            continue
        table.add_row(
            gpus,
            f"{row['data_parallel']:,}",
            f"{row['num_microbatches']:,}",
            f"{row['memory_gib']:.1f}{'' if row['fits'] else ' [red]too much[/]'}",
            f"{row['step_seconds']:.2f} s",
            human(row["tokens_per_second"]),
            f"{row['hours']:,.1f}",
            f"{row['gpu_hours']:,.0f}",
        )
    console.print(table)
    for row in record["sizes"]:
        if "problem" in row:
            console.print(f"{row['gpus']:,} GPUs: {escape(row['problem'])}", soft_wrap=True)
    console.print()
