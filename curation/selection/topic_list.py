"""A list of topics is a file with CODE TAB NAME on each line. Shipped ones lie in `topics/`; pages are planned with it, so this
loads no datatrove."""

import re
from collections.abc import Mapping
from pathlib import Path

LAST_LINE = re.compile(r"\W*Topic: *\W*([A-Za-z0-9_-]+)\b.*")  # models repeat the name behind the code
SHIPPED = Path(__file__).parent / "topics"


def find_topics(name: str) -> str:
    """The path of a shipped list; any other name is a path itself."""
    shipped = SHIPPED / f"{name}.tsv"
    return str(shipped) if shipped.is_file() else name


def read_topics(file: Path) -> dict[str, str]:
    """Name by code."""
    if not file.is_file():
        shipped = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.tsv")))
        raise ValueError(f"no list of topics {str(file)!r}: it is neither a file nor a shipped list ({shipped})")
    topics: dict[str, str] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        code, name = (part.strip() for part in (line.split("\t", 1) if "\t" in line else ("", "")))
        if not code or not name or code in topics:
            raise ValueError(f"{file}, line {number}: {line!r} is no new CODE TAB NAME; write each topic once, on its own line")
        topics[code] = name
    if not topics:
        raise ValueError(f"{file} names no topic; write CODE TAB NAME on each line")
    return topics


def read_topic(answer: str, topics: Mapping[str, str]) -> str | None:
    """The code on an answer's last line; None when it is none of the list."""
    lines = answer.strip().splitlines()
    found = LAST_LINE.fullmatch(lines[-1].strip()) if lines else None
    return found[1] if found and found[1] in topics else None
