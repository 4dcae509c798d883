"""LaTeX of formulas that a page shows as images: from the alt text, else from the address of the rendering service.

An alt text counts where the image's class or address says that it is a formula, or where it says so itself (`is_latex`).
"""

import re
from functools import cache
from urllib.parse import parse_qs, unquote, unquote_plus, urlsplit

from curation.extract.asciimath import to_latex as from_asciimath
from curation.extract.latex import Formula, formula, looks_like_latex
from curation.extract.source import attributes
from curation.extract.tables import lines, rows

_WIKIPEDIA = ("mwe-math-fallback-image-inline", "mwe-math-fallback-image-display")
_CLASSES = frozenset(["latex", "latexcenter", "tex", "math", "equation", "formula", *_WIKIPEDIA])
_DISPLAY_CLASSES = frozenset(["latexcenter", "displaymath", "display", _WIKIPEDIA[1]])
# codecogs takes rendering wishes before the formula: \dpi{120}&space;\bg_white&space;...
_WISHES = re.compile(r"^(?:\\(?:dpi\{\d+\}|(?:bg|fn)_\w+|(?:inline|large|small|huge|tiny|Large|LARGE|Huge)(?![a-zA-Z]))\s*)+")
_MATHWORLD = frozenset(["inlineformula", "numberedequation", "displayformula"])  # their alt texts are nearly AsciiMath
# latex2html marks what has a label, WordPress what it is to draw
_MARKS = re.compile(r"% latex2html id marker \d+\s*|(?<=^\$)latex\s+")
_DISPLAY = re.compile(r"\\begin\{(equation\*?|displaymath)\}(.*)\\end\{\1\}", re.DOTALL)
_DELIMITERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"))
_COMMAND = re.compile(r"\\([a-zA-Z]{2,})(?:\s*([{^]))?")
_ENVIRONMENT = re.compile(r"\\begin\s*\{([^{}]*)\}")
_QUOTED = re.compile(r"\\(?:text[a-z]*|mbox|mathrm|operatorname)\*?\s*\{[^{}]*\}|\\[a-zA-Z]+")
_WORDS = re.compile(r"(?<![^\W\d_])[^\W\d_]{3,}+[.,;:]?\s++[^\W\d_]{3,}")
_LONG_WORD = re.compile(r"[a-z]{4}")
_PATH = re.compile(r"(?:^|[\s\"'(])[A-Za-z]:\\|^\\\\\w|\.(?:png|jpe?g|gif|svg|pdf|e?ps)$", re.IGNORECASE)
_FIGURE = re.compile(r"\\(?:includegraphics|epsf|psfig|caption)")  # latex2html draws figures as well


def read_image(raw_attributes: str) -> Formula | None:
    """The formula of an img tag, or None if it does not show one."""
    attrs = attributes(raw_attributes)
    classes = set(attrs.get("class", "").lower().split())
    source = next((attrs[key] for key in ("src", "data-src", "data-lazy-src") if "/" in attrs.get(key, "")), "")
    where = next((where for mark, where in rows("image_services.tsv") if mark in source), None)
    alt = _MARKS.sub("", attrs.get("alt", "").strip())
    if where is None and not classes & _CLASSES:
        if classes & _MATHWORLD and "\\" not in alt:
            return _read_mathworld(alt, classes)
        if not is_latex(alt):
            return None
    if not (is_latex(alt) or looks_like_latex(alt)) or alt.startswith(("http:", "https:", "/")):
        alt = _in_address(source, where) if where else ""
    wishes = _WISHES.match(alt)
    latex = alt[wishes.end() :] if wishes else alt
    display = _DISPLAY.fullmatch(latex)
    is_display = latex.startswith(r"\begin{") or bool(classes & _DISPLAY_CLASSES)
    return formula(display[2] if display else latex, is_display=is_display, kind="image")


def is_latex(alt: str) -> bool:
    """Whether an alt text is one formula by its delimiters or commands alone. Prices, paths, figures and sentences are not."""
    if ("\\" not in alt and "$" not in alt) or _PATH.search(alt) or _FIGURE.search(alt):
        return False
    pair = next((pair for pair in _DELIMITERS if alt.startswith(pair[0]) and alt.endswith(pair[1])), None)
    inside = alt[len(pair[0]) : -len(pair[1])] if pair else alt
    has_prose = _WORDS.search(_QUOTED.sub(" ", inside)) is not None
    if "$" in inside.replace(r"\$", "") or has_prose or any(name not in _environments() for name in _ENVIRONMENT.findall(inside)):
        return False
    if pair and "\\" not in inside:
        return any(map(str.isalnum, inside)) and not _LONG_WORD.search(inside)
    return pair is not None or any(argument or name in _commands() for name, argument in _COMMAND.findall(inside))


@cache
def _environments() -> frozenset[str]:
    return frozenset(lines("environments.txt"))


@cache
def _commands() -> frozenset[str]:
    """Of those without an argument the ones that the lists know."""
    latex = " ".join([*lines("symbols.tsv"), *lines("asciimath.tsv")])
    return frozenset([*re.findall(r"\\([a-zA-Z]{2,})", latex), *lines("functions.txt"), "displaystyle", "left", "right"])


def _read_mathworld(alt: str, classes: set[str]) -> Formula | None:
    latex = from_asciimath(alt)
    if _WORDS.search(alt) or (len(alt) > 3 and alt.isalpha() and not latex.startswith("\\")):  # "Equation"
        return None
    return formula(latex, is_display="inlineformula" not in classes, kind="image")


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
