r"""Text with mathematics as tokens that survive another way of writing it: what decontamination compares.

Words lower-cased, numbers whole (1,000 = 1{,}000 = 1000), LaTeX commands kept but spellings joined (\dfrac = \frac,
\leq = \le = ≤, \sin = sin, \alpha = α). Spacing, delimiters, brackets, fonts, multiplication signs, ^ and _ vanish: `$x^{2}$`,
`x²` and `x2` are one. Unicode's compatibility characters are folded, but α ≠ β stays apart from α = β. Chinese, Japanese and
Korean characters are a token each: no spaces part their words. Asymptote figures ([asy]...[/asy]) are left out, as copies of a
problem lose them, and so is the `> ` before lines of a quotation.

`normalise` prepares a text, `find_tokens` says what its tokens are. math_token_hashes.py finds the same tokens, as
hashes, in a small share of the time.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

IDEOGRAPHS = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
TOKEN = re.compile(
    r"(?P<quote>(?<![^\n])[ \t]*(?:>(?!=)[ \t]*)+)"  # Markdown's, before a line
    r"|\\(?:begin|end)\s*\{[^{}]*\}"  # environments: layout
    r"|\\[a-zA-Z]+"
    r"|\\[^\w]"  # \, \; \( \[ \{
    r"|(?<=frac)\d"  # \frac12
    r"|\d+(?:(?:,|\{,\}|\\[,!]|,\\!)\d{3}(?!\d))*(?:\.\d+)?"
    rf"|[{IDEOGRAPHS}]"
    rf"|[^\W\d_{IDEOGRAPHS}]+"
    r"|<=|>=|!=|-+|[+/=<>]",
    re.DOTALL,
)
LAYOUT = re.compile(r"\\(?:(?:begin|end)\s*\{.*|[^a-zA-Z])", re.DOTALL)
RAISED = re.compile("[⁰¹²³⁴-⁹₀-₉]+")  # x²³ is x and 23, 10² is 10 and 2
SEPARATOR_OF_THOUSANDS = re.compile(r"[^\d.]")
FIGURE, FIGURE_END = "[asy]", "[/asy]"
FOREIGN = re.compile(r"[^\x00-\x7f]+")
FIGURE_OR_FOREIGN = re.compile(r"\[asy\].*?(?:\[/asy\]|\Z)|[^\x00-\x7f]+", re.DOTALL)

INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"  # soft hyphens and joiners, inside words too
SPELLINGS = Path(__file__).with_name("math_spellings.tsv")


@cache
def spellings() -> dict[str, str]:
    """Other ways to write a token: `written TAB token` a line; an empty token is layout."""
    return dict(line.split("\t") for line in SPELLINGS.read_text(encoding="utf-8").splitlines())


@cache
def _characters() -> dict[int, str]:
    """The single characters among them, spaced apart where a command would grow into its neighbours."""
    characters = {written: token for written, token in spellings().items() if len(written) == 1 and not written.isascii()}
    spaced = {key: f" {token} " if token[:1] in ("\\", "") else token for key, token in characters.items()}
    return str.maketrans(spaced | dict.fromkeys(INVISIBLE, ""))


def normalise(text: str) -> str:
    parts, done = [], 0
    for start, end in changes(text):
        parts += [text[done:start], fold(text[start:end])]
        done = end
    return "".join([*parts, text[done:]]) if parts else text


def changes(text: str) -> Iterator[tuple[int, int]]:
    """What normalising changes: figures, and runs of characters outside ASCII, with the one before where an accent joins it."""
    if text.isascii() and FIGURE not in text:
        return
    done = 0
    for change in (FIGURE_OR_FOREIGN if FIGURE in text else FOREIGN).finditer(text):
        start = change.start()
        yield start - (start > done and unicodedata.combining(text[start]) > 0), change.end()
        done = change.end()


@lru_cache(maxsize=1 << 16)
def fold(piece: str) -> str:
    """What a change becomes. A compatibility form may be of a letter with a spelling of its own: 𝛼 is α is \\alpha."""
    if piece.startswith(FIGURE):
        return " "
    folded = unicodedata.normalize("NFKC", RAISED.sub(r" \g<0>", piece)).translate(_characters())
    return "".join(c if c.isascii() else c.lower() for c in folded)


def find_tokens(text: str) -> list[tuple[str, int, int]]:
    """(token, start, end) in a normalised text."""
    matches = (match for match in TOKEN.finditer(text) if match.lastgroup != "quote")
    found = ((canonical(match.group()), match.start(), match.end()) for match in matches)
    return [entry for entry in found if entry[0]]


def canonical(piece: str) -> str:
    """What a matched piece of text stands for; empty if it only lays out."""
    if piece[0].isdecimal():
        return SEPARATOR_OF_THOUSANDS.sub("", piece)
    if piece[0] == "-" or LAYOUT.fullmatch(piece):
        return piece[0].strip("\\")
    return spellings().get(piece, piece if piece[0] == "\\" else piece.lower())
