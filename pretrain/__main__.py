"""Runs a stage of this room: `python -m pretrain FOLDER`, alone, under torchrun or under srun.

Exit status: 0 done, 1 failed, 2 a mistake in the recipe or its inputs, 75 interrupted by a signal with a checkpoint saved: the
same command goes on from there; the others are in `recipes/exits.py`. Import-light: all that can be checked without torch is
checked before torch is loaded.
"""

import argparse
import logging
import os
import sys
import time
from importlib import import_module
from pathlib import Path

from pretrain.ending import Failed, Interruption, Mistake, left_at_a_signal
from pretrain.inputs import check_inputs
from pretrain.logs import begin_logging
from recipes import exits
from recipes.stage import DIES_WITH_PARENT, LOGS, Stage, die_with_parent, read_stage, try_lock

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pretrain", description="Runs a stage of pretrain.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--index", action="store_true", help="only decide which samples a training stage sees; needs no GPU")
    asked = parser.parse_args(arguments)
    if os.environ.get(DIES_WITH_PARENT):
        die_with_parent(os.getppid())  # under torchrun too: it is killed with the command, its processes would go on
    begin_logging(is_first=is_first_process())
    try:
        stage = read_stage(asked.folder)
        if stage.is_finished:
            log.info("%s is finished already", stage.folder)
            return exits.DONE
        if asked.index:
            return index(stage)
        return KINDS[stage.do](stage)
    except (ValueError, Failed) as error:
        if is_first_process():
            log.error("%s", error)
        return exits.MISTAKE if isinstance(error, ValueError) else error.status
    except Exception as error:
        status = exits.of_error(error)
        if status == exits.FAILED:
            raise
        log.exception("%s cannot go on", asked.folder)
        return status


def train(stage: Stage) -> int:
    started = time.time()
    interruption = Interruption()
    from pretrain import certificate, parallel, preflight, publish

    job = preflight.check(stage)
    lock = preflight.lock(job.folder) if is_first_process() else None
    layout, backend = parallel.start(job.params, job.parallelism, job.cluster)
    from pretrain.train import Training

    try:
        reason = Training(job, layout, backend).run(interruption)
    except Exception as error:
        if layout.is_first:
            certificate.end_segment(
                job.folder, None, str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
            )
        if isinstance(error, ValueError) and not isinstance(error, Mistake):
            log.exception("training broke")  # of torch or Megatron, say: nothing that another page would mend
            return exits.FAILED
        raise
    if reason is None and layout.is_first:
        publish.publish(job, started)
    parallel.leave()
    if lock is not None:
        lock.close()
    return exits.DONE if reason is None else exits.INTERRUPTED


def index(stage: Stage) -> int:
    """Builds a training stage's index in one process, so that no GPU waits for it. Training builds it itself where it lacks."""
    if stage.do != "train":
        raise ValueError(f"--index: {stage.folder} is a stage of {stage.do}, and only training has an index; leave --index out")
    from pretrain import parallel, preflight

    job = preflight.check(stage, is_ahead=True)
    lock = preflight.lock(job.folder)
    parallel.join("cpu", rank=0, world_size=1, threads=1)
    from pretrain.blend import open_blend

    open_blend(job.stage, job.params, job.vocabulary)
    log.info("the index of %s is built", stage.folder)
    parallel.leave()
    lock.close()
    return exits.DONE


def average(stage: Stage) -> int:
    from pretrain.average import run

    run(stage)
    return exits.DONE


def export(stage: Stage) -> int:
    from pretrain.export import run

    return run(stage.folder)


def ask(stage: Stage) -> int:
    """What is asked of a finished checkpoint, and what its answers come to."""
    file = stage.folder / LOGS / "asking.lock"
    held = try_lock(file)
    if held is None:
        raise ValueError(f"another process makes this stage ({file} is locked); wait for it, or end it first")
    with held, left_at_a_signal():
        check_inputs(stage)
        import_module(ASKING[stage.do]).run(stage)
    return exits.DONE


ASKING = {
    "evaluate": "pretrain.evaluate.stage",
    "answers": "pretrain.readiness.stage",
    "readiness": "pretrain.readiness.card",
    "probe": "pretrain.probe.stage",
    "probe_verdict": "pretrain.probe.judge",
}
KINDS = {"train": train, "average": average, "export": export, **dict.fromkeys(ASKING, ask)}


def is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


if __name__ == "__main__":
    sys.exit(main())
