"""Who stays, by the rule of the page; URLs; and what is refused."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from curation.book import Book
from curation.dedup import ReadShard, WriteSignatures
from curation.dedup.signatures import date_number, url_key
from curation.shards import ShardWriter
from recipes.schema import DedupStage
from tests.curation.dedup_run import Run, changed, doc, text_of


def survivor(folder: Path, keep: list[str], **metadata: list[object]) -> str:
    """Which of documents "a", "b", ... with one text stays."""
    names = "abcdef"[: len(next(iter(metadata.values())))]
    docs = [doc(id_, text_of(1), **{key: values[i] for key, values in metadata.items()}) for i, id_ in enumerate(names)]
    run = Run(folder, [docs[::2], docs[1::2]], DedupStage(do="dedup", keep=keep), sources=("best", "good")).drop()
    return run.kept_ids[0]


def test_the_oldest_dated_document_stays_and_dates_come_in_several_forms(tmp_path: Path) -> None:
    dates: list[object] = [None, "2021-05-01T00:00:00Z", "20190101120000", "2020", "2019-01-01T12:00:01Z"]
    assert survivor(tmp_path, ["date"], date=dates) == "c"


def test_sources_are_preferred_in_the_order_of_the_page(tmp_path: Path) -> None:
    sources: list[object] = ["other", "good", "best", None]
    scores: list[object] = [1.0, 0.9, 0.1, 1.0]
    assert survivor(tmp_path / "source", ["source", "math_score"], source=sources, math_score=scores) == "c"
    assert survivor(tmp_path / "score", ["math_score", "source"], source=sources, math_score=scores) == "a"


def test_what_stands_behind_the_id_never_decides(tmp_path: Path) -> None:
    scores: list[object] = [0.1, 0.9]
    assert survivor(tmp_path, ["id", "math_score"], math_score=scores) == "a"


def test_a_rule_names_each_part_once() -> None:
    with pytest.raises(ValidationError, match=r"keep=\['id', 'id'\] names something twice"):
        DedupStage(do="dedup", keep=["id", "id"])


@pytest.mark.parametrize(
    ("date", "number"),
    [
        ("2013-05-20T07:15:38Z", 20130520071538),
        ("2013-05-20 07:15:38", 20130520071538),
        ("20130520", 20130520000000),
        ("2013-05-20T07:15Z", 20130520071500),
        ("2013/05/20", 20130520000000),
        ("20130520071538", 20130520071538),
        ("2013-05", 20130500000000),
        ("2013", 20130000000000),
        ("May 2013", None),
        ("1588650000", None),
        ("20139920", None),
        (None, None),
    ],
)
def test_dates_become_numbers(date: str | None, number: int | None) -> None:
    assert date_number(date) == number


def test_addresses_of_one_page_are_one() -> None:
    same = (
        "https://www.Example.org/a/b/?y=2&x=1",
        "http://example.org:80/a/b?x=1&y=2#top",
        "http://example.org/a/b/?utm_source=news&x=1&y=2",
    )
    others = (
        "https://example.org/a/B?x=1&y=2",
        "https://example.org/a/b?x=1",
        "https://sub.example.org/a/b?x=1&y=2",
        "https://example.org/a/b?sid=45",
        "https://example.org/a/b?sid=46",
        "https://example.org/a/b?ref=thm1",
        "http://[broken",
    )
    assert len({url_key(url) for url in same}) == 1
    assert len({url_key(url) for url in (*same, *others)}) == 1 + len(others)
    assert url_key(None) is None
    assert url_key("") is None


def test_documents_of_one_url_are_duplicates_only_if_the_page_says_so(tmp_path: Path) -> None:
    docs = [
        doc("old", text_of(1), url="http://a.org/x", math_score=0.2),
        doc("new", text_of(2), url="https://www.a.org/x/", math_score=0.9),
        doc("elsewhere", text_of(1), url="http://b.org/x", math_score=0.1),
        doc("none", text_of(3)),
        doc("empty", text_of(4), url=None),
    ]
    assert len(Run(tmp_path / "without", [docs]).drop().kept_ids) == 4
    run = Run(tmp_path / "with", [docs[:2], docs[2:]], DedupStage(do="dedup", url=True)).drop()
    # "old" has gone for its URL: what has its text and lies elsewhere stays.
    assert run.kept_ids == ["elsewhere", "empty", "new", "none"]
    assert run.dropped == {"old": ("url_duplicate", "new", None)}
    assert run.counts["url_duplicates"] == 1


def test_evidence_names_all_similar_pairs_the_more_wanted_document_first(tmp_path: Path) -> None:
    text = text_of(5)
    docs = [doc("a", text, math_score=0.1), doc("b", changed(text, [3]), math_score=0.9), doc("c", changed(text, [3, 90]))]
    Run(tmp_path, [docs])
    rows = pq.read_table(tmp_path / "pairs.parquet").to_pylist()
    assert [(row["id"], row["other_id"]) for row in rows] == [("b", "a"), ("b", "c"), ("a", "c")]
    assert all(row["jaccard"] >= 0.75 for row in rows)


def test_cluster_sizes_are_counted(tmp_path: Path) -> None:
    docs = [doc(f"{seed}{copy}", text_of(seed)) for seed, copies in ((1, 3), (2, 2), (3, 2), (4, 1)) for copy in range(copies)]
    assert Run(tmp_path, [docs]).counts["cluster_sizes"] == {"2": 2, "3": 1}


@pytest.mark.parametrize("which", ["kept", "dropped"])
def test_documents_that_changed_after_their_signatures_are_an_error(tmp_path: Path, which: str) -> None:
    texts = {"a": text_of(27), "b": changed(text_of(27), [3])}
    run = Run(tmp_path, [[doc(id_, text, math_score=float(id_ == "a")) for id_, text in texts.items()]])
    changing = "a" if which == "kept" else "b"
    texts[changing] = texts[changing].replace("a", "o", 1)
    writer = ShardWriter(tmp_path / "documents" / "00000.parquet")
    for id_, text in texts.items():
        writer.write(doc(id_, text, math_score=float(id_ == "a")))
    writer.close()
    with pytest.raises(ValueError, match="has changed since its signatures were written; run the dedup stages again"):
        run.drop()


def test_dates_that_cannot_be_read_are_counted_and_never_the_oldest(tmp_path: Path) -> None:
    params = DedupStage(do="dedup", keep=["date"])
    docs = [doc("seconds", text_of(1), date="1588650000"), doc("iso", text_of(1), date="2013-05-20"), doc("none", text_of(1))]
    writer = ShardWriter(tmp_path / "documents" / "00000.parquet")
    for one in docs:
        writer.write(one)
    writer.close()
    book = Book(tmp_path / "signatures")
    WriteSignatures(writer.path.parent, params, book, seed=7).run(ReadShard(writer.path.parent, book, stage=tmp_path).run(None))
    assert book.counts["unreadable"] == {"dates": {"no_iso_date": 1}}
    assert book.names == {"dates/no_iso_date": ["1588650000"]}
    assert Run(tmp_path / "run", [docs], params).drop().kept_ids == ["iso"]
