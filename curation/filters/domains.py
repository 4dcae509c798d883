"""Blocked domains: a host is blocked by itself or by any domain above it.

Lists of millions are kept as sorted 64-bit hashes: 8 bytes a domain, and a batch of hosts is looked up at once. With five million
domains a free host is taken for a blocked one once in 10**11 times. A list names its origin and date in its first line, for
nobody can judge an old list of unknown origin.
"""

import re
from array import array
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

from curation.filters.word_lists import find_list, open_list

_DATE = re.compile(r"\d{4}-\d{2}")
_DOMAIN = re.compile(r"[\w-]+(?:\.[\w-]+)*|[0-9a-f:]+")


def is_blocked(hosts: Sequence[str], lists: tuple[str, ...]) -> NDArray[np.bool_]:
    blocked = read_domains(lists)
    hashes, owners = array("Q"), array("q")
    for owner, host in enumerate(hosts):
        for suffix in _suffixes(ascii_domain(host)):
            hashes.append(xxhash.xxh3_64_intdigest(suffix))
            owners.append(owner)
    found = np.zeros(len(hosts), dtype=bool)
    if len(hashes) and len(blocked):
        wanted = np.frombuffer(hashes, dtype=np.uint64)
        near = np.minimum(np.searchsorted(blocked, wanted), len(blocked) - 1)
        found[np.frombuffer(owners, dtype=np.int64)[blocked[near] == wanted]] = True
    return found


@cache
def read_domains(lists: tuple[str, ...]) -> NDArray[np.uint64]:
    """The sorted hashes of all domains of the lists. Read once a process."""
    hashes = array("Q")
    for name in lists:
        hashes.extend(_read(find_list(name)))
    return np.unique(np.frombuffer(hashes, dtype=np.uint64))


def _read(file: Path) -> Iterable[int]:
    with open_list(file) as lines:
        first = next(lines, "")
        if not first.startswith("#") or not _DATE.search(first):
            raise ValueError(
                f"{file}: the first line must be a comment with the list's origin and date, such as "
                f"'# blocklist of example.org, 2026-01-31'; it is {first.strip()[:80]!r}"
            )
        for number, line in enumerate(lines, start=2):
            domain = line.strip().lower()
            if not domain or domain.startswith("#"):
                continue
            domain = domain.removeprefix("*.").strip(".")
            if not _DOMAIN.fullmatch(domain):
                raise ValueError(f"{file}, line {number}: {line.strip()[:80]!r} is no domain; write one a line, without path")
            yield xxhash.xxh3_64_intdigest(ascii_domain(domain))


def ascii_domain(domain: str) -> str:
    """müller.example as xn--mller-kva.example: URLs and lists write either."""
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:  # no name that could be asked for, such as an over-long label
        return domain


def _suffixes(host: str) -> list[str]:
    """a.b.c, b.c, c."""
    suffixes, start = [host], host.find(".") + 1
    while start:
        suffixes.append(host[start:])
        start = host.find(".", start) + 1
    return suffixes
