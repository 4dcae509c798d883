"""The entry point of pretrain/ as the fork server's children run them."""

import os
import resource
import sys
from pathlib import Path


def run(folder: Path, log: Path, file_size_limit: int | None) -> None:
    from pretrain.__main__ import main

    if file_size_limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size_limit, file_size_limit))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 2)
    sys.exit(main([str(folder)]))
