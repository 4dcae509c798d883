"""Presentation MathML -> LaTeX, for formulas that carry no LaTeX of their own.

Covers what browsers and converters write: tokens, rows, fractions, roots, scripts, limits, accents, tables, fences.
Content MathML is turned into presentation first. Unknown elements
give their content; `UnreadableMath` is raised where that would be a wrong formula.
"""

import re
import unicodedata
from collections.abc import Callable

from curation.extract.content_mathml import UnreadableMath, from_content, is_content
from curation.extract.symbols import join, symbols, words
from curation.extract.tables import characters, lines
from curation.extract.tree import Node

_VARIANTS = {
    "bold": r"\mathbf",
    "double-struck": r"\mathbb",
    "script": r"\mathcal",
    "bold-script": r"\mathcal",
    "fraktur": r"\mathfrak",
    "bold-fraktur": r"\mathfrak",
    "sans-serif": r"\mathsf",
    "monospace": r"\mathtt",
    "bold-italic": r"\boldsymbol",
}
_SKIPPED = frozenset(["annotation", "annotation-xml", "none", "mprescripts", "mjx-assistive-mml", "mglyph"])
_COLUMNS = frozenset(["mlongdiv", "mstack"])
_FENCED_TABLES = {("(", ")"): "pmatrix", ("[", "]"): "bmatrix", ("|", "|"): "vmatrix", (r"\{", ""): "cases"}
_LIMITS = re.compile(r"\\(?:sum|prod|coprod|big\w+|lim|liminf|limsup|max|min|sup|inf|det|gcd|Pr|i*int|oi*int)\s*$")


def to_latex(node: Node) -> str:
    """LaTeX of a math element (or of any part of one), without delimiters."""
    return re.sub(r"\s+", " ", _latex(node)).strip()


def _latex(node: Node) -> str:
    name = node.name
    if name in _SKIPPED:
        return ""
    if name in _TOKENS:
        return _TOKENS[name](node)
    if name in _COLUMNS:
        raise UnreadableMath(f"<{name}> writes a calculation in columns, for which LaTeX has nothing: the formula is left out")
    if is_content(name):
        return _latex(from_content(node))
    children = node.elements
    if name in _FIXED and len(children) == _FIXED[name][0]:
        return _FIXED[name][1](*children)
    if name in _ELEMENTS:
        return _ELEMENTS[name](node)
    return _row(node)


# ---------------------------------------------------------------------------------------------------- tokens


def _identifier(node: Node) -> str:
    text = node.text.strip()
    if text in lines("functions.txt"):
        return f"\\{text}"
    command = _VARIANTS.get(node.attrs.get("mathvariant", ""))
    plain = unicodedata.normalize("NFKC", text) if len(text) > 1 else text
    if len(plain) > 1 and plain.isalpha() and plain.isascii():
        return f"{command or chr(92) + 'mathrm'}{{{plain}}}"
    latex = symbols(text)
    if command and latex:
        return f"{command}{{{latex}}}"
    is_upright_letter = node.attrs.get("mathvariant") == "normal" and text.isascii() and text.isalpha()
    return f"\\mathrm{{{text}}}" if is_upright_letter else latex


def _operator(node: Node) -> str:
    text = node.text.strip()
    return f"\\{text}" if text in lines("functions.txt") else symbols(text)


def _text(node: Node) -> str:
    if any(child.name == "math" for child in node.elements):
        return join([words(child) if isinstance(child, str) else _latex(child) for child in node.children])
    text = re.sub(r"\s+", " ", node.text.replace("\xa0", " "))
    if not text.strip():
        return " "
    return words(text)


def _space(node: Node) -> str:
    width = re.match(r"([\d.]+)em", node.attrs.get("width", ""))
    ems = float(width[1]) if width and width[1].count(".") <= 1 and width[1] != "." else 0.0
    return r"\qquad " if ems >= 2 else r"\quad " if ems >= 1 else ""


_TOKENS = {"mi": _identifier, "mo": _operator, "mn": _operator, "mtext": _text, "ms": _text, "mspace": _space}

# ---------------------------------------------------------------------------------------------------- layout


def _row(node: Node) -> str:
    children = node.elements
    if not children:
        return symbols(node.text.strip())
    parts: list[str] = []
    index = 0
    while index < len(children):
        environment = _fenced_table(children, index)
        if environment:
            parts.append(_table(_only(children[index + 1]), environment))
            index += 2 if environment == "cases" else 3
        else:
            parts.append(_latex(children[index]))
            index += 1
    return join(parts)


def _only(node: Node) -> Node:
    while node.name in ("mrow", "mstyle", "mpadded", "mtd") and len(node.elements) == 1:
        node = node.elements[0]
    return node


def _fenced_table(children: list[Node], index: int) -> str | None:
    if index + 1 >= len(children) or _only(children[index + 1]).name != "mtable":
        return None
    opening = _only(children[index])
    after = _only(children[index + 2]) if index + 2 < len(children) else Node("mo")
    if opening.name != "mo" or after.name != "mo":
        return None
    close = symbols(after.text.strip())
    opened = symbols(opening.text.strip()).replace(r"\mid", "|")
    if opened == r"\{" and close != r"\}":
        return "cases"
    return _FENCED_TABLES.get((opened, close.replace(r"\mid", "|")))


def _base(node: Node) -> str:
    """What a script hangs on: braced unless it is one symbol, one command with its arguments, or ends in a bracket."""
    latex = _latex(node).strip()
    core = _only(node)
    if core.name in ("msup", "msub", "msubsup", "munder", "mover", "munderover", "mfrac"):
        return f"{{{latex}}}"
    if len(latex) <= 1 or core.name in ("mi", "mo", "mn", "mtext", "msqrt", "mfenced", "mtable") or latex[-1] in ")]|":
        return latex or "{}"
    return latex if re.fullmatch(r"\\[a-zA-Z]+(?:\{[^{}]*\})?|\{.*\}", latex) else f"{{{latex}}}"


def _group(node: Node) -> str:
    return f"{{{_latex(node).strip()}}}"


def _superscript(base: Node, upper: Node) -> str:
    raised = _latex(upper).strip()
    if raised and not raised.strip("'"):
        return _base(base) + raised
    if raised == r"^{\circ}":
        return _base(base) + raised
    return f"{_base(base)}^{{{raised}}}"


def _over(base: Node, over: Node) -> str:
    latex, upper = _latex(base).strip(), _group(over)
    accent = characters("accents.tsv").get(over.text.strip())
    if accent:
        return f"{accent}{{{latex}}}"
    takes_limits = _LIMITS.match(latex) or latex.startswith(r"\overbrace")
    return f"{latex}^{upper}" if takes_limits else rf"\overset{upper}{{{latex}}}"


def _under(base: Node, under: Node) -> str:
    latex, lower = _latex(base).strip(), _group(under)
    accent = characters("under_accents.tsv").get(under.text.strip())
    if accent:
        return f"{accent}{{{latex}}}"
    takes_limits = _LIMITS.match(latex) or latex.startswith(r"\underbrace")
    return f"{latex}_{lower}" if takes_limits else rf"\underset{lower}{{{latex}}}"


def _under_over(base: Node, under: Node, over: Node) -> str:
    latex, lower, upper = _latex(base).strip(), _group(under), _group(over)
    if _LIMITS.match(latex):
        return f"{latex}_{lower}^{upper}"
    return rf"\overset{upper}{{\underset{lower}{{{latex}}}}}"


def _fraction(node: Node) -> str:
    if len(node.elements) != 2:
        return _row(node)
    upper, lower = map(_group, node.elements)
    if re.fullmatch(r"0+(?:\.0+)?(?:px|pt|em|ex)?", node.attrs.get("linethickness", "")):
        return f"{{{upper} \\atop {lower}}}"
    return rf"\frac{upper}{lower}"


def _fenced(node: Node) -> str:
    opening, closing = symbols(node.attrs.get("open", "(")), symbols(node.attrs.get("close", ")"))
    children = node.elements
    if len(children) == 1 and _only(children[0]).name == "mtable":
        is_cases = opening == r"\{" and not closing
        environment = "cases" if is_cases else _FENCED_TABLES.get((opening, closing))
        if environment:
            return _table(_only(children[0]), environment)
    separators = "".join(node.attrs.get("separators", ",").split())
    parts = [opening]
    for index, child in enumerate(children):
        if index and separators:
            parts.append(symbols(separators[min(index, len(separators)) - 1]))
        parts.append(_latex(child))
    return join([*parts, closing])


def _table(node: Node, environment: str | None = None) -> str:
    rows: list[list[str]] = []
    tag = ""
    for row in node.elements:
        cells = row.elements if row.name in ("mtr", "mlabeledtr") else [row]
        if row.name == "mlabeledtr" and cells:
            label = cells[0].text.strip()
            tag = rf"\tag{{{symbols(label.removeprefix('(').removesuffix(')'))}}}"
            cells = cells[1:]
        rows.append([_latex(cell).strip() for cell in cells])
    if len(rows) == 1 and (tag or len(rows[0]) == 1) and not environment:
        return join([*rows[0], tag])
    alignment = node.attrs.get("columnalign", "")
    is_aligned = alignment.startswith("right") or node.attrs.get("displaystyle") == "true"
    environment = environment or ("aligned" if is_aligned else "matrix")
    body = r" \\ ".join(" & ".join(cells) for cells in rows)
    return rf"\begin{{{environment}}}{body}\end{{{environment}}}"


def _multiscripts(node: Node) -> str:
    children = node.elements
    names = [child.name for child in children]
    split = names.index("mprescripts") if "mprescripts" in names else len(children)
    after, before = children[1:split], children[split + 1 :]

    def scripts(pairs: list[Node]) -> str:
        found = ""
        for lower, upper in zip(pairs[::2], pairs[1::2], strict=False):
            for sign, latex in (("_", _group(lower)), ("^", _group(upper))):
                found += sign + latex if latex != "{}" else ""
        return found

    prefix = "{}" + scripts(before) if before else ""
    return prefix + (_base(children[0]) if children else "") + scripts(after)


def _enclosed(node: Node) -> str:
    notation = node.attrs.get("notation", "longdiv").split()
    if "box" in notation or "roundedbox" in notation:
        return rf"\boxed{{{_row(node).strip()}}}"
    if "updiagonalstrike" in notation or "downdiagonalstrike" in notation:
        return rf"\cancel{{{_row(node).strip()}}}"
    if "top" in notation:
        return rf"\overline{{{_row(node).strip()}}}"
    return rf"\sqrt{{{_row(node).strip()}}}" if "radical" in notation else _row(node)


def _first(node: Node) -> str:
    return _latex(node.elements[0]) if node.elements else ""


_FIXED: dict[str, tuple[int, Callable[..., str]]] = {
    "mroot": (2, lambda radicand, degree: rf"\sqrt[{_latex(degree).strip()}]{_group(radicand)}"),
    "msub": (2, lambda base, lower: f"{_base(base)}_{_group(lower)}"),
    "msup": (2, _superscript),
    "msubsup": (3, lambda base, lower, upper: f"{_base(base)}_{_group(lower)}^{_group(upper)}"),
    "munder": (2, _under),
    "mover": (2, _over),
    "munderover": (3, _under_over),
}
_ELEMENTS: dict[str, Callable[[Node], str]] = {
    "mfrac": _fraction,
    "msqrt": lambda node: rf"\sqrt{{{_row(node).strip()}}}",
    "mfenced": _fenced,
    "mtable": _table,
    "mmultiscripts": _multiscripts,
    "menclose": _enclosed,
    "mphantom": lambda node: rf"\phantom{{{_row(node).strip()}}}",
    "semantics": _first,
    "maction": _first,
}
