"""Where a document comes from, as far as its metadata tell: dump, source, site, year."""

from typing import Any
from urllib.parse import urlsplit

UNKNOWN = "unknown"


def origin(metadata: dict[str, Any], kind: str) -> str:
    """`kind` is dump, source, site or year. A source that is one dump is named after it: without a dump, the source is meant."""
    if kind == "site":
        return site_of(metadata.get("url")) or UNKNOWN
    if kind == "year":
        year = year_of(metadata.get("date"))
        return UNKNOWN if year is None else str(year)
    return str(metadata.get(kind) or metadata.get("source") or UNKNOWN)


def site_of(url: Any) -> str | None:
    """The host without `www.`: math.stackexchange.com is another site than stackexchange.com."""
    if not isinstance(url, str) or not url:
        return None
    try:
        host = urlsplit(url if "//" in url else f"//{url}").hostname
    except ValueError:  # such as an unclosed [ of an IPv6 address
        return None
    return (host or "").rstrip(".").removeprefix("www.") or None


def year_of(date: Any) -> int | None:
    """Of a date that begins with its year: 2024-11-03T10:00:00Z."""
    year = str(date)[:4]
    return int(year) if len(year) == 4 and year.isascii() and year.isdigit() else None
