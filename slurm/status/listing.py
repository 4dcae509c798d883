"""Names in a folder, without a look at the files: a crawl has a hundred thousand of each kind."""

import os
from pathlib import Path


def names_in(folder: Path, suffix: str) -> set[str]:
    """Names that end so, but for temporary ones; nothing where there is no such folder."""
    try:
        return {name for name in os.listdir(folder) if name.endswith(suffix) and not name.startswith(".")}
    except FileNotFoundError:
        return set()
