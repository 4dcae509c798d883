"""Regular expressions for the markup of one element: its attributes, the tags in it.

Every pattern consumes what it looks at, so that hostile markup takes time proportional to its length. Whole pages are read by
`curation.extract.scan`.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from html import unescape

# A quoted value may hold ">" (alttext="a>b"); possessive, so that nothing is ever tried twice.
ATTRIBUTES = r"""(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+)*+"""
# stricter than browsers: "a<b$" opens no element called b$, so the formula around it is still seen
TAG_NAME = r"[a-zA-Z][a-zA-Z0-9:-]*+"

_USUAL_CHARS = 150
# begins where a name begins: from every letter of a long name without a value it would read on to the end of the name
_ATTRIBUTE = re.compile(r"""(?<![^\s=/"'<>])([^\s=/"'<>]++)\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++))""")


def attributes(raw: str) -> Mapping[str, str]:
    """Attribute values by lower-case name, entities decoded; of a repeated name the first counts, as in browsers."""
    return _usual(raw) if len(raw) < _USUAL_CHARS else _attributes(raw)


@lru_cache(maxsize=10_000)
def _usual(raw: str) -> Mapping[str, str]:
    """Pages write the same few attributes again and again."""
    return _attributes(raw)


def _attributes(raw: str) -> Mapping[str, str]:
    values: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(raw):
        value = double or single or bare
        values.setdefault(name.lower(), unescape(value) if "&" in value else value)
    return values
