"""Regular expressions for the markup of one element: its attributes, the tags in it.

Every pattern consumes what it looks at, so that hostile markup takes time proportional to its length. Whole pages are read by
`curation.extract.scan`.
"""

import re
from html import unescape

# A quoted value may hold ">" (alttext="a>b"); possessive, so that nothing is ever tried twice.
ATTRIBUTES = r"""(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+)*+"""
# stricter than browsers: "a<b$" opens no element called b$, so the formula around it is still seen
TAG_NAME = r"[a-zA-Z][a-zA-Z0-9:-]*+"

_ATTRIBUTE = re.compile(r"""([^\s=/"'<>]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")


def attributes(raw: str) -> dict[str, str]:
    """Attribute values by lower-case name, entities decoded; of a repeated name the first counts, as in browsers."""
    values: dict[str, str] = {}
    for name, double, single, bare in _ATTRIBUTE.findall(raw):
        value = double or single or bare
        values.setdefault(name.lower(), unescape(value) if "&" in value else value)
    return values
