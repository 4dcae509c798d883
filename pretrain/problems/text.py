"""The text in a column of a row: how a number is written, and what is no text."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any


def text_of(row: Mapping[str, Any], column: str, place: str) -> str:
    """Numbers are text too, whole ones without a point; a list's parts are parted by commas. ValueError names `place`."""
    value = row[column]
    parts: Sequence[Any] = value if isinstance(value, list) else [value]
    text = ", ".join(_plain(part) for part in parts).strip()
    if not text or not is_whole(text):
        raise ValueError(f"{place}, column {column!r}: {value!r} is no text; take the row out, or name another column")
    return text


def is_whole(text: str) -> bool:
    """Without half a character (\\ud800), which JSON can hold and no tokenizer takes."""
    return text == text.encode(errors="ignore").decode()


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return "" if not isfinite(value) else str(int(value)) if value.is_integer() else str(value)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
