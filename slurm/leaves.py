"""Leaves of trees by their dotted keys, and where those of two roads are not the same."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


def flat(tree: Any, path: str = "") -> dict[str, Any]:
    """Leaves of a tree by their dotted keys; rows of a list by the name or number they carry."""
    if isinstance(tree, list) and any(isinstance(row, dict) for row in tree):
        tree = dict(_named_row(row, number) for number, row in enumerate(tree))
    if not isinstance(tree, dict):
        return {path: tree}
    leaves: dict[str, Any] = {}
    for key, branch in tree.items():
        leaves |= flat(branch, f"{path}.{key}" if path else str(key))
    return leaves


def _named_row(row: Any, number: int) -> tuple[str, Any]:
    """A row by the first of its keys that names rows, without it."""
    for key in ("name", "dataset", "threshold"):
        if isinstance(row, dict) and key in row:
            return str(row[key]), {other: value for other, value in row.items() if other != key}
    return str(number), row


def differences(
    names: Sequence[str], one: Mapping[str, Any], other: Mapping[str, Any], leaves: Callable[[Any], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Leaves of the stages that both roads have, where they are not the same."""
    rows = []
    for name in names:
        if name in one and name in other:
            a, b = leaves(one[name]), leaves(other[name])
            keys = [key for key in dict.fromkeys([*a, *b]) if a.get(key) != b.get(key)]
            rows += [{"stage": name, "key": key, "a": a.get(key), "b": b.get(key)} for key in keys]
    return rows
