"""Presentation MathML of content MathML, which says what a formula means and leaves its look to the reader.

Reads the operators of lists/content_mathml.tsv, powers, roots, fractions, logarithms, sums and integrals. Any other raises
`UnreadableMath`: its arguments in a row would be a wrong formula.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple, NoReturn

from curation.extract.tables import lines
from curation.extract.tree import Node

_LEVELS = ("logic", "relation", "sum", "product")  # the later, the closer an operator binds
_QUALIFIERS = frozenset(["bvar", "lowlimit", "uplimit", "degree", "logbase", "condition", "domainofapplication"])
_OTHERS = frozenset(
    ["apply", "bind", "ci", "cn", "csymbol", "interval", "lambda", "list", "matrix", "piecewise", "reln", "set", "vector"]
)


class UnreadableMath(ValueError):
    """Markup of a formula that cannot be written as LaTeX."""


class _Operator(NamedTuple):
    kind: str  # a level, or: function, constant, big
    text: str


def from_content(node: Node) -> Node:
    """Presentation MathML of an element of content MathML and all in it; presentation stays as it is."""
    if node.name in ("apply", "reln"):
        return _applied(node)
    if node.name == "ci":
        return _row(*node.elements) if node.elements else Node("mi", {}, [node.text.strip()])
    if node.name == "cn":
        return _number(node)
    if is_content(node.name):
        operator = _operators().get(node.name)
        return Node("mi", {}, [operator.text]) if operator and operator.kind == "constant" else _refuse(node.name)
    return node


def is_content(name: str) -> bool:
    return name in _OTHERS or name in _operators()


@cache
def _operators() -> dict[str, _Operator]:
    rows = (line.split("\t") for line in lines("content_mathml.tsv"))
    return {name: _Operator(kind, text) for name, kind, text in rows}


def _refuse(what: str) -> NoReturn:
    raise UnreadableMath(f"content MathML with {what!r}, which is not known: the formula is left out")


def _number(node: Node) -> Node:
    kind = node.attrs.get("type", "real")
    parts = [child.strip() for child in node.children if isinstance(child, str)]
    if kind == "rational" and len(parts) == 2:
        return Node("mfrac", {}, [Node("mn", {}, [part]) for part in parts])
    if node.elements or kind not in ("real", "integer", "double"):
        _refuse(f"cn type={kind}")
    return Node("mn", {}, [node.text.strip()])


def _applied(node: Node) -> Node:
    """An operator, the first child, applied to those after it. Qualifiers say over what, and from where to where."""
    if not node.elements:
        _refuse(node.name)
    operator, *rest = node.elements
    name = operator.name
    arguments = [child for child in rest if child.name not in _QUALIFIERS]
    given = {child.name: _row(*child.elements) for child in rest if child.name in _QUALIFIERS}
    known = _operators().get(name, _Operator("", ""))
    if known.kind == "big" and len(arguments) == 1 and "bvar" in given.keys() <= {"bvar", "lowlimit", "uplimit"}:
        return _summed(known.text, arguments[0], given, is_integral=name == "int")
    if name == "root" and len(arguments) == 1 and given.keys() <= {"degree"}:
        parts = [from_content(arguments[0]), *given.values()]
        return Node("mroot" if given else "msqrt", {}, list(parts))
    if name == "log" and given.keys() <= {"logbase"}:
        log = Node("mi", {}, ["log"])
        return _row(Node("msub", {}, [log, *given.values()]) if given else log, _bracketed(arguments))
    if given or not arguments:
        _refuse(name)
    if name == "divide" and len(arguments) == 2:
        return Node("mfrac", {}, [from_content(argument) for argument in arguments])
    if name == "power" and len(arguments) == 2:
        return Node("msup", {}, [_closed(arguments[0]), from_content(arguments[1])])
    if name == "factorial" and len(arguments) == 1:
        return _row(_closed(arguments[0]), Node("mo", {}, ["!"]))
    if name == "abs":
        return _bracketed(arguments, "||")
    if known.kind in _LEVELS and (len(arguments) > 1 or name == "minus"):
        return _infix(name, arguments)
    if known.kind == "function":
        return _row(Node("mi", {}, [known.text]), _bracketed(arguments))
    return _row(from_content(operator), _bracketed(arguments)) if name == "ci" else _refuse(name)


def _infix(name: str, arguments: Sequence[Node]) -> Node:
    level, sign = _LEVELS.index(_operators()[name].kind), _operators()[name].text
    parts: list[Node] = []
    for index, argument in enumerate(arguments):
        own = _operator_of(argument)
        own_level = _LEVELS.index(_operators()[own].kind) if own else len(_LEVELS)
        is_chain = own == name != "minus" and level != _LEVELS.index("relation")
        is_left = index == 0 and len(arguments) > 1 and level != _LEVELS.index("relation")
        needs_brackets = own_level < level or (own_level == level and not is_chain and not is_left)
        part = _bracketed([argument]) if needs_brackets else from_content(argument)
        if index or len(arguments) == 1:  # 2 and 3 beside each other would be 23
            parts.append(Node("mo", {}, ["⋅" if name == "times" and _begins_with_number(part) else sign]))
        parts.append(part)
    return _row(*parts)


def _operator_of(argument: Node) -> str | None:
    """The operator that stands between parts of an argument."""
    name = argument.elements[0].name if argument.name in ("apply", "reln") and argument.elements else ""
    return name if name in _operators() and _operators()[name].kind in _LEVELS else None


def _begins_with_number(node: Node) -> bool:
    while node.name in ("mrow", "msup", "msub") and node.elements:
        node = node.elements[0]
    return node.name in ("mn", "mfrac")


def _closed(argument: Node) -> Node:
    """What a power or an exclamation mark may follow."""
    part = from_content(argument)
    is_letter = argument.name == "ci" or (argument.name != "apply" and part.name == "mi")
    return part if is_letter or (part.name == "mn" and not part.text.startswith("-")) else _bracketed([part])


def _summed(sign: str, body: Node, given: dict[str, Node], *, is_integral: bool) -> Node:
    """A sum, a product or an integral of `body`, with its limits and its variable."""
    variable, upper = given["bvar"], given.get("uplimit")
    lower = given.get("lowlimit", Node("mrow"))
    if not is_integral:
        lower = _row(variable, Node("mo", {}, ["="]), lower) if "lowlimit" in given else variable
    limits = [part for part in (lower, upper) if part is not None]
    around = Node("munderover" if upper else "munder", {}, [Node("mo", {}, [sign]), *limits])
    is_bare = is_integral and not given.keys() & {"lowlimit", "uplimit"}
    part = _bracketed([body]) if _operator_of(body) not in (None, "times") else from_content(body)
    rest = [Node("mi", {}, ["d"]), variable] if is_integral else []
    return _row(Node("mo", {}, [sign]) if is_bare else around, part, *rest)


def _bracketed(arguments: Sequence[Node], brackets: str = "()") -> Node:
    inside = [from_content(argument) for argument in arguments]
    return Node("mfenced", {"open": brackets[0], "close": brackets[1]}, list(inside))


def _row(*parts: Node) -> Node:
    return Node("mrow", {}, [from_content(part) for part in parts])
