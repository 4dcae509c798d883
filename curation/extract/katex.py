"""MathML of the boxes that KaTeX draws, for pages that kept nothing else.

KaTeX stacks what stands above each other in a "vlist", by heights in em: the more negative, the higher. Classes name the rest.
"""

import re

from curation.extract.tree import Node

_TOP = re.compile(r"top:\s*(-?\d+(?:\.\d+)?)em")
_FONTS = {
    "mathbf": "bold",
    "mathbb": "double-struck",
    "mathcal": "script",
    "mathscr": "script",
    "mathfrak": "fraktur",
    "mathsf": "sans-serif",
    "mathtt": "monospace",
    "boldsymbol": "bold-italic",
    "mathrm": "normal",
}
_LAYOUT = frozenset(
    ["strut", "pstrut", "vlist-s", "nulldelimiter", "frac-line", "hide-tail", "katex-mathml", "arraycolsep", "rule", "tag"]
)
_SUPERSCRIPT_TOP = -2.8  # a single script higher than this stands above


def from_katex(node: Node) -> Node:
    """MathML of a box and all in it."""
    classes = _classes(node)
    if classes & _LAYOUT or node.name == "svg":
        return Node("mrow")
    for name, read in _BOXES.items():
        if name in classes:
            return read(node)
    if not node.elements:
        return _token(node, classes)
    return _row(node)


def _classes(node: Node) -> set[str]:
    return set(node.attrs.get("class", "").split())


def _token(node: Node, classes: set[str]) -> Node:
    text = node.text.replace("\u200b", "").strip()
    if not text:
        return Node("mrow")
    if "mathnormal" in classes:  # neighbouring letters share a box: xy
        return Node("mrow", {}, [Node("mi", {}, [letter]) for letter in text])
    variant = next((value for name, value in _FONTS.items() if name in classes), None)
    kind = "mn" if text[0].isdigit() else "mi" if text.isalpha() else "mo"
    return Node(kind, {"mathvariant": variant} if variant else {}, [text])


def _row(node: Node) -> Node:
    parts: list[Node] = []
    for child in node.elements:
        if "msupsub" in _classes(child):
            base = parts.pop() if parts else Node("mrow")
            parts.append(_scripted(base, child))
        elif (part := from_katex(child)).children:
            parts.append(part)
    return parts[0] if len(parts) == 1 else Node("mrow", {}, list(parts))


def _stacked(node: Node) -> list[tuple[float, Node]]:
    """What the box's vlist holds, from the highest on: height and content."""
    vlist = _first(node, "vlist")
    rows = []
    for child in vlist.elements if vlist else []:
        top = _TOP.search(child.attrs.get("style", ""))
        if top and child.elements:
            rows.append((float(top[1]), child))
    return sorted(rows, key=lambda row: row[0])


def _first(node: Node, name: str) -> Node | None:
    for child in node.elements:
        found = child if name in _classes(child) else _first(child, name)
        if found:
            return found
    return None


def _scripted(base: Node, node: Node) -> Node:
    rows = _stacked(node)
    if len(rows) == 2:
        return Node("msubsup", {}, [base, from_katex(rows[1][1]), from_katex(rows[0][1])])
    if not rows:
        return base
    top, script = rows[0]
    return Node("msup" if top < _SUPERSCRIPT_TOP else "msub", {}, [base, from_katex(script)])


def _fraction(node: Node) -> Node:
    rows = [from_katex(row) for _, row in _stacked(node) if not _first(row, "frac-line")]
    has_line = _first(node, "frac-line") is not None
    return Node("mfrac", {} if has_line else {"linethickness": "0"}, [*rows]) if len(rows) == 2 else _row(node)


def _root(node: Node) -> Node:
    """The degree, where there is one, is a box of class root before that of the radicand."""
    degree = next((child for child in node.elements if "root" in _classes(child)), None)
    radicand = next((child for child in node.elements if child is not degree), Node("span"))
    inside = next((from_katex(row) for _, row in _stacked(radicand) if not _first(row, "hide-tail")), Node("mrow"))
    if degree is None:
        return Node("msqrt", {}, [inside])
    return Node("mroot", {}, [inside, *(from_katex(row) for _, row in _stacked(degree)[:1])])


def _limits(node: Node) -> Node:
    """An operator with what stands above and below it."""
    rows = [row for _, row in _stacked(node)]
    middle = next((index for index, row in enumerate(rows) if _first(row, "mop") and not _first(row, "sizing")), None)
    if middle is None:
        return _row(node)
    base = from_katex(rows[middle])
    over, under = [from_katex(row) for row in rows[:middle]], [from_katex(row) for row in rows[middle + 1 :]]
    if over and under:
        return Node("munderover", {}, [base, under[0], over[0]])
    return Node("mover" if over else "munder", {}, [base, *over[:1], *under[:1]]) if over or under else base


def _accented(node: Node) -> Node:
    rows = [row for _, row in _stacked(node)]
    accent = next((row for row in rows if _first(row, "accent-body")), None)
    base = next((row for row in rows if row is not accent), None)
    if accent is None or base is None:
        return _row(node)
    return Node("mover", {}, [from_katex(base), Node("mo", {}, [accent.text.replace("\u200b", "").strip()])])


def _lined(node: Node) -> Node:
    base = next((row for _, row in _stacked(node) if not _first(row, "overline-line")), Node("span"))
    return Node("mover", {}, [from_katex(base), Node("mo", {}, ["\u203e"])])


def _table(node: Node) -> Node:
    """Columns of cells, turned into rows."""
    columns = [
        [from_katex(cell) for _, cell in _stacked(column)] for column in node.elements if "arraycolsep" not in _classes(column)
    ]
    rows = [Node("mtr", {}, [Node("mtd", {}, [cell]) for cell in row]) for row in zip(*filter(None, columns), strict=False)]
    return Node("mtable", {}, list(rows))


def _text(node: Node) -> Node:
    return Node("mtext", {}, [node.text])


_BOXES = {
    "mfrac": _fraction,
    "sqrt": _root,
    "op-limits": _limits,
    "accent": _accented,
    "overline": _lined,
    "mtable": _table,
    "text": _text,
}
