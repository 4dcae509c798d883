"""Text from a grammar: rules in phrases/*.txt, drawn with a seeded random number generator.

A file holds rules: ":name" opens one, every following line is an alternative, "#" opens a comment line. Inside an
alternative `<rule>` is replaced by an alternative of that rule, `<^rule>` also capitalises it, `<X=rule>` remembers the
result as `<X>`, and `<2..9>` draws a whole number. Values given to `expand` count as remembered.
An unknown name is an error when it is met: the phrases are ours, so it is our mistake.
"""

import random
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_REFERENCE = re.compile(r"<(\^?)(?:([A-Z])=)?([A-Za-z][A-Za-z0-9_.]*|\d+\.\.\d+)>")

# a piece of an alternative: literal text, a range of numbers, or (name, binds, capitalise)
Piece = str | tuple[int, int] | tuple[str, str, bool]


class Grammar:
    """Rules by name, each a tuple of alternatives that are already cut into pieces."""

    def __init__(self, rules: Mapping[str, list[str]]) -> None:
        self.rules = {name: tuple(_cut(line) for line in lines) for name, lines in rules.items()}
        self.lines = dict(rules)

    def expand(self, rule: str, rng: random.Random, values: Mapping[str, object] | None = None) -> str:
        """One text of the rule. Names remembered inside it are forgotten at its end."""
        scope = {name: str(value) for name, value in (values or {}).items()}
        out: list[str] = []
        self._expand(rule, rng, scope, out)
        return "".join(out)

    def sample(self, rule: str, count: int, rng: random.Random, values: Mapping[str, object] | None = None) -> list[str]:
        """`count` texts from different alternatives, as far as the rule has that many."""
        scope = {name: str(value) for name, value in (values or {}).items()}
        alternatives = self.rules[rule]
        order = rng.sample(range(len(alternatives)), min(count, len(alternatives)))
        return [self._assemble(alternatives[index], rng, dict(scope)) for index in order]

    def fill(self, text: str, rng: random.Random, values: Mapping[str, object]) -> str:
        """A text that is not a rule of its own, with its references replaced."""
        return self._assemble(_cut(text), rng, {name: str(value) for name, value in values.items()})

    def _assemble(self, pieces: tuple[Piece, ...], rng: random.Random, scope: dict[str, str]) -> str:
        out: list[str] = []
        self._walk(pieces, rng, scope, out)
        return "".join(out)

    def _expand(self, rule: str, rng: random.Random, scope: dict[str, str], out: list[str]) -> None:
        alternatives = self.rules[rule]
        self._walk(alternatives[int(rng.random() * len(alternatives))], rng, scope, out)

    def _walk(self, pieces: tuple[Piece, ...], rng: random.Random, scope: dict[str, str], out: list[str]) -> None:
        for piece in pieces:
            if isinstance(piece, str):
                _put(piece, out)
            elif len(piece) == 2:
                low, high = piece
                out.append(str(low + int(rng.random() * (high - low + 1))))
            else:
                name, binds, capitalise = piece
                if name in scope:
                    text = scope[name]
                else:
                    inner: list[str] = []
                    self._expand(name, rng, scope, inner)
                    text = "".join(inner)
                if binds:
                    scope[binds] = text
                _put(text[:1].upper() + text[1:] if capitalise else text, out)


def _put(text: str, out: list[str]) -> None:
    """Appends text; a LaTeX command such as \\mu keeps its distance from a letter that follows."""
    if out and out[-1][:1] == "\\" and out[-1][1:].isalpha() and text[:1].isalpha():
        out.append(" ")
    out.append(text)


def _cut(line: str) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    end = 0
    for match in _REFERENCE.finditer(line):
        if match.start() > end:
            pieces.append(line[end : match.start()])
        capitalise, binds, name = match.groups()
        if name[0].isdigit():
            low, high = name.split("..")
            pieces.append((int(low), int(high)))
        else:
            pieces.append((name, binds or "", bool(capitalise)))
        end = match.end()
    if end < len(line):
        pieces.append(line[end:])
    return tuple(pieces)


def parse_rules(text: str) -> dict[str, list[str]]:
    """Rules of one phrase file. ValueError for a line before the first rule, an empty rule or a rule made twice."""
    rules: dict[str, list[str]] = {}
    current: list[str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith(":"):
            name = line[1:].strip()
            if name in rules:
                raise ValueError(f"line {number}: rule {name!r} is made twice; join its alternatives")
            current = rules[name] = []
        elif current is None:
            raise ValueError(f"line {number}: {line!r} stands before the first rule; open one with ':name'")
        else:
            current.append(line)
    for name, lines in rules.items():
        if not lines:
            raise ValueError(f"rule {name!r} has no alternative; write one a line below it")
    return rules


@cache
def load_grammar() -> Grammar:
    """All of phrases/*.txt as one grammar."""
    rules: dict[str, list[str]] = {}
    for path in sorted(files("curation.sample").joinpath("phrases").iterdir(), key=lambda path: path.name):
        if not path.name.endswith(".txt"):
            continue
        for name, lines in parse_rules(path.read_text(encoding="utf-8")).items():
            if name in rules:
                raise ValueError(f"{path.name}: rule {name!r} is made in another file too; rename one of them")
            rules[name] = lines
    return Grammar(rules)
