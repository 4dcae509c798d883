"""Runs a training stage: `python -m pretrain.train FOLDER`, alone or under torchrun.

Exit status: 0 done, 1 failed, 2 a mistake in the recipe or its inputs, 75 interrupted by a signal with a checkpoint saved: the
same command goes on from there.

This module stays import-light: everything that can be checked without torch is checked before torch is loaded.
"""

import argparse
import logging
import os
import sys
import time
from pathlib import Path
from typing import IO

from pretrain.ending import DONE, FAILED, INTERRUPTED, MISTAKE, Diverged, Interruption
from pretrain.logs import begin_logging
from recipes.schema import Cadence, Cluster, Parallelism, TrainParams
from recipes.stage import DIES_WITH_PARENT, LOGS, die_with_parent, read_stage, try_lock

log = logging.getLogger(__name__)


def run(folder: Path) -> int:
    started = time.time()
    stage = read_stage(folder)
    if stage.is_finished:
        log.info("%s is finished already", stage.folder)
        return DONE
    params = TrainParams.model_validate(stage.params)
    cluster = Cluster.model_validate(stage.run["cluster"])
    parallelism = Parallelism.model_validate(stage.run.get("parallelism", {}))
    cadence = Cadence.model_validate(stage.run.get("cadence", {}))
    interruption = Interruption()

    from pretrain import convert, parallel, tokens

    parallel.check_layout(params, parallelism, int(os.environ.get("WORLD_SIZE", "1")))
    vocabulary = tokens.check_tokenizer(Path(stage.input("tokenizer")), params.model.vocab_size)
    tokens.check_datasets(stage, params)
    if not params.init_from_stage:
        convert.check_config(Path(stage.input("init")), params.model)

    lock = _lock(stage.folder / LOGS / "train.lock")
    layout = parallel.start(params, parallelism, cluster)
    from pretrain.loop import Training

    training = Training(stage, params, cluster, cadence, layout, vocabulary)
    is_done = training.run(interruption)
    if is_done and layout.is_first:
        training.publish(started)
    parallel.leave()
    if lock is not None:
        lock.close()
    return DONE if is_done else INTERRUPTED


def is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _lock(file: Path) -> IO[bytes] | None:
    """Held by the first process while it lives: a second run of the stage must not write beside this one."""
    if not is_first_process():
        return None
    held = try_lock(file)
    if held is None:
        raise ValueError(f"another process trains this stage ({file} is locked); wait for it, or end it first")
    return held


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m pretrain.train", description="Runs a training stage.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args(arguments).folder
    is_first = is_first_process()
    if os.environ.get(DIES_WITH_PARENT):
        die_with_parent(os.getppid())  # under torchrun too: it is killed with the command, its processes would go on
    begin_logging(is_first=is_first)
    try:
        return run(folder)
    except ValueError as error:
        if is_first:
            log.error("%s", error)
        return MISTAKE
    except Diverged as error:
        if is_first:
            log.error("%s", error)
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
