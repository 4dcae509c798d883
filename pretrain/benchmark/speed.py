"""A step of ours against a step of the reference, what checkpoints cost, and how soon the first step is done."""

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pretrain import cost
from pretrain.benchmark.case import Case, not_begun
from pretrain.benchmark.convert import alone
from pretrain.benchmark.ours import Ours, describe_device
from pretrain.benchmark.reference import Reference
from pretrain.benchmark.side import Side, Step
from pretrain.metrics import METRICS

STEP_TARGET = {"cpu": 1.0, "cuda": 1.0}  # ratio to the reference
MFU_TARGET = 0.45  # of the 3B shape in bf16 on one H100
STALL_TARGET = 0.01  # share of a step that waits for data
SAVE_TARGET = 1.0  # seconds that training stands still for an asynchronous save
FIRST_STEP_TARGET = 10.0  # seconds, of a stage on a CPU whose files are there
SAME_LOSS = {"fp32": 1e-4, "bf16": 5e-2, "fp8": 1e-1}  # bf16: the reference's weights are rounded after every step
PATIENCE = 1800.0  # seconds for a first step


def comparisons(case: Case, root: Path) -> Iterator[dict[str, Any]]:
    """Everything that is measured of a case, in the folder `root`."""
    case.parallelism  # noqa: B018 (says now, not in another process, that the model does not fit)
    stage = alone(case.prepare, root)
    again = not_begun(stage)
    yield from _steps_and_saves(case, stage)
    yield _first_step(case, again)


def _steps_and_saves(case: Case, stage: Path) -> Iterator[dict[str, Any]]:
    """On a CPU both sides take turns. On CUDA one comes after the other, each with all of the memory."""
    number, threads = case.num_steps, case.cluster.threads_per_process
    with Side(Ours, stage, threads) as ours:
        ours.ask("write_batches", stage, number)
        if case.device == "cpu":
            with Side(Reference, stage, threads) as reference:
                pairs = [(ours.step(), reference.step()) for _ in range(number)]
                other = reference.path, reference.ask("peak_memory")
            own, others = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        else:
            own = [ours.step() for _ in range(number)]
        stall = sum(ours.ask("seconds_of_data")[case.warm_up :]) / sum(step.seconds for step in own[case.warm_up :])
        path, peak = ours.path, ours.ask("peak_memory")
        saves = {how: ours.ask("save", stage / how, how == "async") for how in ("sync", "async")}
    if case.device == "cuda":
        with Side(Reference, stage, threads) as reference:
            others = [reference.step() for _ in range(number)]
            other = reference.path, reference.ask("peak_memory")
    row = _step_row(case, own, others)
    yield {**row, "path": path, "peak_memory": peak, "reference_path": other[0], "reference_peak_memory": other[1]}
    yield _row("waiting for data", case, round(stall, 6), STALL_TARGET, unit="share of a step")
    yield _row("asynchronous save", case, saves["async"]["stall_seconds"], SAVE_TARGET, unit="s of stall", **saves)


def _step_row(case: Case, own: list[Step], others: list[Step]) -> dict[str, Any]:
    """On a CPU, seconds of the processor: those of the clock belong to whoever else is busy."""
    used, used_by_reference = (_medians(steps[case.warm_up :]) for steps in (own, others))
    field = "cpu_seconds" if case.device == "cpu" else "seconds"
    mine, theirs = getattr(used, field), getattr(used_by_reference, field)
    apart = max(abs(one.loss - other.loss) for one, other in zip(own, others, strict=True))
    is_same_loss = apart <= SAME_LOSS[case.precision]  # a step that computes something else may be as fast as it likes
    row: dict[str, Any] = {
        "what": f"step, {case.name}",
        "unit": "s of CPU" if case.device == "cpu" else "s",
        "ours": round(mine, 4),
        "reference": round(theirs, 4),
        "ratio": round(theirs / mine, 4),
        "target": STEP_TARGET[case.device],
        "holds": is_same_loss and theirs / mine >= STEP_TARGET[case.device],
        "largest_loss_difference": apart,
        "is_same_loss": is_same_loss,
        **describe_device(),
    }
    row["tokens_per_second"] = round(case.tokens_per_step / used.seconds, 1)
    if case.device == "cpu":
        return row | {"ratio_of_computing_threads": round(used_by_reference.thread_seconds / used.thread_seconds, 4)}
    flops = cost.flops_per_token(case.model, case.params.sequence_length)
    row["mfu"] = round(flops * case.tokens_per_step / used.seconds / (case.cluster.peak_tflops * 1e12), 4)
    if case.shape == "llama3_2_3b" and case.precision == "bf16":
        row |= {"mfu_target": MFU_TARGET, "holds": row["holds"] and row["mfu"] >= MFU_TARGET}
    return row


def _medians(steps: list[Step]) -> Step:
    return Step(*(statistics.median(values) for values in zip(*steps, strict=True)))


def _first_step(case: Case, folder: Path) -> dict[str, Any]:
    """Of `python -m pretrain FOLDER`, from the command to the first line of its metrics."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(case.cluster.threads_per_process)}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with subprocess.Popen([sys.executable, "-m", "pretrain", str(folder)], env=environment, stderr=subprocess.PIPE) as process:
        try:
            while not (folder / METRICS).is_file() or not (folder / METRICS).stat().st_size:
                time.sleep(0.01)
                if process.poll() is not None or time.monotonic() - started > PATIENCE:
                    raise ValueError(f"{folder} did no first step: {process.communicate()[1].decode()[-2000:]}")
            seconds = time.monotonic() - started
        finally:
            process.kill()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_seconds = round(used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime, 2)
    target = FIRST_STEP_TARGET if case.device == "cpu" else None
    return _row("first step", case, round(seconds, 2), target, unit="s", cpu_seconds=cpu_seconds)


def _row(what: str, case: Case, ours: float, target: float | None, **more: Any) -> dict[str, Any]:
    """Of something that has no reference but a limit."""
    ratio = None if target is None else round(ours / target, 4)
    holds = target is None or ours <= target
    return {"what": f"{what}, {case.name}", "ours": ours, "reference": target, "ratio": ratio, "holds": holds, **more}
