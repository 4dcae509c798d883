"""LaTeX to presentation MathML, for the little LaTeX that the phrases use. An unknown command is our mistake: KeyError.

Libraries (latex2mathml) cover far more; this one keeps the demo free of a dependency that nothing else needs.
"""

import re
from functools import cache
from html import escape
from importlib.resources import files

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\S")
_MATRICES = {"pmatrix": ("(", ")"), "vmatrix": ("|", "|")}


@cache
def _symbols() -> dict[str, tuple[str, str]]:
    table = {}
    for line in files("curation.sample").joinpath("tex_symbols.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            command, element, character = line.split(" ", 2)
            table[command] = (element, character)
    return table


def to_mathml(tex: str) -> str:
    """The content of a <math> element, as one <mrow>."""
    return f"<mrow>{''.join(_Parser(tex).row(()))}</mrow>"


def to_characters(tex: str) -> str:
    """What a reader sees, without structure: x2+1=0. This is what a rendered twin looks like as text."""
    return re.sub(r"\s+", "", re.sub(r"<[^>]+>", "", to_mathml(tex)))


class _Parser:
    """Reads tokens from left to right; each method consumes what it returns."""

    def __init__(self, tex: str) -> None:
        self.tokens: list[str] = _TOKEN.findall(tex)
        self.at = 0

    def _next(self) -> str:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def _peek(self) -> str | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def row(self, ends: tuple[str, ...]) -> list[str]:
        """Elements up to one of `ends`, which stays unread."""
        out: list[str] = []
        while self._peek() is not None and self._peek() not in ends:
            out.append(self._scripts(self._atom()))
        return out

    def _scripts(self, base: str) -> str:
        below = above = None
        while self._peek() in ("^", "_", "'"):
            mark = self._next()
            if mark == "'":
                above = "<mo>′</mo>"
            elif mark == "^":
                above = self._atom()
            else:
                below = self._atom()
        if below and above:
            return f"<msubsup>{base}{below}{above}</msubsup>"
        if below:
            return f"<msub>{base}{below}</msub>"
        return base if above is None else f"<msup>{base}{above}</msup>"

    def _group(self) -> str:
        """A braced group as one element."""
        if self._next() != "{":
            self.at -= 1
            return self._atom()
        inner = self.row(("}",))
        self._next()
        return inner[0] if len(inner) == 1 else f"<mrow>{''.join(inner)}</mrow>"

    def _word(self) -> str:
        """The letters of a braced group such as \\operatorname{Var}."""
        self._next()
        end = self.tokens.index("}", self.at)
        word = "".join(self.tokens[self.at : end])
        self.at = end + 1
        return word

    def _atom(self) -> str:
        token = self._next()
        if token == "{":
            self.at -= 1
            return self._group()
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token[0] != "\\":
            return f"<mi>{token}</mi>" if token.isalpha() else f"<mo>{escape(token)}</mo>"
        return self._command(token)

    def _command(self, token: str) -> str:
        match token:
            case "\\frac" | "\\dfrac" | "\\tfrac":
                return f"<mfrac>{self._group()}{self._group()}</mfrac>"
            case "\\binom":
                inner = f'<mfrac linethickness="0">{self._group()}{self._group()}</mfrac>'
                return f"<mrow><mo>(</mo>{inner}<mo>)</mo></mrow>"
            case "\\sqrt":
                return self._root()
            case "\\pmod":
                return f"<mrow><mo>(</mo><mi>mod</mi>{self._group()}<mo>)</mo></mrow>"
            case "\\overline":
                return f"<mover>{self._group()}<mo>¯</mo></mover>"
            case "\\overrightarrow":
                return f"<mover>{self._group()}<mo>→</mo></mover>"
            case "\\operatorname":
                return f"<mi>{self._word()}</mi>"
            case "\\mathbb":
                return f'<mi mathvariant="double-struck">{self._word()}</mi>'
            case "\\left" | "\\right":
                return f"<mo>{escape(self._next())}</mo>"
            case "\\begin":
                return self._matrix()
        element, character = _symbols()[token]
        return f"<{element}>{escape(character)}</{element}>"

    def _root(self) -> str:
        if self._peek() != "[":
            return f"<msqrt>{self._group()}</msqrt>"
        self._next()
        degree = "".join(self.row(("]",)))
        self._next()
        return f"<mroot>{self._group()}<mrow>{degree}</mrow></mroot>"

    def _matrix(self) -> str:
        left, right = _MATRICES[self._word()]
        rows = [[""]]
        while True:
            rows[-1][-1] = "".join(self.row(("&", "\\\\", "\\end")))
            end = self._next()
            if end == "&":
                rows[-1].append("")
            elif end == "\\\\":
                rows.append([""])
            else:
                self._word()
                break
        cells = ("".join(f"<mtd>{cell}</mtd>" for cell in row) for row in rows)
        body = "".join(f"<mtr>{row}</mtr>" for row in cells)
        return f"<mrow><mo>{left}</mo><mtable>{body}</mtable><mo>{right}</mo></mrow>"
