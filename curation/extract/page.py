"""HTML -> main text with its mathematics as LaTeX.

One compiled pass finds the tags (`scan`), formulas become placeholders (`rewrite`), the content is chosen by weight (`content`),
resiliparse renders what is left of the source, the placeholders become LaTeX again. Measured against trafilatura, resiliparse,
OpenWebMath's and MegaMath's extractors: `python -m curation.benchmark extract`.
"""

import re
from collections import Counter
from dataclasses import dataclass
from html import unescape

import numpy as np
from resiliparse.extract.html2text import extract_plain_text

from curation.extract.content import choose
from curation.extract.latex import Formula
from curation.extract.rewrite import CLOSE, OPEN, Page
from curation.extract.scan import within_limit

_UNWELCOME = ("\x00", OPEN, CLOSE)
_PLACEHOLDER = re.compile(rf"{OPEN}(\d+){CLOSE}")
# "$k$heads": the browser leaves room around what it draws; "$n$th" is meant so; "$a$$b$" would begin a display
_GLUED = re.compile(rf"{OPEN}(\d+){CLOSE}(?=[^\W\d_]{{3}}|{OPEN})")
_FIGURE = re.compile(r"<(/?)(?:fig(?:ure|caption)|svg)(?=[\s>])", re.IGNORECASE)  # resiliparse 2.0.1 drops every one
_DISPLAY_LINE = re.compile(rf"([ \t]*)({OPEN}\d+{CLOSE})([.,;:!?]?)[ \t]*")


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of a page. `equations_by_kind` counts the formulas in it by where their LaTeX came from; `limits` names those
    that the page ran into (tags, depth, formulas, formula_chars): beyond them nothing is read. `num_left_out`: formulas in
    links and in what is no content."""

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
    for character in _UNWELCOME:
        if character in html:
            html = html.replace(character, "")
    try:
        return _extract(html)
    except UnicodeEncodeError:  # lone surrogates
        return _extract(html.encode("utf-8", "replace").decode())


def _extract(html: str) -> Extracted:
    page = Page(within_limit(html))
    source = _source(page)
    source.encode()  # resiliparse calls a string with lone surrogates no string
    text = extract_plain_text(source, main_content=False, preserve_formatting=True, alt_texts=False)
    text = _own_lines(_unglued(text.replace("\xa0", " "), page.formulas), page.formulas)
    used = [page.formulas[int(number)] for number in _PLACEHOLDER.findall(text)]
    text = _PLACEHOLDER.sub(lambda match: page.formulas[int(match[1])].text, text)
    title = " ".join(unescape(page.title or "").split())
    f"{title}{text}".encode()  # raises where a formula or the title cannot be written
    return Extracted(
        text=text.strip("\n").rstrip(),
        title=title or None,
        num_equations=len(used),
        equations_by_kind=dict(sorted(Counter(found.kind for found in used).items())),
        limits=tuple(sorted(page.limits | ({"tags"} if len(page.html) < len(html) else set()))),
        num_left_out=len(page.formulas) - len(set(_PLACEHOLDER.findall(source))),
    )


def _source(page: Page) -> str:
    """The source of the content, with placeholders."""
    spans = np.array([span[:3] for span in page.spans], np.int32).reshape(-1, 3)
    parts: list[str] = []
    position = 0
    for start, stop, span in choose(page.scanned.data, page.scanned.tags, spans).tolist():
        parts.append(page.html[position:start])
        if span >= 0:
            parts.append(page.spans[span].text)
        position = stop
    source = "".join(parts)
    return _FIGURE.sub(r"<\1div", source)


def _unglued(text: str, formulas: list[Formula]) -> str:
    """A space between a formula that was an element and a word right after it."""

    def with_space(match: re.Match[str]) -> str:
        return match[0] if formulas[int(match[1])].kind == "delimiters" else f"{match[0]} "

    return _GLUED.sub(with_space, text)


def _own_lines(text: str, formulas: list[Formula]) -> str:
    """Displayed formulas on lines of their own, with the punctuation that follows them; not in tables."""

    def on_own_line(match: re.Match[str]) -> str:
        if not formulas[int(match[2][1:-1])].is_display:
            return match[0]
        return f"\n{match[2]}{match[3]}\n"

    lines = []
    for line in text.split("\n"):
        if OPEN in line and "\t\t" not in line:
            line = "\n".join(part for part in _DISPLAY_LINE.sub(on_own_line, line).split("\n") if part.strip())
        lines.append(line)
    return "\n".join(lines)
