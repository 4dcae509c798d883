"""Reads HTML source without building a tree: tags in one linear pass, the ends of elements, attributes.

A tree of the whole page costs five times as much as the text extraction itself; formulas need only their own few
hundred characters. Every pattern here consumes what it looks at, so that a page of 10 MB made of opening quotes or
brackets ends in time proportional to its length.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from html import unescape

# A quoted value may hold ">" (alttext="a>b"); possessive, so that nothing is ever tried twice.
ATTRIBUTES = r"""(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+)*+"""
# stricter than browsers: "a<b$" opens no element called b$, so the formula around it is still seen
TAG_NAME = r"[a-zA-Z][a-zA-Z0-9:-]*+"
VOID_TAGS = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
)

_BLOCKS = ("div", "article", "section", "ul", "ol", "li", "menu", "dir", "dl", "dd", "blockquote")
_ATTRIBUTE = re.compile(r"""([^\s=/"'<>]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_UNSEEN = re.compile(rf"<(?:!--|(script|style)(?=[\s/>])({ATTRIBUTES})(?:>|\Z))", re.IGNORECASE)
_END_OF = {
    name: re.compile(rf"</(?:m(?:ml)?:)?{name}(?=[\s/>])[^>]*+(?:>|\Z)", re.IGNORECASE) for name in ("script", "style", "math")
}
_MATH_SCRIPT = re.compile(r"""type\s*=\s*["']?(?:math/|text/(?:tex|latex))""", re.IGNORECASE)


@dataclass(slots=True)
class Token:
    """A tag, or (name "") a mathematics delimiter, at html[start:end]."""

    start: int
    end: int
    name: str  # lower case, without a namespace prefix
    is_closing: bool
    text: str  # raw attributes of a tag, or the delimiter itself
    partner: int = -1  # index of the closing (opening) token


def attributes(raw: str) -> dict[str, str]:
    """Attribute values by lower-case name, entities decoded; of a repeated name the first counts, as in browsers."""
    values: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(raw):
        value = next((group for group in match.groups()[1:] if group is not None), "")
        values.setdefault(match[1].lower(), unescape(value))
    return values


def drop_unseen(html: str) -> tuple[str, str]:
    """The page without comments, styles and scripts other than formulas; and the scripts that configure mathematics."""
    kept: list[str] = []
    configs: list[str] = []
    position = 0
    while match := _UNSEEN.search(html, position):
        kept.append(html[position : match.start()])
        if match[1] is None:
            end = html.find("-->", match.start() + 2)  # "<!-->" is a whole comment
            position = end + 3 if end >= 0 else len(html)
            continue
        closing = _END_OF[match[1].lower()].search(html, match.end())
        position = closing.end() if closing else len(html)
        if _MATH_SCRIPT.search(match[2]):
            kept.append(html[match.start() : position])
        else:
            body = html[match.end() : closing.start() if closing else len(html)]
            if "inlineMath" in body or "displayMath" in body or "delimiters" in body:
                configs.append(body)
    kept.append(html[position:])
    return "".join(kept), "\n".join(configs)


def tag_pattern(names: Iterable[str] | None, delimiters: Iterable[str] = ()) -> re.Pattern[str]:
    """Finds the named tags (None: all), with any namespace prefix of MathML, and delimiters (regular expressions)."""
    return _compiled(None if names is None else tuple(sorted(names)), tuple(delimiters))


@lru_cache(maxsize=64)
def _compiled(names: tuple[str, ...] | None, delimiters: tuple[str, ...]) -> re.Pattern[str]:
    name = TAG_NAME if names is None else "|".join(map(re.escape, names))
    tag = rf"<(/?)((?:m(?:ml)?:)?+(?:{name}))(?=[\s/>])({ATTRIBUTES})(?:>|\Z)"
    return re.compile("|".join([tag, *delimiters]), re.IGNORECASE)


def tokenize(html: str, pattern: re.Pattern[str]) -> list[Token]:
    """Tokens in order, opening tags joined to their closing tags. The inside of scripts and formulas is passed over."""
    tokens: list[Token] = []
    open_tags: dict[str, list[int]] = {}
    endless: set[str] = set()  # elements known not to be closed from here on: looked for once only
    position = 0
    while match := pattern.search(html, position):
        position = match.end()
        if match[2] is None:
            tokens.append(Token(match.start(), position, "", False, match[0]))
            continue
        name = match[2].lower().rpartition(":")[2]
        token = Token(match.start(), position, name, match[1] == "/", match[3])
        tokens.append(token)
        if token.is_closing:
            if open_tags.get(name):
                token.partner = open_tags[name].pop()
                tokens[token.partner].partner = len(tokens) - 1
        elif name not in VOID_TAGS:
            open_tags.setdefault(name, []).append(len(tokens) - 1)
            if name in ("script", "math") and name not in endless:
                closing = _END_OF[name].search(html, position)
                if closing:
                    position = closing.start()
                else:
                    endless.add(name)
    return tokens


def flatten(html: str, *, max_depth: int, min_tags: int = 1_000) -> str:
    """Drops the tags of blocks nested deeper than `max_depth`, on pages with at least `min_tags` of them.

    resiliparse 2.0.1 climbs to <body> from each block: 20,000 nested ones cost it 8 s, 200,000 hours. It also indents
    lists by their depth: 20,000 nested ones give 400 MB of text.
    """
    lower = html if "<DIV" not in html and "<UL" not in html and "<LI" not in html else html.lower()
    if sum(lower.count(f"<{name}") for name in _BLOCKS) < min_tags:
        return html
    kept: list[str] = []
    position = depth = 0
    dropped = dict.fromkeys(_BLOCKS, 0)
    for match in tag_pattern(_BLOCKS).finditer(html):
        name, is_closing = match[2].lower().rpartition(":")[2], match[1] == "/"
        if is_closing and not dropped[name]:
            depth = max(0, depth - 1)
        elif not is_closing and depth < max_depth:
            depth += 1
        else:
            dropped[name] += -1 if is_closing else 1
            kept += html[position : match.start()], " "
            position = match.end()
    return "".join([*kept, html[position:]])
