"""The data files in lists/: one item a line, columns parted by tabs."""

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "lists"


@cache
def lines(name: str) -> tuple[str, ...]:
    """The lines of lists/<name>, in order."""
    return tuple((FOLDER / name).read_text(encoding="utf-8").splitlines())


@cache
def characters(name: str) -> dict[str, str]:
    """Character -> LaTeX, from lines of: code point in hexadecimal, the character itself for the reader, LaTeX."""
    rows = (line.split("\t") for line in lines(name))
    return {chr(int(code, 16)): latex for code, _, latex in rows}


@cache
def rows(name: str) -> tuple[tuple[str, str], ...]:
    """Lines of two columns."""
    return tuple((first, second) for first, second in (line.split("\t") for line in lines(name)))
