"""LaTeX of formulas that a page shows as images: from the alt text, else from the address of the rendering service."""

import re
from urllib.parse import parse_qs, unquote, unquote_plus, urlsplit

from curation.extract.latex import Formula, formula, looks_like_latex
from curation.extract.source import attributes
from curation.extract.tables import rows

_WIKIPEDIA = ("mwe-math-fallback-image-inline", "mwe-math-fallback-image-display")
_CLASSES = frozenset(["latex", "latexcenter", "tex", "math", "equation", "formula", *_WIKIPEDIA])
_DISPLAY_CLASSES = frozenset(["latexcenter", "displaymath", "display", _WIKIPEDIA[1]])
# codecogs takes rendering wishes before the formula: \dpi{120}&space;\bg_white&space;...
_WISHES = re.compile(r"^(?:\\(?:dpi\{\d+\}|(?:bg|fn)_\w+|(?:inline|large|small|huge|tiny|Large|LARGE|Huge)(?![a-zA-Z]))\s*)+")


def read_image(raw_attributes: str) -> Formula | None:
    """The formula of an img tag, or None if it does not show one."""
    attrs = attributes(raw_attributes)
    classes = set(attrs.get("class", "").lower().split())
    source = next((attrs[key] for key in ("src", "data-src", "data-lazy-src") if "/" in attrs.get(key, "")), "")
    where = next((where for mark, where in rows("image_services.tsv") if mark in source), None)
    if where is None and not classes & _CLASSES:
        return None
    alt = attrs.get("alt", "").strip()
    if not (alt and looks_like_latex(alt)) or alt.startswith(("http:", "https:", "/")):
        alt = _in_address(source, where) if where else ""
    wishes = _WISHES.match(alt)
    return formula(alt[wishes.end() :] if wishes else alt, is_display=bool(classes & _DISPLAY_CLASSES), kind="image")


def _in_address(source: str, where: str) -> str:
    try:
        parts = urlsplit(source)
    except ValueError:  # an address that cannot be taken apart, such as "http://[x": no formula in it
        return ""
    if where == "query":
        return unquote(parts.query.replace("&space;", " ")).strip()
    if where == "path":
        last = unquote(parts.path.rsplit("/", 1)[-1])
        return last.removesuffix(".svg").removesuffix(".png") if "\\" in last else ""
    query = parts.query.replace("&space;", " ")
    if where == "latex" and not query.startswith("latex="):
        query = re.sub(r"^.*?(?:^|&)latex=", "latex=", query)
    return next(iter(parse_qs(query).get(where, [])), "") or (unquote_plus(query) if where == "latex" else "")
