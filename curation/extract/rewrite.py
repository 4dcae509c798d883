"""Replaces every formula of a page by a placeholder that no text extractor can split, escape or double."""

import re

from curation.extract import elements
from curation.extract.delimiters import closing_index, delimiter_pairs, delimiter_patterns, read_delimited
from curation.extract.images import read_image
from curation.extract.latex import Formula
from curation.extract.source import VOID_TAGS, Token, drop_unseen, tag_pattern, tokenize
from curation.extract.tables import lines

# Noncharacters: they mean nothing in any text, and HTML parsers pass them through.
OPEN, CLOSE = "\ufdd0", "\ufdd1"

_VERBATIM = frozenset(["pre", "code", "textarea", "kbd", "samp", "tt", "title"])
_MAX_SCRIPT_CHARS = 120
_MAX_WIDTH = 200
_MIN_ITEM_CHARS = 20
_FORMULA_MARKS = ("<math", "\\(", "math/tex", "katex", "mjx-", "<pre", "<code")
_ORDINALS = frozenset(["st", "nd", "rd", "th", "tm", "sm", "er", "re", "e", "o", "a", "®", "™", "*", "†", "‡"])
_AFTER_A_WORD = re.compile(r"(?:[^\W\d_]{4,}|[.,;:!?)\]\"”’])(?:\s*</?[a-z]+\d?>)*\s*$")
# resiliparse 2.0.1 takes for navigation, and drops, any ul less than three elements below <body> or rich in links
_WRAP, _UNWRAP = "<div><div><div>", "</div></div></div>"
_LINK = re.compile(r"</?a(?=[\s>])[^>]*+>", re.IGNORECASE)
_LINKED = re.compile(r"<a(?=[\s>])[^>]*+>(.{0,2000}?)</a\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*+>")
# and every figure: those with code, tables or formulas in them are content
_FIGURE_MARKS = ("<table", *_FORMULA_MARKS)


class Page:
    """One page's source and the formulas found on it, in order of appearance."""

    def __init__(self, html: str):
        self.html, config = drop_unseen(html)
        self.formulas: list[Formula] = []
        self.pairs = delimiter_pairs(self.html, config)
        self.has_attributes = any(name in self.html for name in lines("latex_attributes.txt"))
        self.tokens = tokenize(self.html, tag_pattern(self._names(), delimiter_patterns(self.pairs)))
        self._instead: dict[int, str] = {}  # closing tokens that are written differently
        self._verbatim_until = self._list_until = self._figure_until = self._content_figure_until = -1
        self._looked_until = -1  # an element without a formula: nor have those inside it, and none is read twice
        self._list_end = -1  # of a list that loses its links

    def rewrite(self) -> str:
        """The source with placeholders."""
        out: list[str] = []
        position = index = list_start = 0
        while index < len(self.tokens):
            token = self.tokens[index]
            if index in self._instead:
                out += self.html[position : token.start], self._instead[index]
                position = token.end
                if index == self._list_end:
                    out[list_start:] = [_LINK.sub("", "".join(out[list_start:]))]
            elif found := self._read(index, token):
                text, last = found
                list_start = len(out) + 1 if text.startswith(_WRAP) else list_start
                out += self.html[position : token.start], text
                position = self.tokens[last].end
                index = last
            index += 1
        return "".join([*out, self.html[position:]])

    def _names(self) -> set[str] | None:
        """The tags to look at: all where any may carry a formula in an attribute, else those that may be one."""
        if self.has_attributes:
            return None
        names = {"math", "img", "sub", "sup", "ul", "script", "tex-math", "alternatives", "mjx-container"}
        if "<figure" in self.html:
            names |= {"figure", "figcaption"}
        if _has_mark(self.html):
            names |= {"span", "div"}
        return names | (_VERBATIM if self.pairs else set()) | ({"tr"} if "ltx_eqn_row" in self.html else set())

    def _read(self, index: int, token: Token) -> tuple[str, int] | None:
        """What to write instead of the tokens from `index` on, and the last of them; None to leave the token."""
        if not token.name:
            closing = closing_index(self.html, self.tokens, index, self.pairs) if index > self._verbatim_until else None
            if closing is None:
                return None
            return self._placeholder(read_delimited(self.html, token, self.tokens[closing])), closing
        if token.is_closing or (token.partner < 0 and token.name not in VOID_TAGS):
            return None
        last = index if token.name in VOID_TAGS else token.partner
        found = self._element(token, last)
        if found is not None:
            return self._placeholder(found), last
        if token.name in _VERBATIM:
            self._verbatim_until = max(self._verbatim_until, last)
        return self._structure(index, token, last)

    def _element(self, token: Token, last: int) -> Formula | None:
        if self.has_attributes and "data-" in token.text and (found := elements.read_attribute(token.text)):
            return found
        if token.name == "img":
            return read_image(token.text)
        if token.name in elements.READERS:
            return elements.READERS[token.name](token.text, self._inside(token, last))
        if token.name in ("span", "div") and token.start >= self._looked_until and _has_mark(token.text):
            return elements.read_span(token.text, lambda: self._look(token, last), self.html)
        return None

    def _structure(self, index: int, token: Token, last: int) -> tuple[str, int] | None:
        if token.name in ("sub", "sup") and self._is_script(token, last):
            self._instead[last] = "}"
            return ("_{" if token.name == "sub" else "^{"), index
        if token.name == "ul" and index > self._list_until:
            self._list_until = last
            inside = self._inside(token, last)
            if not _is_menu(inside):
                self._list_end = last if "<a" in inside else -1
                self._instead[last] = self.html[self.tokens[last].start : self.tokens[last].end] + _UNWRAP
                return _WRAP + self.html[token.start : token.end], index
        if token.name == "figure" and index > self._figure_until:
            self._figure_until = last
            if any(mark in self._inside(token, last) for mark in _FIGURE_MARKS):
                self._content_figure_until = last
        if token.name in ("figure", "figcaption") and index < self._content_figure_until:
            self._instead[last] = "</div>"
            return "<div>", index
        if token.name == "tr" and token.start >= self._looked_until and "ltx_eqn_row" in token.text:
            inside = self._look(token, last)
            latex = elements.read_equation_row(inside)
            if latex:
                row = Formula(f"$${latex}$$", True, "alttext" if "alttext=" in inside else "mathml")
                return f"<tr><td>{self._placeholder(row)}</td></tr>", last
        return None

    def _inside(self, token: Token, last: int) -> str:
        return self.html[token.end : self.tokens[last].start]

    def _look(self, token: Token, last: int) -> str:
        self._looked_until = self.tokens[last].start
        return self._inside(token, last)

    def _is_script(self, token: Token, last: int) -> bool:
        """Tells x<sub>1</sub> and 2<sup>n</sup> from footnotes, ordinals and trade marks."""
        if self.tokens[last].start - token.end > _MAX_SCRIPT_CHARS:
            return False
        inside = self._inside(token, last)
        text = re.sub(r"<[^>]*>", "", inside).strip()
        if not text or "[" in text or re.search(r"<(?:a|br|p|div|img)\b", inside, re.IGNORECASE):
            return False
        before = self.html[max(0, token.start - 60) : token.start]
        if token.name == "sup":
            is_note = text.isdigit() and _AFTER_A_WORD.search(before) and not before.rstrip().endswith((")", "]"))
            return not is_note and text.lower() not in _ORDINALS
        return True

    def _placeholder(self, found: Formula) -> str:
        if not found.text:
            return ""
        self.formulas.append(found)
        # as long as the formula: resiliparse weighs the text of a block against that of its links
        return f"{OPEN}{len(self.formulas) - 1:0{min(len(found.text), _MAX_WIDTH)}d}{CLOSE}"


def _is_menu(inside: str) -> bool:
    """Whether a list is navigation: more links than text, or items of a word or two. With formulas or no link it is not."""
    if "<a" not in inside or any(mark in inside for mark in _FORMULA_MARKS):
        return False
    linked = sum(len(_TAG.sub("", match[1]).strip()) for match in _LINKED.finditer(inside))
    unlinked = len("".join(_TAG.sub("", _LINKED.sub("", inside)).split()))
    return unlinked < linked or unlinked < _MIN_ITEM_CHARS * inside.count("<li")


def _has_mark(text: str) -> bool:
    return any(mark in text for mark in elements.MARKS)
