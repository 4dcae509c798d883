"""A page that takes too much CPU time is left unread, and the pages after it are not."""

import re
import signal
from collections import Counter

import pytest
from datatrove.data import Document
from web_page import PROSE

from curation.extract.cpu_limit import TooSlow, cpu_limit
from curation.extract.step import ExtractHtml


def test_a_page_that_takes_too_long_is_left_unread_and_counted() -> None:
    dropped: list[tuple[str, str]] = []
    counted: Counter[tuple[str, ...]] = Counter()
    step = ExtractHtml(
        drop=lambda doc, reason: dropped.append((doc.id, reason)),
        count=lambda *keys, n=1: counted.update({keys: n}),
        min_chars=1,
        max_html_chars=20_000_000,
        max_cpu_seconds=0.5,
    )
    slow = "".join(f"<p>{PROSE} <math><msup><mi>x</mi><mn>{number}</mn></msup></math></p>" for number in range(60_000))
    docs = [Document(text=slow, id="slow"), Document(text=f"<p>{PROSE}</p>", id="usual")]
    assert [doc.id for doc in step.run(iter(docs))] == ["usual"]
    assert dropped == [("slow", "extract_too_slow")]
    assert docs[0].text == slow
    assert counted == {("limited_pages", "cpu_seconds"): 1}


def test_one_long_regular_expression_is_ended_too() -> None:
    with pytest.raises(TooSlow), cpu_limit(0.05):
        re.fullmatch(r"(a|a)*b", "a" * 60)


def test_nothing_is_ended_after_the_limit_has_been_left() -> None:
    before = signal.getsignal(signal.SIGVTALRM)
    with cpu_limit(60):
        assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) == before
