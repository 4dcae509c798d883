"""Finds every formula of a page, to be replaced by a placeholder that no text extractor can split, escape or double."""

import re
from bisect import bisect_left
from functools import cached_property
from typing import NamedTuple

import numpy as np

from curation.extract import elements
from curation.extract.content_mathml import UnreadableMath
from curation.extract.delimiters import (
    ASCIIMATH,
    Delimiter,
    closing_index,
    configured_pairs,
    find_delimiters,
    read_delimited,
    usual_pairs,
)
from curation.extract.images import read_image
from curation.extract.latex import TWIN, Formula, identity
from curation.extract.nesting import END, FLAGS, INSIDE_STOP, OPENS, OWNER, PARENT, START, STOP, TAG, TOO_DEEP
from curation.extract.scan import scan
from curation.extract.source import attributes
from curation.extract.vocabulary import FORMULA, HIDDEN, RAW, UNSEEN, VERBATIM, VOID, tag_names, tag_number
from curation.extract.weights import SPAN_START

# Noncharacters: they mean nothing in any text, and HTML parsers pass them through.
OPEN, CLOSE = "\ufdd0", "\ufdd1"

_NAMES = (b"MathJax", b"renderMathInElement", b"sciimath", b"SCIIMath")  # the last two: asciimath2jax, ASCIIMathML
_CONFIGURES = (b"inlineMath", b"displayMath", b"delimiters")  # delimiters of their own, in a script
_TAGS = re.compile(r"<[^>]*>")
_NAME = re.compile(r"<(?:[a-z]+:)?([a-z0-9-]+)", re.IGNORECASE)
_MAX_SCRIPT_CHARS = 120
_MAX_BETWEEN = 200  # characters of markup between a formula and its twin
MAX_PLACES = 200_000  # at which a page may have a formula; the largest real ones have 20,000
MAX_FORMULA_CHARS = 200_000  # of an element's markup: drawn matrices reach 50,000
_MAX_WEIGHT = 200
_ORDINALS = frozenset(["st", "nd", "rd", "th", "tm", "sm", "er", "re", "e", "o", "a", "®", "™", "*", "†", "‡"])
_AFTER_A_WORD = re.compile(r"(?:[^\W\d_]{4,}|[.,;:!?)\]\"”’])(?:\s*</?[a-z]+\d?>)*\s*$")


class Element(NamedTuple):
    """An element that may be a formula."""

    name: str  # empty for one of the page's own, such as <x-note>
    attributes: str  # as they are written, after the name
    start: int
    inside_start: int
    inside_stop: int
    stop: int


class Page:
    """One page's source and tags, and the formulas found on it.

    `spans`: what of the source is written differently, in order, with the columns of `weights`; `texts`: how.
    """

    def __init__(self, html: str):
        self.scanned = scan(html)
        self.html = self.scanned.html
        self.pairs: dict[str, str] = {}
        self.formulas: list[Formula] = []
        self._spans: list[int] = []  # all columns of the first, of the next
        self._texts: list[str] = []
        is_deep = (self.scanned.tags[:, OWNER] == TOO_DEEP).any()
        self.limits = {name for name, is_met in (("tags", self.scanned.is_cut), ("depth", is_deep)) if is_met}  # it has run into
        self._last_name, self._last_stop = "", -_MAX_BETWEEN - 1  # of the last formula's element, empty for none
        self._identities: dict[str, int] = {}
        self._may_nest = True  # math in math: until one look for the outer end, which goes far ahead, fails
        self._looked_until = -1  # an element without a formula: nor have those inside it, and none is read twice
        self._find()
        self._show_controls()
        self._show_hidden()
        spans = np.array(self._spans, np.int32).reshape(-1, 4)
        order = np.argsort(spans[:, SPAN_START], kind="stable")
        self.spans = spans[order]
        self.texts = [self._texts[index] for index in order.tolist()]

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
        # tuples of numbers, which the garbage collector does not look through
        rows = list(zip(*tags[(tags[:, FLAGS] & FORMULA != 0) & (tags[:, OWNER] == OPENS)].T.tolist(), strict=True))
        places = [(row[START], ~number) for number, row in enumerate(rows)]
        places += [(delimiter.start, index) for index, delimiter in enumerate(delimiters) if delimiter.text in self.pairs]
        places.sort()
        if len(places) > MAX_PLACES:
            self.limits.add("formulas")
        position = 0
        for start, index in places[:MAX_PLACES]:
            if start < position:
                continue
            if index < 0:
                position = self._read_or_count(self._element(rows[~index])) or position
            elif (closing := closing_index(self.html, delimiters, index, self.pairs)) is not None:
                position = delimiters[closing].end
                self._replace(start, position, read_delimited(self.html, delimiters[index], delimiters[closing]))

    def _show_controls(self) -> None:
        """Labels and buttons with formulas, such as the answers of a quiz, become spans: the renderer drops what they are."""
        tags = self.scanned.tags
        rows = np.flatnonzero((tags[:, TAG] == tag_number("label")) | (tags[:, TAG] == tag_number("button")))
        starts = [start for start, weight in zip(self._spans[::4], self._spans[2::4], strict=True) if weight] if len(rows) else []
        for row in rows.tolist():
            start, end, _, _, _, inside_stop, stop, owner = tags[row].tolist()
            if owner == OPENS and bisect_left(starts, end) < bisect_left(starts, inside_stop):
                tags[row, FLAGS] &= ~UNSEEN
                self._write(start, end, "<span>")
                if inside_stop < stop:
                    self._write(inside_stop, stop, "</span>")

    def _show_hidden(self) -> None:
        """Solutions are often folded away. What is to be hidden has been dropped when the rest is rendered."""
        tags = self.scanned.tags
        hidden = tags[tags[:, FLAGS] & (HIDDEN | UNSEEN) == HIDDEN][:, [START, END]].tolist()
        replaced = set(self._spans[::4]) if hidden else set()
        for start, end in hidden:
            name = _NAME.match(self.html, start)
            if name and start not in replaced:
                self._write(start, end, f"{name[0]}>")

    def _delimiters(self) -> list[Delimiter]:
        html = self.html
        places = [(start, end, html[start:end]) for start, end in self.scanned.delimiters[: 3 * MAX_PLACES].tolist()]
        self.pairs = usual_pairs({text for _, _, text in places})
        texts = {*self.pairs, *self.pairs.values()}
        found = [Delimiter._make(place) for place in places if place[2] in texts]
        tags, source = self.scanned.tags, self.scanned.source
        scripts = tags[(tags[:, TAG] == tag_number("script")) & (tags[:, OWNER] == OPENS)].tolist()
        said = b"\n".join([source[script[END] : script[INSIDE_STOP]] for script in scripts])
        if not any(mark in said for mark in _CONFIGURES) and source.count(ASCIIMATH.encode()) < 2:
            return found
        if not any(name in source for name in _NAMES):
            return found
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

    def _element(self, row: tuple[int, ...]) -> Element | None:
        """None for one that never ends."""
        start, end, number, flags, _, inside_stop, stop, _ = row
        if inside_stop == stop and not flags & VOID:
            return None
        name = tag_names().get(number, "")
        if name == "math" and self._may_nest and self.html.find("<math", end, inside_stop) >= 0:
            nested = elements.outer_math_end(self.html, end, start + MAX_FORMULA_CHARS)
            inside_stop, stop = nested or (inside_stop, stop)
            self._may_nest = nested is not None
        return Element(name, self.html[start + 1 : end - 1], start, end, inside_stop, stop)

    def _read_or_count(self, element: Element | None) -> int | None:
        """Where the element ends, if it is a formula that has been replaced or cannot be read; None to look into it."""
        if element is None:
            return None
        try:
            return self._read(element)
        except UnreadableMath:  # counted by the page
            self.limits.add("mathml")
            self._write(element.start, element.stop, "")
            return element.stop

    def _read(self, element: Element) -> int | None:
        if element.stop - element.start > MAX_FORMULA_CHARS:
            return self._pass_over(element)
        found = self._formula(element)
        if found is not None and self._is_drawn_twice(element, found):
            found = TWIN
        if found is not None:
            self._replace(element.start, element.stop, found, element.name)
            return element.stop
        if element.name in ("sub", "sup") and self._is_script(element):
            self._write(element.start, element.inside_start, "_{" if element.name == "sub" else "^{")
            self._write(element.inside_stop, element.stop, "}")
        elif element.name == "tr" and element.start >= self._looked_until and "ltx_eqn_row" in element.attributes:
            inside = self._look(element)
            latex = elements.read_equation_row(inside)
            if latex:
                row = Formula(f"$${latex}$$", True, "alttext" if "alttext=" in inside else "mathml")
                self._replace(element.start, element.stop, row)
                self._texts[-1] = f"<tr><td>{self._texts[-1]}</td></tr>"
                return element.stop
        return None

    def _pass_over(self, element: Element) -> int | None:
        """Names the limit where what is too long to be read is a formula: others are parts of a page with a telling class.
        What KaTeX has drawn goes: it is the twin of a formula, and without structure no formula."""
        is_drawn = "katex-html" in attributes(element.attributes).get("class", "").split()
        if is_drawn or element.name in elements.READERS:
            self.limits.add("formula_chars")
        if not is_drawn:
            return None
        self._write(element.start, element.stop, "")
        return element.stop

    def _formula(self, element: Element) -> Formula | None:
        name, raw = element.name, element.attributes
        if "data-" in raw and (found := elements.read_attribute(raw)):
            return found
        if name == "img":
            return read_image(raw)
        if name == "noscript":
            return elements.read_noscript(self._inside(element))
        if name in elements.READERS:
            return elements.READERS[name](raw, self._inside(element))
        if name in ("span", "div") and element.start >= self._looked_until and elements.DRAWN.search(raw):
            return elements.read_span(raw, lambda: self._look(element), self._has_script)
        if name in ("span", "div", "pre", "code") and elements.WRITTEN.search(raw):
            return elements.read_written(raw, self._inside(element))
        return None

    def _is_drawn_twice(self, element: Element, found: Formula) -> bool:
        """Whether the formula right before is the same: KaTeX writes each for screen readers first, and an image that is loaded
        late stands beside the one for readers without scripts."""
        if not 0 <= element.start - self._last_stop <= _MAX_BETWEEN:
            return False
        last = self.formulas[-1]
        if found.kind == "image":
            is_twin = last.text == found.text and (element.name == "noscript") != (self._last_name == "noscript")
        else:
            is_twin = "katex-html" in element.attributes and last.kind in ("annotation", "alttext", "mathml")
        return is_twin and not _TAGS.sub("", self.html[self._last_stop : element.start]).strip()

    def _inside(self, element: Element) -> str:
        return self.html[element.inside_start : element.inside_stop]

    def _look(self, element: Element) -> str:
        self._looked_until = element.inside_stop
        return self._inside(element)

    def _has_script(self, identity: str | None) -> bool:
        """Whether the page still has the script of that formula of MathJax 2; without an identity, of any formula."""
        return bool(self._script_ids) if identity is None else identity in self._script_ids

    @cached_property
    def _script_ids(self) -> frozenset[str]:
        tags = self.scanned.tags
        scripts = tags[(tags[:, TAG] == tag_number("script")) & (tags[:, OWNER] == OPENS)][:, [START, END]].tolist()
        found = [attributes(self.html[start + len("<script") : end - 1]) for start, end in scripts]
        return frozenset(attrs.get("id", "") for attrs in found if attrs.get("type", "").lower().startswith("math/"))

    def _is_script(self, element: Element) -> bool:
        """Tells x<sub>1</sub> and 2<sup>n</sup> from footnotes, ordinals and trade marks."""
        if element.inside_stop - element.inside_start > _MAX_SCRIPT_CHARS:
            return False
        inside = self._inside(element)
        text = _TAGS.sub("", inside).strip() if "<" in inside else inside.strip()
        if not text or "[" in text or ("<" in inside and re.search(r"<(?:a|br|p|div|img)\b", inside, re.IGNORECASE)):
            return False
        if element.name == "sup":
            before = self.html[max(0, element.start - 60) : element.start]
            is_note = text.isdigit() and _AFTER_A_WORD.search(before) and not before.rstrip().endswith((")", "]"))
            return not is_note and text.lower() not in _ORDINALS
        return True

    def _replace(self, start: int, stop: int, found: Formula, name: str = "") -> None:
        if not found.text:  # a twin of another formula
            self._write(start, stop, "")
            return
        number = self._identities.setdefault(identity(found.text), len(self._identities))
        self._write(start, stop, f"{OPEN}{len(self.formulas)}{CLOSE}", min(len(found.text), _MAX_WEIGHT), number)
        self.formulas.append(found)
        self._last_name, self._last_stop = name, stop

    def _write(self, start: int, stop: int, text: str, weight: int = 0, identity: int = -1) -> None:
        """html[start:stop] is written as `text`. `weight`: length of the formula that it stands for, 0 if it stands for none;
        `identity`: the same number for the same formula, -1 for none."""
        self._spans += (start, stop, weight, identity)
        self._texts.append(text)
