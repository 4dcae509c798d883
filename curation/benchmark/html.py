"""Web pages with what an extractor should find in them: real ones of the data folder, else made as the sample's are.

Equations are compared without spaces, styles (`\\displaystyle`), and the comma or full stop at their end.
Main text is compared as a multiset of words, in scripts without spaces of characters.
"""

import gzip
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

from curation.sample.chrome import page_html
from curation.sample.grammar import load_grammar
from curation.sample.markup import MARKUPS
from curation.sample.pages import Page, write_page

HEAVY_CHARS = 250_000
_SEED = "html"
_KINDS = ("math_lecture", "math_theorem", "math_example", "math_forum", "math_encyclopedia")
_MARKUPS = tuple(name for name in MARKUPS if name not in ("none", "mathml_bare"))
_ALTTEXT = re.compile(r'<math(?=\s)[^>]*?alttext="([^"]*)"')
_EQUATION = re.compile(
    r"\$\$(.+?)\$\$|(?<![\\$])\$(?=[^\s$])((?:[^$\n]|\n(?!\n))+?)(?<![\s\\])\$(?!\d)|\\\((.+?)\\\)|\\\[(.+?)\\\]"
    r"|(\\begin\{(align\*?|equation\*?|gather\*?|eqnarray\*?)\}.+?\\end\{\6\})",
    re.DOTALL,
)
_CODE = re.compile(r"^```.*?^```|`[^`\n]+`", re.DOTALL | re.MULTILINE)
_LAYOUT = re.compile(r"\\(?:display|text)style(?![a-zA-Z])|(?<!\\)%|\s")
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class WebPage:
    """`text` None: the main text is not known. `wanted` and `unwanted`: pieces that it holds, and others on the page."""

    html: str
    equations: tuple[str, ...] = ()
    text: str | None = None
    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()


def mathematics(data: Path | None, count: int) -> list[WebPage]:
    """Pages of mathematics: PlanetMath's from the data folder, with the LaTeX in their alternative texts; else made ones."""
    if data is None:
        return [made(number) for number in range(count)]
    rows = [row for row in rows_of(data / "web" / "web_open.jsonl.gz") if row["site"].startswith("planetmath")]
    return [
        WebPage(row["html"], alternative_texts(row["html"])) for row in random.Random(_SEED).sample(rows, min(count, len(rows)))
    ]


def heavy(data: Path | None, count: int) -> list[WebPage]:
    """Pages of 250 KB or more."""
    if data is None:
        return [made(number, min_chars=HEAVY_CHARS) for number in range(count)]
    files = ("web_open.jsonl.gz", "web_thirdparty.jsonl.gz")
    pages = [WebPage(row["html"]) for file in files for row in rows_of(data / "web" / file) if len(row["html"]) >= HEAVY_CHARS]
    return pages[:count]


def articles(data: Path, name: str) -> list[WebPage]:
    """A gold set of main text: aeb, readability or trafilatura."""
    gold = rows_of(data / "peer-tests" / f"extract_{name}_gold.jsonl.gz")
    wanted = {row["html_id"] for row in gold}
    files = ("web_open.jsonl.gz", "web_thirdparty.jsonl.gz")
    html = {row["id"]: row["html"] for file in files for row in rows_of(data / "web" / file) if row["id"] in wanted}
    return [_article(html[row["html_id"]], row) for row in gold if row["html_id"] in html]


def cp_algorithms(data: Path) -> list[WebPage]:
    """Pages made from Markdown, with the equations of their sources."""
    html = {row["id"]: row["html"] for row in rows_of(data / "web" / "web_open.jsonl.gz")}
    sources = rows_of(data / "text" / "cp_algorithms_md.jsonl.gz")
    return [
        WebPage(html[row["html_id"]], tuple(equations(_CODE.sub("", row["text"])))) for row in sources if row["html_id"] in html
    ]


def made(number: int, *, min_chars: int = 0) -> WebPage:
    """A page of the sample's grammar, in the markups by turns. It depends on its number alone."""
    rng = random.Random(f"{_SEED}/{number}")
    grammar, markup = load_grammar(), _MARKUPS[number % len(_MARKUPS)]
    page = write_page(_KINDS[number % len(_KINDS)], grammar, rng)
    html = page_html(page, markup, grammar, rng)
    while len(html) < min_chars:
        others = [write_page(rng.choice(_KINDS), grammar, rng) for _ in range(8)]
        blocks = (*page.blocks, *(block for other in others for block in other.blocks))
        page = Page(page.kind, page.title, blocks, page.quality)
        html = page_html(page, markup, grammar, rng)
    return WebPage(html, tuple(map(normal_equation, page.equations)), page.text)


def rows_of(file: Path) -> list[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def alternative_texts(html: str) -> tuple[str, ...]:
    return tuple(normal_equation(unescape(latex)) for latex in _ALTTEXT.findall(html, max(0, html.find("<body"))))


def _article(html: str, row: dict[str, Any]) -> WebPage:
    if "with" in row:
        return WebPage(html, wanted=tuple(row["with"]), unwanted=tuple(row["without"]))
    return WebPage(html, text=row["articleBody"] if "articleBody" in row else unescape(_TAG.sub(" ", row["expected_html"])))


# ---------------------------------------------------------------------------------------------------- measures


def equations(text: str) -> list[str]:
    """The equations between delimiters in a text, in their normal form."""
    found = (next(group for group in match.groups() if group is not None) for match in _EQUATION.finditer(text))
    return [normal_equation(latex) for latex in found]


def normal_equation(latex: str) -> str:
    return _LAYOUT.sub("", latex).rstrip(".,;")


def found_equations(gold: Sequence[str], found: Sequence[str]) -> tuple[int, int]:
    """How many gold equations were found, and how many of the found ones are right: one gold equation, or the run of them in the
    cells of one row."""
    left = Counter(gold)
    num_found = num_right = 0
    for equation in found:
        if left[equation] > 0:
            left[equation] -= 1
            num_found, num_right = num_found + 1, num_right + 1
        elif run := next((run for run in _runs(gold, equation) if Counter(run) <= left), None):
            left.subtract(run)
            num_found, num_right = num_found + len(run), num_right + 1
    return num_found, num_right


def _runs(gold: Sequence[str], equation: str) -> Iterator[Sequence[str]]:
    """Runs of gold equations that are this one when they are joined."""
    for start, first in enumerate(gold):
        rest, stop = equation, start
        while first and stop < len(gold) and rest.startswith(gold[stop]) and rest:
            rest, stop = rest.removeprefix(gold[stop]).lstrip(",;"), stop + 1
        if not rest and stop > start + 1:
            yield gold[start:stop]


def equation_scores(pages: Sequence[WebPage], texts: Sequence[str]) -> tuple[float, float]:
    """Recall and precision over all equations of the pages."""
    num_gold = num_all = num_found = num_right = 0
    for page, text in zip(pages, texts, strict=True):
        own = equations(text)
        found, right = found_equations(page.equations, own)
        num_gold, num_all = num_gold + len(page.equations), num_all + len(own)
        num_found, num_right = num_found + found, num_right + right
    return num_found / max(1, num_gold), num_right / max(1, num_all)


def main_text_f1(pages: Sequence[WebPage], texts: Sequence[str]) -> float:
    """Mean F1 of words; where only pieces of the main text are known, F1 over the pieces of all pages."""
    if pages[0].text is not None:
        return sum(_word_f1(page.text or "", text) for page, text in zip(pages, texts, strict=True)) / len(pages)
    both = list(zip(pages, texts, strict=True))
    hits = sum(piece in text for page, text in both for piece in page.wanted)
    wrong = sum(piece in text for page, text in both for piece in page.unwanted)
    missed = sum(len(page.wanted) for page in pages) - hits
    return 2 * hits / max(1, 2 * hits + wrong + missed)


def _word_f1(gold: str, text: str) -> float:
    """Of the words outside of equations."""
    expected, found = (Counter(_WORD.findall(_EQUATION.sub(" ", side).lower())) for side in (gold, text))
    shared = (expected & found).total()
    return 2 * shared / max(1, expected.total() + found.total())
