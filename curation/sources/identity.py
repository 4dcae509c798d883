"""Ids of documents. No two ranks, however many there are, make the same.

A record of a WARC file keeps its own, which is unique in the world. A row's own is unique in its file at most: `@SOURCE/FILE`
stands behind it, unless its file is the only one of the page. What has none is SOURCE/FILE/NUMBER. An id that comes twice gets
`#2`, `#3`, … and is counted; so is one that is too long to travel through every stage, and is cut. FILE is the path of a file
below the folder that all files of its source lie in.

So ids depend on how many files a page names: one more file behind a page of one, and every row's id gets `@SOURCE/FILE`; a file
in another folder may make FILE longer. Datasets are compared by id (`midtrain diff`): where files came or went, rows that are in
both then look like others. Name a page's files as they will stay, and give ids of your own that need no file to be told apart.

WARC files that break their promise, such as copies of one another, are found out when their tokens are joined: ids that several
ranks have are counted and named there. Nothing is lost by them: copies of a text are dropped as duplicates like any others, and
deduplication tells documents of one id apart by their texts.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import xxhash

from curation.book import Book

MAX_ID_CHARS = 1_000


def short_names(files: Sequence[str]) -> list[str]:
    """FILE of each: unlike the last part of a path alone, no two are the same."""
    paths = [file.split("/") for file in files]
    shared = takewhile(lambda level: len(set(level)) == 1, zip(*(path[:-1] for path in paths), strict=False))
    depth = sum(1 for _ in shared)
    return ["/".join(path[depth:]) for path in paths]


class Identities:
    """Of the documents that a rank reads of one source."""

    def __init__(self, source: str, book: Book):
        self.source = source
        self.book = book
        self.is_only_file = True  # of the page
        self._repeats: dict[str, int] = {}

    def of_place(self, file: str, number: int) -> str:
        return f"{self.source}/{file}/{number}"

    def of_row(self, given: Any, file: str, number: int) -> str:
        if given is None or given == "":
            return self.of_place(file, number)
        return str(given) if self.is_only_file else f"{given}@{self.source}/{file}"

    def unique(self, id_: str, file: str) -> str:
        """The id, cut if it is too long, numbered if it was there before."""
        if len(id_) > MAX_ID_CHARS:
            self.book.count("long_ids")
            self.book.name("long_ids", file)
            id_ = f"{id_[:100]}...{xxhash.xxh3_128_hexdigest(id_)}"
        if self.book.is_new(id_):
            return id_
        self.book.count("duplicate_ids")
        self.book.name("duplicate_ids", file)
        repeat = self._repeats.get(id_, 2)
        while not self.book.is_new(f"{id_}#{repeat}"):
            repeat += 1
        self._repeats[id_] = repeat + 1
        return f"{id_}#{repeat}"
