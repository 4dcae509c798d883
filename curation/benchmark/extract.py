"""Extraction against trafilatura: pages of mathematics, heavy pages, and the gold sets of main text where there is data.

trafilatura reads formulas since 2.3; its plain text writes them as \\(…\\) and does not escape in them as its Markdown does. Both
ways leave comments out, as the gold sets do.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from curation.benchmark.html import WebPage, articles, cp_algorithms, equation_scores, heavy, main_text_f1, mathematics
from curation.benchmark.measure import Comparison, Way, Work, compare
from curation.benchmark.size import Size

MATHEMATICS, HEAVY, ARTICLES = 300, 60, 300
GOLD_SETS = ("aeb", "readability", "trafilatura")
_AGAINST = "trafilatura"


def comparisons(size: Size) -> Iterator[Comparison]:
    sets = {"mathematics": size.or_else(MATHEMATICS), "heavy": size.or_else(HEAVY)}
    if size.data is not None:
        sets |= {"cp_algorithms": ARTICLES} | dict.fromkeys(GOLD_SETS, size.or_else(ARTICLES))
    for name, count in sets.items():
        pages = load(name, size.data, count)
        arguments = (name, size.data, count)
        yield compare(
            "extract",
            against=f"{_AGAINST}, {name}",
            documents=len(pages),
            ours=Way(prepare_ours, arguments),
            stock=Way(prepare_trafilatura, arguments),
            repeats=size.repeats,
            judge=partial(_quality, pages),
        )


def load(name: str, data: Path | None, count: int) -> list[WebPage]:
    if name == "mathematics":
        return mathematics(data, count)
    if name == "heavy":
        return heavy(data, count)
    assert data is not None
    return (cp_algorithms(data) if name == "cp_algorithms" else articles(data, name))[:count]


def prepare_ours(name: str, data: Path | None, count: int) -> Work:
    from curation.extract.page import extract

    return _over(load(name, data, count), lambda html: extract(html).text)


def prepare_trafilatura(name: str, data: Path | None, count: int) -> Work:
    import trafilatura

    return _over(load(name, data, count), lambda html: trafilatura.extract(html, include_comments=False) or "")


def _over(pages: Sequence[WebPage], extract: Callable[[str], str]) -> Work:
    for page in pages[:3]:
        extract(page.html)
    return lambda: [extract(page.html) for page in pages]


def _quality(pages: Sequence[WebPage], ours: Sequence[str], stock: Sequence[str]) -> dict[str, Any]:
    quality: dict[str, Any] = {}
    for name, texts in (("ours", ours), ("stock", stock)):
        if any(page.equations for page in pages):
            recall, precision = equation_scores(pages, texts)
            quality |= {f"equation_recall_{name}": recall, f"equation_precision_{name}": precision}
        if pages[0].text is not None or pages[0].wanted:
            quality[f"main_text_f1_{name}"] = main_text_f1(pages, texts)
    return quality
