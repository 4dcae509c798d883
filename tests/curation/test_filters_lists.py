"""URLs, and lists of words and domains: where they come from, how they are matched, how fast many are looked up."""

import gzip
import random
import time

import pytest
from datatrove.data import Document

from curation.classifier import load_model
from curation.filters import FILTERS
from curation.filters.domains import ascii_domain, is_blocked, read_domains
from curation.filters.language import find_language_model
from curation.filters.word_lists import SHIPPED, find_list, read_lists
from recipes.schema import FILTER_PARAMETERS
from recipes.schema.languages import language_names

HEADER = "# a list of example.org, 2026-01-31\n"


@pytest.fixture
def own(tmp_path):
    def write(*domains: str, header: str = HEADER) -> str:
        file = tmp_path / "own.txt"
        file.write_text(header + "".join(f"{domain}\n" for domain in domains))
        read_domains.cache_clear()
        return str(file)

    return write


def decide(url: str | None, **params: object) -> bool | tuple[bool, str]:
    document = Document(text="text", id="d", metadata={"url": url})
    return FILTERS["url"](FILTER_PARAMETERS["url"].model_validate(params)).filter(document)


def test_every_shipped_list_says_where_it_comes_from_and_repeats_nothing():
    for file in sorted(SHIPPED.glob("*.txt")):
        lines = file.read_text(encoding="utf-8").splitlines()
        listed = [line for line in lines if not line.startswith("# ")]
        assert lines[0].startswith("# "), file
        assert len(listed) == len(set(listed)) > 0, file


def test_an_item_may_begin_with_the_comment_sign(tmp_path):
    file = tmp_path / "own.txt"
    file.write_text("# a comment\n#hashtag\n\nWord \n")
    assert read_lists((str(file),)) == {"#hashtag", "word"}
    assert find_list("stop_words") == SHIPPED / "stop_words.txt"


def test_an_own_domain_list_is_read_from_its_path(own):
    assert decide("https://en.wikipedia.org/wiki/Pi", domain_lists=[own("wikipedia.org")]) == (False, "blocked_domain")
    assert decide("https://en.wikipedia.org/wiki/Pi", domain_lists=[own("wikipedia.com")]) is True


def test_a_gzipped_list_is_read_too(tmp_path):
    file = tmp_path / "own.txt.gz"
    file.write_bytes(gzip.compress(f"{HEADER}bad.example\n".encode(), mtime=0))
    assert decide("http://bad.example/", domain_lists=[str(file)]) == (False, "blocked_domain")


@pytest.mark.parametrize("header", ["", "bad.example\n", "# no date\n"])
def test_a_domain_list_without_origin_and_date_is_refused(own, header):
    with pytest.raises(ValueError, match=r"first line must be a comment with the list's origin and date"):
        decide("http://a.example/", domain_lists=[own("other.example", header=header)])


def test_an_entry_that_is_no_domain_is_named_with_its_line(own):
    with pytest.raises(ValueError, match=r"own.txt, line 3: 'bad.example/path' is no domain"):
        decide("http://a.example/", domain_lists=[own("good.example", "bad.example/path")])


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("bad.example", True),
        ("a.b.bad.example", True),
        ("notbad.example", False),
        ("bad.example.org", False),
        ("example", False),
        ("xn--mller-kva.example", True),
        ("www.müller.example", True),
        ("10.1.2.3", True),
        ("sub.whole.test", True),
        ("", False),
    ],
)
def test_a_host_is_blocked_by_itself_and_by_what_it_is_under(own, host, answer):
    lists = (own("Bad.Example", "müller.example", "*.whole.test", "10.1.2.3"),)
    assert is_blocked([host, "free.example"], lists).tolist() == [answer, False]


def test_a_name_that_no_server_can_have_is_compared_as_it_is():
    assert ascii_domain("ü" * 80 + ".example") == "ü" * 80 + ".example"


def test_half_a_million_domains_are_looked_up_without_comparing_them_all(own):
    rng = random.Random(0)
    listed = [f"{rng.getrandbits(48):x}.example" for _ in range(500_000)]
    lists = (own(*listed),)
    blocked = read_domains(lists)
    assert blocked.nbytes == 8 * len(set(listed))
    hosts = [f"www.{domain}" if i % 2 else f"{domain}.org" for i, domain in enumerate(listed[:10_000])]
    started = time.process_time()
    assert is_blocked(hosts, lists).tolist() == [bool(i % 2) for i in range(10_000)]
    assert time.process_time() - started < 5  # thirty milliseconds; comparing all would take an hour


# ---------------------------------------------------------------------------------------------------- url


@pytest.mark.parametrize(
    "url", ["http://www.pornhub.com/x", "https://de.bet365.com:443/a?b", "HTTPS://XVIDEOS.COM./", "pornhub.com/a"]
)
def test_a_blocked_domain_blocks_its_subdomains(url):
    assert decide(url) == (False, "blocked_domain")


@pytest.mark.parametrize(
    "url", ["https://a.example/free-xxx-movies", "https://bestcasinobonus.example/", "https://a.example/?q=VIAGRA"]
)
def test_blocked_words_in_urls_drop_the_document(url):
    assert decide(url) == (False, "blocked_word")


@pytest.mark.parametrize(
    "url",
    [
        "https://www.essex.ac.uk/sexagesimal-numbers",
        "https://notstake.com/analysis",
        "https://math.example.org/poker-hands-probability",
        None,
        "",
    ],
)
def test_innocent_urls_and_documents_without_one_are_kept(url):
    assert decide(url) is True


def test_a_url_that_cannot_be_parsed_is_dropped():
    assert decide("http://[::1/a") == (False, "unreadable_url")


def test_an_unknown_list_is_refused_with_the_shipped_names():
    with pytest.raises(ValueError, match=r"no list 'blocked_domain': .*blocked_domains, blocked_url_words, boilerplate_phrases"):
        decide("http://a.example/", domain_lists=["blocked_domain"])


def test_pages_may_name_the_languages_that_the_model_knows():
    labels = {label.removeprefix("__label__") for label in load_model(find_language_model()).get_labels()}
    assert set(language_names()) == labels
