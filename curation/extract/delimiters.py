r"""Formulas between delimiters in running text: \( \), \[ \], $ $, $$ $$, environments, and pairs a page configures."""

import re
from functools import cache
from html import unescape
from typing import NamedTuple

from curation.extract.asciimath import to_latex as from_asciimath
from curation.extract.latex import Formula, tidy
from curation.extract.tables import lines

MAX_CHARS = 10_000
MAX_DOLLAR_CHARS = 1_000
MAX_DELIMITERS = 300
_MAX_NESTED = 4
_ELEMENT = re.compile(
    r"</?(?:abbr|address|article|aside|blockquote|body|button|caption|center|cite|code|d[dfltv]|del|details|div|em|"
    r"fieldset|fig\w+|font|footer|form|h[1-6r]|head|header|html|i?frame|img|input|ins|kbd|label|li|link|main|map|mark|math|"
    r"menu|meta|nav|no\w+|object|ol|option|pre|samp|script|section|select|small|span|strike|strong|style|su[bp]|summary|"
    r"svg|table|tbody|t[dhrt]|template|textarea|tfoot|thead|time|title|ul|var|video|mjx-container|tex-math|[abipqsu])"
    r"(?=[\s/>])",
    re.IGNORECASE,
)
_BREAK = re.compile(r"<w?br\b[^<>]*+>", re.IGNORECASE)
_LIST = re.compile(r"(?:inlineMath|displayMath)[\"']?\s*[:=]\s*((?:[\[\],\s]|\"[^\"\n]{0,40}\"|'[^'\n]{0,40}'){1,80})")
_PAIR = re.compile(r"""\[\s*(["'])(.{1,20}?)\1\s*,\s*(["'])(.{1,20}?)\3\s*\]""")
_LEFT_RIGHT = re.compile(r"""left["']?\s*:\s*(["'])(.{1,20}?)\1\s*,\s*["']?right["']?\s*:\s*(["'])(.{1,20}?)\3""")
# begin where a word begins: from every letter of a long word they would read on to its end
_WORDS = re.compile(r"(?<![^\W\d_])(?:[^\W\d_]{2,}+[.,;:]?\s++){3}")
_WORD = re.compile(r"\s[^\W\d_]{2,}|(?<![^\W\d_])[^\W\d_]{2,}+[.,;:]?\s")


ASCIIMATH = "`"
# ASCIIMathML.js; asciimath2jax and input/asciimath of MathJax; its configuration AM_CHTML
_READS_ASCIIMATH = re.compile(r"asciimath|[?&]config=AM_", re.IGNORECASE)


class Delimiter(NamedTuple):
    start: int
    end: int
    text: str


def usual_pairs(found: set[str]) -> dict[str, str]:
    """Opening -> closing, of the usual delimiters among these."""
    return {opening: closing for opening, closing in _usual().items() if opening in found and closing in found}


def configured_pairs(html: str, scripts: str) -> dict[str, str]:
    """Those that the page's scripts configure, other than single characters and the usual ones; and AsciiMath's backticks."""
    found = [(match[2], match[4]) for block in _LIST.finditer(scripts) for match in _PAIR.finditer(block[0])]
    found += [(match[2], match[4]) for match in _LEFT_RIGHT.finditer(scripts)]
    pairs: dict[str, str] = {}
    for opening, closing in found:
        opening, closing = opening.replace("\\\\", "\\"), closing.replace("\\\\", "\\")
        is_usual = opening in _usual()
        if len(opening) > 1 and len(closing) > 1 and not is_usual and "<" not in opening + closing and opening in html:
            pairs.setdefault(opening, closing)
    if html.count(ASCIIMATH) > 1 and _READS_ASCIIMATH.search(html):
        pairs[ASCIIMATH] = ASCIIMATH
    return pairs


def find_delimiters(html: str, pairs: dict[str, str]) -> list[Delimiter]:
    """Every place of these delimiters, in order; of two that begin alike the longer."""
    texts = sorted({*pairs, *pairs.values()}, key=lambda text: (-len(text), text))
    return [Delimiter(match.start(), match.end(), match[0]) for match in re.finditer("|".join(map(re.escape, texts)), html)]


@cache
def _usual() -> dict[str, str]:
    environments = {rf"\begin{{{name}}}": rf"\end{{{name}}}" for name in lines("environments.txt")}
    return {r"\(": r"\)", r"\[": r"\]", "$": "$", "$$": "$$", **environments}


def closing_index(html: str, delimiters: list[Delimiter], index: int, pairs: dict[str, str]) -> int | None:
    """Index of the delimiter that ends the formula begun at `index`; None if there is no formula.

    Only line breaks may stand between: other elements end a formula, as they do for MathJax.
    """
    opening = delimiters[index].text
    closing = pairs.get(opening)
    if closing is None:
        return None
    start = delimiters[index].end
    limit = MAX_DOLLAR_CHARS if opening == "$" else MAX_CHARS
    depth = 0
    for position in range(index + 1, min(index + MAX_DELIMITERS, len(delimiters))):
        delimiter = delimiters[position]
        if delimiter.start - start > limit:
            return None
        if delimiter.text == closing and depth == 0:
            return position if _is_formula(html, delimiters[index], delimiter) else None
        elif delimiter.text == closing:
            depth -= 1
        elif delimiter.text == opening:
            depth += 1
            if not opening.startswith(r"\begin") or depth > _MAX_NESTED:
                return None
        elif opening == "$" and delimiter.text == "$$":
            return None
    return None


def read_delimited(html: str, opening: Delimiter, closing: Delimiter) -> Formula:
    """The formula as written, delimiters included; entities decoded, <br> as line breaks."""
    text = html[opening.start : closing.end]
    if "<" in text:
        text = _BREAK.sub("\n", text)
    if opening.text == ASCIIMATH:
        latex = from_asciimath(unescape(text[1:-1]))
        return Formula(f"${tidy(latex, is_display=False)}$", False, "asciimath")
    is_block = opening.text == r"\[" or opening.text.startswith(r"\begin")
    is_double = opening.text == "$$"
    is_display = is_block or (is_double and _starts_line(html, opening.start))
    return Formula(tidy(unescape(text), is_display=is_block or is_double), is_display, "delimiters")


def _starts_line(html: str, position: int) -> bool:
    return html[max(0, position - 40) : position].rstrip(" \t")[-1:] in ("", "\n", ">")


def _is_formula(html: str, opening: Delimiter, closing: Delimiter) -> bool:
    inside = html[opening.end : closing.start]
    if not inside.strip() or ("<" in inside and _ELEMENT.search(inside)):
        return False
    if opening.text != "$":
        return True
    # Pandoc's rule tells formulas from prices: no space inside the dollars, no digit after them
    if inside[0].isspace() or inside[-1].isspace() or html[closing.end : closing.end + 1].isdigit():
        return False
    if "\\" in inside:
        return True
    return not (_WORD if inside[0].isdigit() else _WORDS).search(unescape(inside))
