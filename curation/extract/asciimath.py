r"""AsciiMath -> LaTeX: `sum_(i=1)^n i^3=((n(n+1))/2)^2` becomes \sum_{i=1}^{n}i^{3}=\left(\frac{n(n+1)}{2}\right)^{2}.

The grammar of asciimath.org: symbols with scripts, fractions of two of them, brackets that vanish where LaTeX needs none. Its
words are in lists/asciimath.tsv. Matrices stay rows in brackets. What is no AsciiMath comes out as letters: nothing is refused.
"""

import re
from functools import cache

from curation.extract.symbols import join, symbols, words
from curation.extract.tables import lines

MAX_CHARS = 5_000
_MAX_DEPTH = 60
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*|\.\d+")
_QUOTED = re.compile(r'"([^"]*+)"|text\(([^)]*+)\)|mbox\(([^)]*+)\)')
_SPACE = re.compile(r"\s+")
_TALL = re.compile(r"\\(?:frac|sum|prod|int|oint)(?![a-zA-Z])")

Token = tuple[str, str]  # kind, LaTeX


def to_latex(text: str) -> str:
    """LaTeX without delimiters; the text itself, as letters, where it is longer than MAX_CHARS."""
    if len(text) > MAX_CHARS:
        return r"\texttt{" + symbols(" ".join(text.split())) + "}"
    reader = _Reader(_tokens(text))
    parts: list[str] = []
    while reader.tokens:
        parts.append(reader.expression())
        if reader.tokens:  # a bracket that closes nothing
            parts.append(reader.tokens.pop()[1])
    return join(parts)


@cache
def _words() -> tuple[dict[str, Token], re.Pattern[str]]:
    rows = [line.split("\t") for line in lines("asciimath.tsv")]
    longest_first = sorted((row[0] for row in rows), key=lambda word: (-len(word), word))
    return {word: (kind, latex) for word, kind, latex in rows}, re.compile("|".join(map(re.escape, longest_first)))


def _tokens(text: str) -> list[Token]:
    """The tokens, last first."""
    known, word = _words()
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        if match := _SPACE.match(text, position):
            pass
        elif match := _QUOTED.match(text, position):
            tokens.append(("symbol", words(next(group for group in match.groups() if group is not None))))
        elif match := _NUMBER.match(text, position):
            tokens.append(("symbol", match[0]))
        elif match := word.match(text, position):
            tokens.append(known[match[0]])
        else:
            character = text[position]
            tokens.append(("operator", character) if character in "_^/" else ("symbol", symbols(character)))
            position += 1
            continue
        position = match.end()
    return tokens[::-1]


class _Reader:
    """Takes tokens from the end of its list. What it reads comes twice: as it is, and without the bracket around all of it."""

    def __init__(self, tokens: list[Token]):
        self.tokens = tokens
        self.depth = 0

    def expression(self) -> str:
        """Up to a closing bracket or the end."""
        parts = []
        while self.tokens and self.tokens[-1][0] != "close":
            part, bare = self._scripted()
            if self._take("/"):
                _, lower = self._scripted()
                part = rf"\frac{{{bare}}}{{{lower}}}"
            parts.append(part)
        return join(parts)

    def _take(self, operator: str) -> bool:
        if self.tokens and self.tokens[-1] == ("operator", operator):
            self.tokens.pop()
            return True
        return False

    def _scripted(self) -> tuple[str, str]:
        is_function = bool(self.tokens) and self.tokens[-1][0] == "function" and self.depth < _MAX_DEPTH
        part, bare = self._simple()
        scripts = "".join(f"{operator}{{{self._script()}}}" for operator in "_^" if self._take(operator))
        if scripts:
            part = bare = part + scripts
        if is_function:  # with its argument: sin x/2 is a fraction
            self.depth += 1
            part = bare = join([part, self._scripted()[0]])
            self.depth -= 1
        return part, bare

    def _script(self) -> str:
        if self.tokens and self.tokens[-1] == ("symbol", "-"):
            self.tokens.pop()
            return f"-{self._simple()[1]}"
        return self._simple()[1]

    def _simple(self) -> tuple[str, str]:
        if not self.tokens or self.tokens[-1][0] == "close":
            return "", ""
        kind, latex = self.tokens.pop()
        if self.depth == _MAX_DEPTH:
            return latex, latex
        self.depth += 1
        part = bare = latex
        if kind == "open":
            part, bare = self._bracketed(latex)
        elif kind == "unary":
            part = bare = f"{latex}{{{self._simple()[1]}}}"
        elif kind == "fence":
            opening, closing = latex.split()
            part = bare = join([opening, self._simple()[1], closing])
        elif kind == "binary":
            first, second = self._simple()[1], self._simple()[1]
            part = bare = f"{latex}[{first}]{{{second}}}" if latex == r"\sqrt" else f"{latex}{{{first}}}{{{second}}}"
        self.depth -= 1
        return part, bare

    def _bracketed(self, opening: str) -> tuple[str, str]:
        inside = self.expression()
        closing = self.tokens.pop()[1] if self.tokens else "."
        if "." in (opening, closing) or _TALL.search(inside):
            opening, closing = rf"\left{opening}", rf"\right{closing}"
        return join([opening, inside, closing]), inside
