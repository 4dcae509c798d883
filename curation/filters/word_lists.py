"""Word, domain and phrase lists: one item a line, `#` opens a comment line, letter case is ignored."""

import gzip
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TextIO

SHIPPED = Path(__file__).parent / "lists"


def find_list(name: str) -> Path:
    """The file of a shipped list, or of a list given as a path."""
    for file in (SHIPPED / f"{name}.txt", Path(name)):
        if file.is_file():
            return file
    shipped = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.txt")))
    raise ValueError(f"no list {name!r}: it is neither a file nor one of the shipped lists ({shipped})")


def open_list(file: Path) -> TextIO:
    """A list may be gzipped."""
    return gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else open(file, encoding="utf-8")  # type: ignore[return-value]


@cache
def read_lists(names: tuple[str, ...]) -> frozenset[str]:
    """All items of the lists, lower case. Read once a process."""
    found: set[str] = set()
    for name in names:
        with open_list(find_list(name)) as lines:
            found.update(item.lower() for item in items(lines))
    return frozenset(found)


def items(lines: Iterable[str]) -> list[str]:
    """The lines that hold an item. A comment is `#` and a space, so that an item may begin with `#`."""
    stripped = (line.strip() for line in lines)
    return [line for line in stripped if line and line != "#" and not line.startswith("# ")]
