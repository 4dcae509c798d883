"""The entry points of pretrain/ as the fork server's children run them."""

import os
import sys
from pathlib import Path


def run(do: str, folder: Path, log: Path) -> None:
    import pretrain.export
    import pretrain.train

    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 2)
    program = {"train": pretrain.train.main, "export": pretrain.export.main}[do]
    sys.exit(program([str(folder)]))
