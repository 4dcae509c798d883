import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datatrove.data import Document

from curation.book import Book
from curation.classifier.draw import CHOSEN, KeepDrawn, WriteKeys, choose, read_sites
from curation.classifier.origin import origin, site_of, year_of
from recipes.schema import DrawStage


def documents() -> list[Document]:
    """Two dumps of 300 and 60 pages; half of the larger one is of one site."""
    docs = []
    for number in range(360):
        dump = "large" if number < 300 else "small"
        site = "big.example" if number % 2 and dump == "large" else f"site{number % 7}.example"
        url = f"https://www.{site}/{number}"
        docs.append(
            Document(
                text=f"text {number}", id=f"d{number}", metadata={"url": url, "dump": dump, "date": f"20{10 + number % 3}-01-01"}
            )
        )
    return docs


def drawn(
    folder: Path, shards: list[list[Document]], *, seed: int = 1, sites: Path | None = None, **given: Any
) -> list[Document]:
    params = DrawStage.model_validate({"do": "draw", "strata": ["dump"], **given})
    for rank, docs in enumerate(shards):
        WriteKeys(params, sites, seed, Book(folder)).run(iter(docs), rank, len(shards))
    choose([folder / "keys" / f"{rank:05d}.parquet" for rank in range(len(shards))], params, folder)
    found = []
    for rank, docs in enumerate(shards):
        found += list(KeepDrawn(folder / CHOSEN, Book(folder)).run(iter(docs), rank, len(shards)))
    return found


def ids(docs: list[Document]) -> list[str]:
    return sorted(doc.id for doc in docs)


def test_each_stratum_gives_the_same_number_and_no_site_more_than_its_limit(tmp_path: Path) -> None:
    found = drawn(tmp_path, [documents()], per_stratum=40, max_per_site=5)
    by_stratum: dict[str, list[str]] = {}
    for doc in found:
        by_stratum.setdefault(doc.metadata["stratum"], []).append(str(site_of(doc.metadata["url"])))
    assert {stratum: len(sites) for stratum, sites in by_stratum.items()} == {"large": 40, "small": 35}  # of 7 sites
    assert max(sites.count(site) for sites in by_stratum.values() for site in sites) == 5
    without = drawn(tmp_path, [documents()], per_stratum=40)
    assert sum(site_of(doc.metadata["url"]) == "big.example" for doc in without) > 10


@pytest.mark.parametrize("num_shards", [2, 5])
def test_the_same_documents_are_drawn_from_any_shards_in_any_order(tmp_path: Path, num_shards: int) -> None:
    given = {"per_stratum": 25, "max_per_site": 6, "strata": ["dump", "year"]}
    whole = ids(drawn(tmp_path / "whole", [documents()], **given))
    assert len(whole) == 3 * 25 + 3 * 20  # all of the smaller dump
    docs = documents()
    random.Random(3).shuffle(docs)
    shards = [docs[rank::num_shards] for rank in range(num_shards)]
    assert ids(drawn(tmp_path / "shards", [*shards, []], **given)) == whole


def test_a_larger_sample_holds_the_smaller_one_and_another_seed_draws_others(tmp_path: Path) -> None:
    small, large = (set(ids(drawn(tmp_path, [documents()], per_stratum=number))) for number in (10, 30))
    other = set(ids(drawn(tmp_path, [documents()], per_stratum=10, seed=2)))
    assert small < large
    assert len(other) == len(small) == 20
    assert len(other & small) < 10


def test_only_the_named_sites_are_drawn_from(tmp_path: Path) -> None:
    listed = tmp_path / "sites.tsv"
    listed.write_text("# site\tpages\thits\tshare\nsite1.example\t30\t9\t0.3\nwww.SITE2.example\n\n")
    assert read_sites(listed) == {"site1.example", "site2.example"}
    found = drawn(tmp_path, [documents()], per_stratum=1_000, sites=listed)
    assert {site_of(doc.metadata["url"]) for doc in found} == {"site1.example", "site2.example"}
    listed.write_text("# nothing\n")
    with pytest.raises(ValueError, match=r"sites.tsv names no site; write one a line, or leave out `sites`"):
        read_sites(listed)


def test_what_is_not_drawn_is_counted(tmp_path: Path) -> None:
    listed = tmp_path / "sites.tsv"
    listed.write_text("site1.example\n")
    book = Book(tmp_path)
    params = DrawStage(do="draw", per_stratum=3, strata=("dump",))
    WriteKeys(params, listed, 1, book).run(iter(documents()), 0, 1)
    of_site = sum(site_of(doc.metadata["url"]) == "site1.example" for doc in documents())
    assert book.counts["other_sites"] == 360 - of_site
    assert sum(book.counts["strata"].values()) == of_site
    assert len(pq.read_table(tmp_path / "keys" / "00000.parquet")) == 6
    counts = choose([tmp_path / "keys" / "00000.parquet"], params, tmp_path)
    assert counts == {"drawn": 6, "strata": 2, "sites": 1}
    book = Book(tmp_path)
    assert len(list(KeepDrawn(tmp_path / CHOSEN, book).run(iter(documents()), 0, 1))) == 6
    assert book.counts == {"not_drawn": 354, "strata": {"large": 3, "small": 3}}


def test_no_documents_leave_an_empty_choice(tmp_path: Path) -> None:
    assert drawn(tmp_path, [[], []], per_stratum=3) == []


@pytest.mark.parametrize(
    ("url", "site"),
    [
        ("https://www.Math.Example.org:80/a?b", "math.example.org"),
        ("example.org/x", "example.org"),
        ("http://example.org./", "example.org"),
        ("http://[bad", None),
        ("", None),
        (None, None),
    ],
)
def test_a_site_is_the_host_without_www(url: str | None, site: str | None) -> None:
    assert site_of(url) == site


def test_the_origin_is_what_the_metadata_tell() -> None:
    assert year_of("2024-11-03T10:00:00Z") == 2024
    assert [year_of(date) for date in (None, "", "soon", "03-11-2024")] == [None] * 4
    metadata = {"source": "cc_2024", "url": "http://a.example/"}
    assert [origin(metadata, kind) for kind in ("dump", "source", "site", "year")] == [
        "cc_2024",
        "cc_2024",
        "a.example",
        "unknown",
    ]
    assert origin({"dump": "d", "source": "s"}, "dump") == "d"
