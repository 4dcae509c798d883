"""Takes lines that are no content out of documents and masks personal data; never inside formulas or code.

At the head and the tail of a document go lines of boilerplate (cookies, log-in, copyright) and menus: runs of short lines, one of
them a word of navigation. Answers to choose from are short lines too, but name no "Home" or "Next". The middle of a document is
left alone but for a line of words that follows itself.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import pairwise

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.filters.formulas import FORMULA
from curation.filters.word_lists import read_lists
from curation.personal_data import Span, mask
from recipes.schema import CleanStage

CODE = re.compile(r"```[\s\S]*?(?:```|\Z)|`[^`\n]+`|^(?: {4}|\t)[^\n]*$", re.MULTILINE)
MAX_LINE_WORDS = 40  # a longer line that mentions cookies is a paragraph of an article
_WORD = re.compile(r"[^\W\d_]{4}")  # shorter ones stand in rows of numbers, of truth tables and of formulas: cm, TT, sin
_TABLE_OR_CODE = re.compile(r"[{}<>;=|$\\`\t]|^ {4}")  # `extract` writes tabs between cells
_ENUMERATED = re.compile(r"\(?(?:\d{1,3}|[A-Za-z])[.)]\s|#")  # an answer to choose, a heading
ORNAMENTS = " -–—•*·|«»‹›←→"
BLANK, CONTENT, SHORT, BOILERPLATE = range(4)


class CleanDocuments(PipelineStep):
    name = "clean"

    def __init__(self, params: CleanStage, book: Book):
        super().__init__()
        self.params = params
        self.book = book

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:  # type: ignore[override]
        for doc in data or ():
            text, counts = clean(doc.text, self.params)
            if counts:
                doc.metadata["cleaned"] = counts
                self.book.count("cleaned", "documents")
                for kind, number in counts.items():
                    self.book.count("cleaned", kind, n=number)
            if not text.strip() and doc.text.strip():
                self.book.drop(doc, "clean", "nothing_left")  # with its text as it was
                continue
            doc.text = text
            yield doc


def clean(text: str, params: CleanStage) -> tuple[str, dict[str, int]]:
    """The cleaned text, and what was done to it: lines and masked items by kind."""
    text, counts = _clean_lines(text, params)
    text, masked = mask(text, params.mask, protected_spans)
    return text, counts | masked


def protected_spans(text: str) -> list[Span]:
    """Formulas and code."""
    spans = [match.span() for match in FORMULA.finditer(text)] if "$" in text or "\\" in text else []
    if "`" in text or "\t" in text or "    " in text:
        spans += [match.span() for match in CODE.finditer(text)]
    return sorted(spans)


def _clean_lines(text: str, params: CleanStage) -> tuple[str, dict[str, int]]:
    lines = text.split("\n")
    head = _leading(lines, params)
    first = _edge(head, params.min_menu_lines)
    is_open = text.count("```") % 2 == 1  # a fence that never closes: its code goes to the end
    tail = [] if is_open else _leading(reversed(lines[first:]), params)
    last = len(lines) - _edge(tail, params.min_menu_lines)
    edges = (*head[:first], *tail[: len(lines) - last])
    repeated = _repeated(text, lines[first:last]) if params.repeated_lines else set()
    counts = {
        "boilerplate_lines": edges.count(BOILERPLATE),
        "menu_lines": edges.count(SHORT),
        "repeated_lines": len(repeated),
    }
    counts = {name: number for name, number in counts.items() if number}
    kept = [line for number, line in enumerate(lines[first:last]) if number not in repeated]
    return ("\n".join(kept).strip("\n") if counts else text), counts


def _leading(lines: Iterable[str], params: CleanStage) -> list[int]:
    """The kinds of the lines up to the first content."""
    kinds = []
    for line in lines:
        kinds.append(_kind(line, params))
        if kinds[-1] == CONTENT:
            break
    return kinds


def _kind(line: str, params: CleanStage) -> int:
    if line.startswith(("    ", "\t")) or any(sign in line for sign in "$\\`"):
        return CONTENT  # code, or formulas: nothing is taken from behind an opening or a closing sign of one
    line = line.strip()
    if not line:
        return BLANK
    plain = line.lower().replace("’", "'")
    if plain.strip(ORNAMENTS) in read_lists(params.navigation_lists):
        return BOILERPLATE
    num_words = len(line.split())
    if num_words <= MAX_LINE_WORDS and _phrases(params.phrase_lists).search(plain):
        return BOILERPLATE
    is_short = num_words <= params.max_menu_words and line[-1] not in ".?!:;,"
    is_label = any(map(str.isalpha, line)) and not any(char.isdigit() or char in "=<>" for char in line)
    return SHORT if is_short and is_label and not _ENUMERATED.match(line) else CONTENT


@cache
def _phrases(names: tuple[str, ...]) -> re.Pattern[str]:
    """Any phrase of the lists, as whole words."""
    phrases = "|".join(re.escape(phrase) for phrase in sorted(read_lists(names)))
    return re.compile(rf"(?<!\w)(?:{phrases})(?!\w)" if phrases else r"(?!)")


def _edge(kinds: Sequence[int], min_menu_lines: int) -> int:
    """How many of these lines at one end go. A short line right before content is its heading, and stays."""
    edge = i = 0
    while i < len(kinds) and kinds[i] != CONTENT:
        end = i
        while end < len(kinds) and kinds[end] in (SHORT, BOILERPLATE):
            end += 1
        if end < len(kinds) and kinds[end] == CONTENT:
            while end > i and kinds[end - 1] == SHORT:
                end -= 1
        run = kinds[i:end]
        if SHORT in run and (BOILERPLATE not in run or len(run) < min_menu_lines):
            return edge
        if run:
            edge = end
        elif kinds[i] == SHORT:  # a heading
            return edge
        i = max(end, i + 1)
    return edge


def _repeated(text: str, lines: Sequence[str]) -> set[int]:
    """Lines that follow themselves and go. Rows of tables (a tab or bar inside), code, formulas and lines without a word stay;
    the spans of code and formulas are looked for only where some other line follows itself."""
    repeated = {
        number
        for number, (before, line) in enumerate(pairwise(lines), start=1)
        if line.strip() == before.strip() and _WORD.search(line) and not _TABLE_OR_CODE.search(line)
    }
    if not repeated:
        return repeated
    inside = "\n".join(text[begin:end] for begin, end in protected_spans(text)).split("\n")
    return {number for number in repeated if lines[number] not in inside}
