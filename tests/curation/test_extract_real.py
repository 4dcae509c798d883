"""Extraction on real pages, where they lie beside the checkout: equations against their sources, main text against gold sets."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from curation.benchmark.html import (
    WebPage,
    articles,
    cp_algorithms,
    equation_scores,
    equations,
    found_equations,
    main_text_f1,
    mathematics,
    rows_of,
)
from curation.extract.page import extract

# Cases whose page has the LaTeX of its formulas, and those in which it is made from MathML or from what MathJax has drawn
_WITH_LATEX = (
    "issues--141-arxiv-equation-tables",
    "math--katex-centraliser",
    "math--katex-data-math",
    "math--latex-image-services",
    "math--mathjax-tex-scripts",
    "math--raw-latex",
    "math--wikipedia-mathml",
)
_CONVERTED = ("math--mathjax", "math--mathjax-chtml-no-assistive")
# Two ways to write the same: \left( and (, \mathrm{group} and group, braces around one symbol
_NOTATION = re.compile(r"\\(?:left|right|mathrm|text|displaystyle)(?![a-zA-Z])|[{}]")


def texts(pages: Sequence[WebPage]) -> list[str]:
    return [extract(page.html).text for page in pages]


def test_pages_of_mathematics_keep_their_equations(shared_data: Path) -> None:
    for pages in (mathematics(shared_data, 200), cp_algorithms(shared_data)):
        assert sum(len(page.equations) for page in pages) > 2_500
        recall, precision = equation_scores(pages, texts(pages))
        assert recall >= 0.995
        assert precision >= 0.99


@pytest.mark.parametrize(
    ("name", "trafilatura"),  # its 2.3.1 on the same pages by the same measure, without comments
    [("aeb", 0.9577), ("readability", 0.9387), ("trafilatura", 0.9169)],
)
def test_main_text_is_found_at_least_as_well_as_by_trafilatura(name: str, trafilatura: float, shared_data: Path) -> None:
    pages = articles(shared_data, name)
    assert len(pages) > 70
    assert main_text_f1(pages, texts(pages)) >= trafilatura


def test_formulas_of_other_extractors_cases_are_found(shared_data: Path) -> None:
    cases = {row["case"]: row for row in rows_of(shared_data / "peer-tests" / "extract_defuddle_cases.jsonl.gz")}
    for case in (*_WITH_LATEX, *_CONVERTED):
        gold = equations(re.sub(r"^```json.*?```", "", cases[case]["expected_markdown"], flags=re.DOTALL))
        found = equations(extract(cases[case]["html"]).text)
        assert len(found) == len(gold)
        if case in _WITH_LATEX:
            assert found_equations(gold, found) == (len(gold), len(gold))
        else:
            right = sum(_NOTATION.sub("", one) == _NOTATION.sub("", other) for one, other in zip(gold, found, strict=True))
            assert right >= 0.5 * len(gold)


def test_pages_without_mathematics_have_no_equations(shared_data: Path) -> None:
    pages = rows_of(shared_data / "web" / "web_thirdparty.jsonl.gz")[::5]
    with_equations = [row["id"] for row in pages if extract(row["html"]).num_equations and not any(row["math_signals"])]
    assert with_equations == []
