"""A formula found on a page, and how its LaTeX is made presentable."""

import re
from dataclasses import dataclass
from functools import lru_cache

_STYLED = re.compile(r"\{\s*\\(?:display|text)style(?![a-zA-Z])\s*+(.*)\}", re.DOTALL)
_STYLE = re.compile(r"\\displaystyle(?![a-zA-Z])\s*")
_DELIMITED = re.compile(r"\$\$(?P<double>.+)\$\$|\$(?P<single>[^$]+)\$|\\\[(?P<square>.+)\\\]|\\\((?P<round>.+)\\\)", re.DOTALL)
_ENVIRONMENT = re.compile(r"\\begin\{(equation\*?|displaymath|math)\}(.*)\\end\{\1\}", re.DOTALL)
_TOKEN = re.compile(r"\\(?:[a-zA-Z]+|\S)|\S")
_BRACED = re.compile(r"(?<!\S)\{ ([^\s{}]+) \}(?!\S)")
_USUAL_CHARS = 60
_LOOKS_LIKE_LATEX = re.compile(r"[\\^_={}<>+*/|]|^\W*[A-Za-z0-9]{1,3}\W*$")


@dataclass(frozen=True, slots=True)
class Formula:
    """LaTeX with its delimiters. An empty text stands for a twin of another formula: it is dropped."""

    text: str
    is_display: bool
    kind: str


TWIN = Formula("", False, "twin")


def formula(latex: str, *, is_display: bool, kind: str) -> Formula | None:
    """`$latex$` or `$$latex$$`, cleaned of delimiters and wrappers it came with; None if nothing remains."""
    document, is_ended, _ = latex.partition(r"\begin{document}")[2].partition(r"\end{document}")
    latex = (document if is_ended else latex).strip()
    delimited = _DELIMITED.fullmatch(latex) if latex.startswith(("$", "\\")) else None
    if delimited:
        is_display = is_display or delimited.lastgroup in ("double", "square")
        latex = delimited[delimited.lastgroup or 0].strip()
    styled = _STYLED.fullmatch(latex) if latex.startswith("{") else None
    if styled and is_balanced(styled[1]):
        latex = styled[1]
    latex = tidy(_STYLE.sub("", latex, count=1) if latex.startswith(r"\displaystyle") else latex, is_display=is_display)
    if not latex:
        return None
    return Formula(f"$${latex}$$" if is_display else f"${latex}$", is_display, kind)


def tidy(latex: str, *, is_display: bool) -> str:
    """Without the spaces of the source's layout. Lines stay in displays, and where a comment would swallow the next."""
    if "%" not in latex and not (is_display and "\n" in latex):
        return " ".join(latex.split())
    rows = [re.sub(r"[ \t\xa0\r\f]+", " ", row).strip() for row in latex.split("\n")]
    has_comment = re.search(r"(?<!\\)%", latex) is not None
    return ("\n" if is_display or has_comment else " ").join(row for row in rows if row)


def identity(text: str) -> str:
    """The same for formulas that differ in delimiters, spaces or braces around single tokens only: $x^{2}$ is \\[ x^2 \\]."""
    return _usual_identity(text) if len(text) < _USUAL_CHARS else _identity(text)


@lru_cache(maxsize=10_000)
def _usual_identity(text: str) -> str:
    """Pages write the same short formulas again and again."""
    return _identity(text)


def _identity(text: str) -> str:
    text = text.strip()
    delimited = _DELIMITED.fullmatch(text)
    environment = _ENVIRONMENT.fullmatch(text)
    latex = delimited[delimited.lastgroup or 0] if delimited else environment[2] if environment else text
    return "".join(_BRACED.split(" ".join(_TOKEN.findall(latex))))


def is_balanced(latex: str) -> bool:
    """Whether every brace closes an open one, and none stays open."""
    depth = 0
    for brace in re.findall(r"\\.|[{}]", latex, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        if depth < 0:
            return False
    return depth == 0


def looks_like_latex(text: str) -> bool:
    """Tells `x^2` and `n` from a description such as "graph of a function"."""
    return _LOOKS_LIKE_LATEX.search(text) is not None
