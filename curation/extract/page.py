"""HTML -> main text with its mathematics as LaTeX.

One compiled pass finds the tags (`scan`), formulas become placeholders (`rewrite`), the content is chosen by weight (`content`),
resiliparse renders what is left of the source, the placeholders become LaTeX again. Measured against trafilatura, resiliparse,
OpenWebMath's and MegaMath's extractors: `python -m curation.benchmark extract`.
"""

import re
from collections import Counter
from dataclasses import dataclass
from html import unescape

from resiliparse.extract.html2text import extract_plain_text

from curation.extract.content import choose
from curation.extract.cuts import PARAGRAPH_TAG
from curation.extract.latex import Formula
from curation.extract.rewrite import CLOSE, OPEN, Page

_PLACEHOLDER = re.compile(rf"{OPEN}(\d+){CLOSE}")
_WORD = re.compile(r"[^\W\d_]{3}")
_PUNCTUATION = frozenset(".,;:!?")
_FIGURE = re.compile(r"<(/?)(?:fig(?:ure|caption)|svg)(?=[\s>])", re.IGNORECASE)  # resiliparse 2.0.1 drops every one


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of a page. `equations_by_kind` counts the formulas in it by where their LaTeX came from; `limits` names those
    that the page ran into (tags, depth, formulas, formula_chars, and mathml: what LaTeX cannot write): beyond them nothing
    is read. `num_left_out`: formulas in what is no content, all of which stand in the text elsewhere, and in what no reader
    sees."""

    text: str
    title: str | None
    num_equations: int
    equations_by_kind: dict[str, int]
    limits: tuple[str, ...] = ()
    num_left_out: int = 0


def extract(html: str) -> Extracted:
    """Main text of a page, its formulas as $…$ and $$…$$ or in the delimiters they were written in.

    Depends on nothing but `html`. Text that is no valid Unicode is repaired, not refused.
    """
    for character in (OPEN, CLOSE):
        if character in html:
            html = html.replace(character, "")
    try:
        return _extract(html)
    except UnicodeEncodeError:  # lone surrogates
        return _extract(html.encode("utf-8", "replace").decode())


def _extract(html: str) -> Extracted:
    page = Page(html)
    source = _source(page)
    source.encode()  # resiliparse calls a string with lone surrogates no string
    text = extract_plain_text(source, main_content=False, preserve_formatting=True, alt_texts=False)
    text, used = _with_formulas(text.replace("\xa0", " "), page.formulas)
    title = " ".join(unescape(page.title or "").split())
    f"{title}{text}".encode()  # raises where a formula or the title cannot be written
    return Extracted(
        text=text.strip("\n").rstrip(),
        title=title or None,
        num_equations=len(used),
        equations_by_kind=dict(sorted(Counter(found.kind for found in used).items())),
        limits=tuple(sorted(page.limits)),
        num_left_out=len(page.formulas) - len(used),
    )


def _source(page: Page) -> str:
    """The source of the content, with placeholders."""
    parts: list[str] = []
    position = 0
    for start, stop, span in choose(page.scanned.data, page.scanned.tags, page.spans).tolist():
        parts.append(page.html[position:start])
        if span >= 0:
            parts.append(page.texts[span])
        elif span == PARAGRAPH_TAG:
            parts.append("</p>" if page.html.startswith("</", start) else "<p>")
        position = stop
    source = "".join([*parts, page.html[position:]])
    return _FIGURE.sub(r"<\1div", source)


def _with_formulas(text: str, formulas: list[Formula]) -> tuple[str, list[Formula]]:
    """The text with its formulas for their placeholders, and those that it holds."""
    lines: list[str] = []
    used: list[Formula] = []
    for line in text.split("\n"):
        if OPEN not in line:
            lines.append(line)
            continue
        pieces = _PLACEHOLDER.split(line)
        found = [formulas[int(number)] for number in pieces[1::2]]
        lines += _lines(pieces[::2], found, is_row="\t\t" in line)
        used += found
    return "\n".join(lines), used


def _lines(texts: list[str], formulas: list[Formula], *, is_row: bool) -> list[str]:
    """The lines that one becomes: displayed formulas stand on lines of their own, with the punctuation that follows them; not
    those in a row of a table. A formula stands between each text and the next."""
    lines: list[str] = []
    line = [texts[0]]
    for index, (found, text) in enumerate(zip(formulas, texts[1:], strict=True), start=1):
        if found.is_display and not is_row:
            punctuation = text[:1] if text[:1] in _PUNCTUATION else ""
            lines += ["".join(line).rstrip(" \t"), found.text + punctuation]
            line = [text[len(punctuation) :].lstrip(" \t")]
            continue
        line.append(found.text)
        # "$k$heads": the browser leaves room around what it draws; "$n$th" is meant so; "$a$$b$" would begin a display
        is_glued = (not text and index < len(formulas)) or _WORD.match(text)
        line.append(f" {text}" if is_glued and found.kind != "delimiters" else text)
    return [part for part in (*lines, "".join(line)) if part.strip()]
