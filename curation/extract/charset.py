"""Bytes of a page -> text. Believes bytes more than labels: valid UTF-8 is UTF-8, whatever the header says."""

import re

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

_BOMS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_HEADER = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:+-]+)", re.IGNORECASE)
_META = re.compile(
    rb"""<meta[^>]{1,300}?charset\s*=\s*["']?\s*([\w.:+-]+)|<\?xml[^>]{1,100}?encoding\s*=\s*["']([\w.:+-]+)""",
    re.IGNORECASE,
)
_META_BYTES = 4096
_ESCAPE = b"\x1b"


def decode(raw: bytes, content_type: str | None) -> str:
    """Text of an HTTP body. In order: byte order mark, UTF-8 if valid, HTTP charset, <meta>, detection.

    Never raises. A charset is taken only if the bytes are valid in it; if they are so in none, the one that leaves the
    fewest U+FFFD is.
    """
    for mark, encoding in _BOMS:
        if raw.startswith(mark):
            return raw[len(mark) :].decode(encoding, "replace")
    declared = _declared(raw, content_type)
    unmarked = _utf16_without_mark(raw)
    if unmarked:
        return raw.decode(unmarked, "replace")
    is_escaped = _ESCAPE in raw and "iso2022_jp" in declared  # every such page is ASCII, and so valid UTF-8 too
    candidates = [*declared, "utf-8"] if is_escaped else ["utf-8", *declared]
    for encoding in candidates:
        text = _strict(raw, encoding)
        if text is not None:
            return text
    detected = map_encoding_to_html5(detect_encoding(raw) or "utf-8", fallback_utf8=False)
    candidates.append((detected or "utf-8").lower())
    text = _strict(raw, candidates[-1])
    # a page in UTF-8 with a few broken bytes is detected as windows-1252, in which nearly everything is valid
    if text is not None and not _is_nearly_utf8(raw):
        return text
    return min((_replaced(raw, encoding) for encoding in candidates), key=lambda decoded: decoded.count("\ufffd"))


def _declared(raw: bytes, content_type: str | None) -> list[str]:
    names = []
    header = _HEADER.search(content_type or "")
    if header:
        names.append(header[1])
    meta = _META.search(raw[:_META_BYTES])
    if meta:
        names.append((meta[1] or meta[2]).decode("ascii", "replace"))
    mapped = [map_encoding_to_html5(name, fallback_utf8=False) for name in names]
    return [_python_name(name) for name in dict.fromkeys(mapped) if name]


def _python_name(name: str) -> str:
    return {"iso-2022-jp": "iso2022_jp"}.get(name.lower(), name.lower())


def _utf16_without_mark(raw: bytes) -> str | None:
    """Latin markup in UTF-16 has a zero in every other byte."""
    head = raw[:2000]
    if len(head) < 8 or head.count(0) < len(head) // 3:
        return None
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) < 4 * max(1, min(even, odd)):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _strict(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except (UnicodeDecodeError, LookupError):  # not this one: the next candidate is tried
        return None


def _replaced(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding, "replace")
    except LookupError:  # a label the web knows and Python does not
        return raw.decode("utf-8", "replace")


def _is_nearly_utf8(raw: bytes) -> bool:
    """At most one broken byte for fifty good letters outside ASCII."""
    text = raw.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    return broken * 50 <= sum(character > "\x7f" for character in text) - broken
