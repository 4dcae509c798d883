"""Documents from blocked domains, or with blocked words in their URL. Works on the URL's text alone: no public-suffix
list, no network. Documents without a URL pass."""

import re
from functools import cache
from urllib.parse import urlsplit

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from curation.filters.word_lists import find_list, read_lists
from recipes import schema

WORD = re.compile(r"[a-z0-9]+")


class UrlFilter(BaseFilter):
    """A domain blocks its subdomains. A word of a list must stand alone in the URL; written `*word*` it may be part of
    a longer one (bestcasinobonus.example)."""

    name = "url"

    def __init__(self, params: schema.UrlFilter, exclusion_writer: DiskWriter | None = None):
        super().__init__(exclusion_writer)
        self.params = params
        for name in (*params.domain_lists, *params.word_lists):
            find_list(name)  # a wrong name fails here, before any document is read

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        url = doc.metadata.get("url")
        if not url:
            return True
        try:
            host = (urlsplit(url if "//" in url else f"//{url}").hostname or "").rstrip(".")
        except ValueError:  # such as an unclosed [ of an IPv6 address
            return False, "unreadable_url"
        blocked_domains = read_lists(self.params.domain_lists)
        labels = host.split(".")
        if any(".".join(labels[start:]) in blocked_domains for start in range(len(labels))):
            return False, "blocked_domain"
        words, parts = _url_words(self.params.word_lists)
        lower = url.lower()
        if not words.isdisjoint(WORD.findall(lower)) or (parts and parts.search(lower)):
            return False, "blocked_word"
        return True


@cache
def _url_words(names: tuple[str, ...]) -> tuple[frozenset[str], re.Pattern[str] | None]:
    """The lists' words that stand alone, and a pattern of those that may be part of a longer word."""
    listed = read_lists(names)
    parts = sorted(re.escape(item.strip("*")) for item in listed if item.startswith("*"))
    words = frozenset(item for item in listed if not item.startswith("*"))
    return words, re.compile("|".join(parts)) if parts else None
