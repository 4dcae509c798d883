"""What rows of files hold, as Python has it."""

from typing import Any

import pyarrow as pa


class BadValue:
    """A value of a column that Python cannot hold."""

    def __init__(self, error: Exception):
        self.kind = "invalid_utf8" if isinstance(error, UnicodeDecodeError) else "bad_value"


def column_values(column: pa.Array) -> list[Any]:
    """Bytes are texts that their writer did not call so, where they are UTF-8."""
    try:
        return [_decoded(value) if isinstance(value, bytes) else value for value in column.to_pylist()]
    except (ValueError, OverflowError):  # no UTF-8, a year above 9999
        return [_value(item) for item in column]


def _value(item: pa.Scalar) -> Any:
    try:
        return item.as_py()
    except (ValueError, OverflowError) as error:
        return BadValue(error)


def _decoded(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def lookup(row: dict[str, Any], path: str) -> Any:
    """A column, a field inside a struct ("metadata.url") or an item of a list ("generations.0")."""
    value: Any = row
    for key in path.split(".") if path not in row else [path]:
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value
