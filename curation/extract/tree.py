"""A small tree of one formula's markup: MathML, or the boxes that MathJax 3 draws in its place.

The boxes carry the structure of the MathML they came from, wrapped in layout; `from_chtml` and `from_svg` give it back.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape

from curation.extract.source import ATTRIBUTES, TAG_NAME, attributes

# Deeper markup is hung on its ancestor at this depth: real formulas stay below 40, and recursion stays safe.
MAX_DEPTH = 80

_MARKUP = re.compile(rf"<!\[CDATA\[|\]\]>|<(/?)({TAG_NAME})({ATTRIBUTES})(?:>|\Z)")
_CHARACTER_CLASS = re.compile(r"\bmjx-c([0-9A-F]{2,6})\b")
_LAYOUT = frozenset(
    f"mjx-{name}" for name in ("frac", "dbox", "dtable", "row", "box", "sqrt", "table", "itable", "mtable", "munder", "mover")
)


@dataclass(slots=True)
class Node:
    """An element: name in lower case without namespace prefix, children are elements and strings."""

    name: str
    attrs: Mapping[str, str] = field(default_factory=dict)
    children: "list[Node | str]" = field(default_factory=list)

    @property
    def elements(self) -> "list[Node]":
        return [child for child in self.children if isinstance(child, Node)]

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def find(self, name: str) -> "Node | None":
        """The first element of that name below this one, in document order."""
        for child in self.elements:
            found = child if child.name == name else child.find(name)
            if found:
                return found
        return None


def parse(fragment: str) -> Node:
    """The tree of a fragment under a nameless root. Never fails: stray closing tags are passed over."""
    root = Node("")
    path = [root]
    position = 0
    for match in _MARKUP.finditer(fragment):
        if match.start() > position:
            path[-1].children.append(unescape(fragment[position : match.start()]))
        position = match.end()
        if match[2] is None:
            continue
        name = match[2].lower().rpartition(":")[2]
        if match[1]:
            if any(node.name == name for node in path):
                while path.pop().name != name:
                    pass
        else:
            node = Node(name, attributes(match[3]) if match[3] else {})
            path[-1].children.append(node)
            if not match[3].endswith("/") and len(path) < MAX_DEPTH:
                path.append(node)
    path[-1].children.append(unescape(fragment[position:]))
    return root


def from_chtml(node: Node) -> Node:
    """MathML of MathJax 3's CHTML boxes (mjx-math and everything below)."""
    name = node.name.removeprefix("mjx-")
    if name in ("mi", "mn", "mo", "mtext", "ms"):
        return Node(name, node.attrs, [_characters(node)])
    if name == "mfrac":
        return Node("mfrac", {}, [_inside(node, "mjx-num"), _inside(node, "mjx-den")])
    if name in ("msqrt", "mroot"):
        degree = _below(node, "mjx-root")
        parts = [_inside(node, "mjx-box"), *([Node("mrow", {}, list(_kept(degree)))] if degree else [])]
        return Node("mroot" if degree else "msqrt", {}, list(parts))
    if name in ("munder", "mover", "munderover") and _below(node, "mjx-base"):
        parts = [_inside(node, f"mjx-{part}") for part in ("base", "under", "over") if _below(node, f"mjx-{part}")]
        return Node(name, node.attrs, list(parts))
    if name in ("msub", "msup", "msubsup", "munder", "mover", "munderover"):
        return _scripted(node, name.replace("munderover", "msubsup"))
    if name == "mtable":
        return Node("mtable", node.attrs, [from_chtml(row) for row in _rows(node)])
    return Node({"math": "mrow", "texatom": "mrow"}.get(name, name), node.attrs, list(_kept(node)))


def from_svg(node: Node) -> Node:
    """MathML of MathJax 3's SVG output: groups named by data-mml-node, characters by data-c."""
    name = node.attrs.get("data-mml-node", "mrow").lower()
    if name in ("mi", "mn", "mo", "mtext", "ms"):
        codes = [child.attrs["data-c"] for child in _descendants(node) if "data-c" in child.attrs]
        text = "".join(chr(int(code, 16)) for code in codes if re.fullmatch(r"[0-9A-Fa-f]{1,5}", code))
        return Node(name, {}, [text or node.text])
    children = [from_svg(child) for child in node.elements if child.name == "g"]
    return Node({"math": "mrow", "texatom": "mrow"}.get(name, name), node.attrs, list(children))


def _characters(node: Node) -> str:
    found = []
    for child in node.elements:
        code = _CHARACTER_CLASS.search(child.attrs.get("class", ""))
        found.append(child.text.strip("\n ") or (chr(int(code[1], 16)) if code and int(code[1], 16) < 0x110000 else ""))
    return "".join(found) or node.text


def _kept(node: Node) -> list[Node]:
    skipped = ("mjx-nstrut", "mjx-dstrut", "mjx-tstrut", "mjx-spacer", "mjx-line", "mjx-surd", "mjx-c")
    return [from_chtml(child) for child in node.elements if child.name not in skipped]


def _below(node: Node, name: str) -> Node | None:
    """The part of a box, looked for through layout only: parts of nested formulas have the same names."""
    for child in node.elements:
        if child.name == name:
            return child
        if child.name in _LAYOUT and (found := _below(child, name)):
            return found
    return None


def _scripted(node: Node, name: str) -> Node:
    base, scripts = Node("mrow"), []
    for child in _kept(node):
        if child.name == "script":
            scripts = child.elements
        else:
            base = child
    return Node(name, {}, [base, *reversed(scripts)])  # the upper script is drawn first


def _inside(node: Node, name: str) -> Node:
    part = _below(node, name)
    return Node("mrow", {}, list(_kept(part)) if part else [])


def _rows(node: Node) -> list[Node]:
    rows = []
    for child in node.elements:
        if child.name in ("mjx-mtr", "mjx-mlabeledtr"):
            rows.append(child)
        elif child.name in _LAYOUT:
            rows += _rows(child)
    return rows


def _descendants(node: Node) -> list[Node]:
    found = []
    for child in node.elements:
        found.append(child)
        found += _descendants(child)
    return found
