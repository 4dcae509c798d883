"""URLs as people write and as crawls keep them: one form to compare, and a part that stands in both.

`https://Müller.example/a%20b/#top` and `xn--mller-kva.example/a b` are one page; no URL is too broken to be asked for.
"""

import re
from urllib.parse import unquote, urlsplit

_NOT_PLAIN = re.compile(r"%[0-9A-Fa-f]{2}|[^A-Za-z0-9._/:?=&-]+")  # written in several ways, or otherwise in JSON


def bare_url(url: str) -> str:
    """Host and what follows it, undone of percent signs; without the fragment, which no server sees, and the last slash."""
    host, rest = _parts(url)
    return f"{_ascii(host)}{unquote(rest)}".rstrip("/")


def plain_part(url: str) -> str:
    """The longest part of a URL that stands in it however it is written; empty where there is none."""
    host, rest = _parts(url)
    if not host.isascii() or "xn--" in host:  # then its labels one by one
        rest = f"{rest} {' '.join(label for label in host.split('.') if label.isascii() and not label.startswith('xn--'))}"
        host = ""
    return max((part.rstrip("/") for part in _NOT_PLAIN.split(f"{host}{rest}")), key=len)


def _parts(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url if "://" in url else f"//{url}")
    except ValueError:  # brackets that are no address of the sixth version
        return "", url.partition("://")[2] or url
    return parts.netloc.lower(), f"{parts.path}{f'?{parts.query}' if parts.query else ''}"


def _ascii(host: str) -> str:
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:  # no name that a server could have
        return host
