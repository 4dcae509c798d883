"""Documents from blocked domains, or with blocked words in their URL. Works on the URL's text alone: no network. Documents
without a URL pass."""

import re
from collections.abc import Iterator
from functools import cache
from urllib.parse import urlsplit

import numpy as np
from datatrove.pipeline.writers.disk_base import DiskWriter
from numpy.typing import NDArray

from curation.filters.batch import Batch
from curation.filters.domains import is_blocked
from curation.filters.filter import Columns, Filter
from curation.filters.word_lists import read_lists
from recipes import schema

WORD = re.compile(r"[a-z0-9]+")
RULES = ("unreadable_url", "blocked_domain", "blocked_word")


class UrlFilter(Filter):
    """A domain blocks its subdomains. A word of a list must stand alone in the URL; written `*word*` it may be part of
    a longer one (bestcasinobonus.example)."""

    name = "url"
    columns = ("url_rule",)  # the first rule that the URL breaks: the lists are its only thresholds
    unnoted = columns

    def __init__(self, params: schema.UrlFilter, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.params = params

    def measure(self, batch: Batch) -> Columns:
        urls = [str(doc.metadata.get("url") or "") for doc in batch.documents]
        hosts = [_host(url) for url in urls]
        blocked = is_blocked([host or "" for host in hosts], self.params.domain_lists).tolist()
        rules = []
        for url, host, in_blocked_domain in zip(urls, hosts, blocked, strict=True):
            if host is None:
                rules.append("unreadable_url")
            elif in_blocked_domain:
                rules.append("blocked_domain")
            else:
                rules.append("blocked_word" if self._has_blocked_word(url.lower()) else "")
        return {"url_rule": np.array(rules, dtype=object)}

    def rules(self, measured: Columns) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        for rule in RULES:
            yield rule, measured["url_rule"] == rule

    def _has_blocked_word(self, url: str) -> bool:
        words, parts = _url_words(self.params.word_lists)
        return not words.isdisjoint(WORD.findall(url)) or bool(parts and parts.search(url))


def _host(url: str) -> str | None:
    """In lower case; None for a URL that cannot be read, such as one with an unclosed [ of an IPv6 address."""
    try:
        return (urlsplit(url if "//" in url else f"//{url}").hostname or "").rstrip(".")
    except ValueError:
        return None


@cache
def _url_words(names: tuple[str, ...]) -> tuple[frozenset[str], re.Pattern[str] | None]:
    """The lists' words that stand alone, and a pattern of those that may be part of a longer word."""
    listed = read_lists(names)
    parts = sorted(re.escape(item.strip("*")) for item in listed if item.startswith("*"))
    words = frozenset(item for item in listed if not item.startswith("*"))
    return words, re.compile("|".join(parts)) if parts else None
