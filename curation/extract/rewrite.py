"""Finds every formula of a page, to be replaced by a placeholder that no text extractor can split, escape or double."""

import re
from functools import cached_property
from typing import NamedTuple

import numpy as np

from curation.extract import elements
from curation.extract.delimiters import Delimiter, closing_index, configured_pairs, find_delimiters, read_delimited, usual_pairs
from curation.extract.images import read_image
from curation.extract.latex import Formula
from curation.extract.nesting import END, FLAGS, INSIDE_STOP, OPENS, OWNER, PARENT, START, STOP, TAG, TOO_DEEP
from curation.extract.scan import scan
from curation.extract.vocabulary import FORMULA, HIDDEN, RAW, UNSEEN, VERBATIM, VOID, tag_number

# Noncharacters: they mean nothing in any text, and HTML parsers pass them through.
OPEN, CLOSE = "\ufdd0", "\ufdd1"

_NAMES = (b"MathJax", b"renderMathInElement", b"sciimath", b"SCIIMath")  # the last two: asciimath2jax, ASCIIMathML
_CONFIGURES = (b"inlineMath", b"displayMath", b"delimiters", b"sciimath", b"SCIIMath", b"config=AM_")
_SCRIPT_ID = re.compile(r"""<script\s[^>]*?\bid=["']?(MathJax-Element-\d+)\b""", re.IGNORECASE)
_NAME = re.compile(r"<(?:[a-z]+:)?([a-z0-9-]+)", re.IGNORECASE)
_MAX_SCRIPT_CHARS = 120
MAX_PLACES = 200_000  # at which a page may have a formula; the largest real ones have 20,000
MAX_FORMULA_CHARS = 200_000  # of an element's markup: drawn matrices reach 50,000
_MAX_WEIGHT = 200
_ORDINALS = frozenset(["st", "nd", "rd", "th", "tm", "sm", "er", "re", "e", "o", "a", "®", "™", "*", "†", "‡"])
_AFTER_A_WORD = re.compile(r"(?:[^\W\d_]{4,}|[.,;:!?)\]\"”’])(?:\s*</?[a-z]+\d?>)*\s*$")


class Span(NamedTuple):
    """html[start:stop] is written as `text`. `weight`: length of the formula that it stands for, 0 if it stands for none."""

    start: int
    stop: int
    weight: int
    text: str


class Element(NamedTuple):
    """An element that may be a formula."""

    name: str
    attributes: str
    start: int
    inside_start: int
    inside_stop: int
    stop: int


class Page:
    """One page's source and tags; the formulas found on it; the spans of the source that are written differently, in order."""

    def __init__(self, html: str):
        self.html = html
        self.scanned = scan(html)
        self.pairs: dict[str, str] = {}
        self.formulas: list[Formula] = []
        self.spans: list[Span] = []
        self.limits = {"depth"} if (self.scanned.tags[:, OWNER] == TOO_DEEP).any() else set()  # those it has run into
        self._looked_until = -1  # an element without a formula: nor have those inside it, and none is read twice
        self._find()
        self._show_hidden()
        self.spans.sort()

    @property
    def title(self) -> str | None:
        """The content of the first title element, as it is written."""
        tags = self.scanned.tags
        for row in np.flatnonzero(tags[:, TAG] == tag_number("title"))[:1]:
            return self.html[tags[row, END] : tags[row, INSIDE_STOP]]
        return None

    def _find(self) -> None:
        tags = self.scanned.tags
        delimiters = self._delimiters()
        rows = tags[(tags[:, FLAGS] & FORMULA != 0) & (tags[:, OWNER] == OPENS)].tolist()
        places = [(row[START], -1, row) for row in rows]
        places += [(delimiter.start, index, []) for index, delimiter in enumerate(delimiters) if delimiter.text in self.pairs]
        places.sort()
        if len(places) > MAX_PLACES:
            self.limits.add("formulas")
        position = 0
        for start, index, row in places[:MAX_PLACES]:
            if start < position:
                continue
            if row:
                position = self._read(self._element(row)) or position
            elif (closing := closing_index(self.html, delimiters, index, self.pairs)) is not None:
                position = delimiters[closing].end
                self._replace(start, position, read_delimited(self.html, delimiters[index], delimiters[closing]))

    def _show_hidden(self) -> None:
        """Solutions are often folded away. What is to be hidden has been dropped when the rest is rendered."""
        tags = self.scanned.tags
        replaced = {span.start for span in self.spans}
        for start, end in tags[tags[:, FLAGS] & (HIDDEN | UNSEEN) == HIDDEN][:, [START, END]].tolist():
            name = _NAME.match(self.html, start)
            if name and start not in replaced:
                self.spans.append(Span(start, end, 0, f"{name[0]}>"))

    def _delimiters(self) -> list[Delimiter]:
        html = self.html
        places = [(start, end, html[start:end]) for start, end in self.scanned.delimiters[: 3 * MAX_PLACES].tolist()]
        self.pairs = usual_pairs({text for _, _, text in places})
        texts = {*self.pairs, *self.pairs.values()}
        found = [Delimiter._make(place) for place in places if place[2] in texts]
        source = self.scanned.source
        if not any(mark in source for mark in _NAMES) or not any(mark in source for mark in _CONFIGURES):
            return found
        tags = self.scanned.tags
        scripts = tags[(tags[:, TAG] == tag_number("script")) & (tags[:, OWNER] == OPENS)].tolist()
        own = configured_pairs(html, "\n".join(html[script[END] : script[INSIDE_STOP]] for script in scripts))
        if not own:
            return found
        self.pairs |= own
        return sorted([*found, *(delimiter for delimiter in find_delimiters(html, own) if self._is_text(delimiter.start))])

    def _is_text(self, position: int) -> bool:
        """Whether the place is not inside a tag, a script or verbatim text."""
        tags = self.scanned.tags
        row = int(np.searchsorted(tags[:, START], position, side="right")) - 1
        if row >= 0 and position < (tags[row, STOP] if tags[row, FLAGS] & RAW else tags[row, END]):
            return False
        while row >= 0:
            if tags[row, FLAGS] & VERBATIM and tags[row, STOP] > position:
                return False
            row = int(tags[row, PARENT])
        return True

    def _element(self, row: list[int]) -> Element | None:
        """None for one that never ends."""
        start, end, _, flags, _, inside_stop, stop, _ = row
        name = _NAME.match(self.html, start)
        if name is None or (inside_stop == stop and not flags & VOID):
            return None
        if stop - start > MAX_FORMULA_CHARS:
            if name[1].lower() in elements.READERS:  # others are parts of a page with a telling class
                self.limits.add("formula_chars")
            return None
        return Element(name[1].lower(), self.html[name.end() : end - 1], start, end, inside_stop, stop)

    def _read(self, element: Element | None) -> int | None:
        """Where the element ends, if it is a formula that has been replaced; None to look into it."""
        if element is None:
            return None
        found = self._formula(element)
        if found is not None:
            self._replace(element.start, element.stop, found)
            return element.stop
        if element.name in ("sub", "sup") and self._is_script(element):
            self.spans.append(Span(element.start, element.inside_start, 0, "_{" if element.name == "sub" else "^{"))
            self.spans.append(Span(element.inside_stop, element.stop, 0, "}"))
        elif element.name == "tr" and element.start >= self._looked_until and "ltx_eqn_row" in element.attributes:
            inside = self._look(element)
            latex = elements.read_equation_row(inside)
            if latex:
                row = Formula(f"$${latex}$$", True, "alttext" if "alttext=" in inside else "mathml")
                self._replace(element.start, element.stop, row)
                last = self.spans[-1]
                self.spans[-1] = last._replace(text=f"<tr><td>{last.text}</td></tr>")
                return element.stop
        return None

    def _formula(self, element: Element) -> Formula | None:
        name, raw = element.name, element.attributes
        if "data-" in raw and (found := elements.read_attribute(raw)):
            return found
        if name == "img":
            return read_image(raw)
        if name in elements.READERS:
            return elements.READERS[name](raw, self._inside(element))
        if name in ("span", "div") and element.start >= self._looked_until and any(mark in raw for mark in elements.MARKS):
            return elements.read_span(raw, lambda: self._look(element), self._has_script)
        return None

    def _inside(self, element: Element) -> str:
        return self.html[element.inside_start : element.inside_stop]

    def _look(self, element: Element) -> str:
        self._looked_until = element.inside_stop
        return self._inside(element)

    def _has_script(self, identity: str | None) -> bool:
        """Whether the page still has the script of that formula of MathJax 2; without an identity, any script."""
        return bool(self._script_ids) if identity is None else identity in self._script_ids

    @cached_property
    def _script_ids(self) -> frozenset[str]:
        return frozenset(_SCRIPT_ID.findall(self.html)) or frozenset(["unnamed"] if "<script" in self.html else [])

    def _is_script(self, element: Element) -> bool:
        """Tells x<sub>1</sub> and 2<sup>n</sup> from footnotes, ordinals and trade marks."""
        if element.inside_stop - element.inside_start > _MAX_SCRIPT_CHARS:
            return False
        inside = self._inside(element)
        text = re.sub(r"<[^>]*>", "", inside).strip() if "<" in inside else inside.strip()
        if not text or "[" in text or ("<" in inside and re.search(r"<(?:a|br|p|div|img)\b", inside, re.IGNORECASE)):
            return False
        if element.name == "sup":
            before = self.html[max(0, element.start - 60) : element.start]
            is_note = text.isdigit() and _AFTER_A_WORD.search(before) and not before.rstrip().endswith((")", "]"))
            return not is_note and text.lower() not in _ORDINALS
        return True

    def _replace(self, start: int, stop: int, found: Formula) -> None:
        if not found.text:  # a twin of another formula
            self.spans.append(Span(start, stop, 0, ""))
            return
        placeholder = f"{OPEN}{len(self.formulas)}{CLOSE}"
        self.spans.append(Span(start, stop, min(len(found.text), _MAX_WEIGHT), placeholder))
        self.formulas.append(found)
