r"""Formulas between delimiters in running text: \( \), \[ \], $ $, $$ $$, environments, and pairs a page configures."""

import re
from functools import cache
from html import unescape

from curation.extract.latex import Formula, tidy
from curation.extract.source import ATTRIBUTES, TAG_NAME, Token
from curation.extract.tables import lines

MAX_CHARS = 10_000
MAX_DOLLAR_CHARS = 1_000
MAX_TOKENS = 300
_MAX_NESTED = 4
_ELEMENT = re.compile(
    r"</?(?:abbr|address|article|aside|blockquote|body|button|caption|center|cite|code|d[dfltv]|del|details|div|em|"
    r"fieldset|fig\w+|font|footer|form|h[1-6r]|head|header|html|i?frame|img|input|ins|kbd|label|li|link|main|map|mark|math|"
    r"menu|meta|nav|no\w+|object|ol|option|pre|samp|script|section|select|small|span|strike|strong|style|su[bp]|summary|"
    r"svg|table|tbody|t[dhrt]|template|textarea|tfoot|thead|time|title|ul|var|video|mjx-container|tex-math|[abipqsu])"
    r"(?=[\s/>])",
    re.IGNORECASE,
)
_INSIDE_TAG = re.compile(rf"</?{TAG_NAME}(?=[\s/>]){ATTRIBUTES}>")
_MAX_TAG_CHARS = 2_000
_LIST = re.compile(r"(?:inlineMath|displayMath)[\"']?\s*[:=]\s*((?:[\[\],\s]|\"[^\"\n]{0,40}\"|'[^'\n]{0,40}'){1,80})")
_PAIR = re.compile(r"""\[\s*(["'])(.{1,20}?)\1\s*,\s*(["'])(.{1,20}?)\3\s*\]""")
_LEFT_RIGHT = re.compile(r"""left["']?\s*:\s*(["'])(.{1,20}?)\1\s*,\s*["']?right["']?\s*:\s*(["'])(.{1,20}?)\3""")
_STANDARD = {r"\(": r"\)", r"\[": r"\]"}
_WORDS = re.compile(r"(?:[^\W\d_]{2,}[.,;:]?\s+){3}")
_WORD = re.compile(r"\s[^\W\d_]{2,}|[^\W\d_]{2,}[.,;:]?\s")


def delimiter_pairs(html: str, config: str) -> dict[str, str]:
    """Opening -> closing, of the delimiters that occur on the page: the usual ones and those its scripts configure."""
    pairs = {opening: closing for opening, closing in _STANDARD.items() if opening in html}
    if html.count("$") > 1:
        pairs |= {"$": "$", "$$": "$$"}
    if r"\begin{" in html:
        pairs |= _environments()
    found = [(match[2], match[4]) for block in _LIST.finditer(config) for match in _PAIR.finditer(block[0])]
    found += [(match[2], match[4]) for match in _LEFT_RIGHT.finditer(config)]
    for opening, closing in found:
        opening, closing = opening.replace("\\\\", "\\"), closing.replace("\\\\", "\\")
        if len(opening) > 1 and len(closing) > 1 and "<" not in opening + closing and opening in html:
            pairs.setdefault(opening, closing)
    return pairs


@cache
def _environments() -> dict[str, str]:
    return {rf"\begin{{{name}}}": rf"\end{{{name}}}" for name in lines("environments.txt")}


def delimiter_patterns(pairs: dict[str, str]) -> list[str]:
    """Regular expressions that find the delimiters; and \\\\ and \\$, which delimit nothing.

    The same few expressions for nearly all pages: compiling one costs more than reading a page with it.
    """
    if not pairs:
        return []
    usual = {*_STANDARD, *_STANDARD.values(), "$", "$$", *_environments(), *_environments().values()}
    own = sorted({*pairs, *pairs.values()} - usual, key=lambda text: (-len(text), text))
    return [*map(re.escape, own), r"\\(?:[\\$()\[\]]|(?:begin|end)\{[a-zA-Z]+\*?\})", r"\$\$?"]


def closing_index(html: str, tokens: list[Token], index: int, pairs: dict[str, str]) -> int | None:
    """Index of the token that ends the formula begun at `index`; None if there is no formula.

    Only line breaks may stand between: other elements end a formula, as they do for MathJax.
    """
    opening = tokens[index].text
    closing = pairs.get(opening)
    if closing is None:
        return None
    start = tokens[index].end
    limit = MAX_DOLLAR_CHARS if opening == "$" else MAX_CHARS
    depth = 0
    for position in range(index + 1, min(index + MAX_TOKENS, len(tokens))):
        token = tokens[position]
        if token.start - start > limit:
            return None
        if token.name:
            continue  # elements are looked for when the end is found
        if token.text == closing and depth == 0:
            return position if _is_formula(html, tokens[index], token) else None
        elif token.text == closing:
            depth -= 1
        elif token.text == opening:
            depth += 1
            if not opening.startswith(r"\begin") or depth > _MAX_NESTED:
                return None
        elif opening == "$" and token.text == "$$":
            return None
    return None


def read_delimited(html: str, opening: Token, closing: Token) -> Formula:
    """The formula as written, delimiters included; entities decoded, <br> as line breaks."""
    text = re.sub(r"<w?br\b[^>]*>", "\n", html[opening.start : closing.end], flags=re.IGNORECASE)
    is_block = opening.text == r"\[" or opening.text.startswith(r"\begin")
    starts_line = html[max(0, opening.start - 40) : opening.start].rstrip(" \t")[-1:] in ("", "\n", ">")
    is_display = is_block or (opening.text == "$$" and starts_line)
    return Formula(tidy(unescape(text), is_display=is_block or opening.text == "$$"), is_display, "delimiters")


def _is_formula(html: str, opening: Token, closing: Token) -> bool:
    inside = html[opening.end : closing.start]
    if not inside.strip() or ("<" in inside and _ELEMENT.search(inside)) or _is_attribute(html, opening.start):
        return False
    if opening.text != "$":
        return True
    # Pandoc's rule tells formulas from prices: no space inside the dollars, no digit after them
    if inside[0].isspace() or inside[-1].isspace() or html[closing.end : closing.end + 1].isdigit():
        return False
    if "\\" in inside:
        return True
    return not (_WORD if inside[0].isdigit() else _WORDS).search(unescape(inside))


def _is_attribute(html: str, position: int) -> bool:
    """Whether the place is inside a tag, as in <a title="$5">."""
    before = html.rfind("<", max(0, position - _MAX_TAG_CHARS), position)
    tag = _INSIDE_TAG.match(html, before) if before >= 0 else None
    return tag is not None and tag.end() > position
