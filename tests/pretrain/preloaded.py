"""Runs a stage in a process forked from one that has already loaded megatron-core: the same program without 3 s of imports."""

import os
import sys
import warnings
from pathlib import Path

from pretrain import cpu

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # megatron-core tells of the optional packages that it does not find
    cpu.install()
    import pretrain.export
    import pretrain.loop
    import pretrain.parity  # noqa: F401
    import pretrain.train


def run(room: str, folder: Path, log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 2)
    program = {"train": pretrain.train.main, "export": pretrain.export.main}[room]
    sys.exit(program([str(folder)]))
