r"""Text with mathematics as tokens that survive another way of writing it: what decontamination compares.

Words lower-cased, numbers whole (1,000 = 1{,}000 = 1000), LaTeX commands kept but spellings joined (\dfrac = \frac,
\leq = \le = ≤, \sin = sin, \alpha = α). Spacing, delimiters, brackets, fonts, multiplication signs, ^ and _ vanish: `$x^{2}$`,
`x²` and `x2` are one. Unicode's compatibility characters are folded, but α ≠ β stays apart from α = β. Chinese, Japanese and
Korean characters are a token each: no spaces part their words. Asymptote figures ([asy]...[/asy]) are left out: copies of a
problem lose them.
"""

import re
import unicodedata
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xxhash

Hashes = npt.NDArray[np.uint64]

IDEOGRAPHS = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
TOKEN = re.compile(
    r"\\(?:begin|end)\s*\{[^{}]*\}"  # environments: layout
    r"|\\[a-zA-Z]+"
    r"|\\[^\w]"  # \, \; \( \[ \{
    r"|(?<=frac)\d"  # \frac12
    r"|\d+(?:(?:,|\{,\}|\\[,!]|,\\!)\d{3}(?!\d))*(?:\.\d+)?"
    rf"|[{IDEOGRAPHS}]"
    rf"|[^\W\d_{IDEOGRAPHS}]+"
    r"|<=|>=|!=|-+|[+/=<>]",
    re.DOTALL,
)
FIGURE = re.compile(r"\[asy\].*?(?:\[/asy\]|\Z)", re.DOTALL)
LAYOUT = re.compile(r"\\(?:(?:begin|end)\s*\{.*|[^a-zA-Z])", re.DOTALL)
RAISED = re.compile("[⁰¹²³⁴-⁹₀-₉]+")  # x²³ is x and 23, 10² is 10 and 2
SEPARATOR_OF_THOUSANDS = re.compile(r"[^\d.]")
MARK = np.uint64(1)  # the lowest bit of a token's hash: it is a number
ANY_NUMBER = np.uint64(0x5851F42D4C957F2D)
MAX_CACHED_TOKENS = 1_000_000

INVISIBLE = "\u00ad\u200b\u200c\u200d\u2060\ufeff"  # soft hyphens and joiners, inside words too
SPELLINGS = Path(__file__).with_name("math_spellings.tsv")


@cache
def _spellings() -> dict[str, str]:
    """Other ways to write a token: `written TAB token` a line; an empty token is layout."""
    return dict(line.split("\t") for line in SPELLINGS.read_text(encoding="utf-8").splitlines())


@cache
def _characters() -> dict[int, str]:
    """The single characters among them, spaced apart where a command would grow into its neighbours."""
    characters = {written: token for written, token in _spellings().items() if len(written) == 1 and not written.isascii()}
    spaced = {key: f" {token} " if token[:1] in ("\\", "") else token for key, token in characters.items()}
    return str.maketrans(spaced | dict.fromkeys(INVISIBLE, ""))


def find_tokens(text: str) -> list[tuple[str, int, int]]:
    """(token, start, end) in the normalised text; see `normalise`."""
    found = ((canonical(match.group()), match.start(), match.end()) for match in TOKEN.finditer(text))
    return [entry for entry in found if entry[0]]


def normalise(text: str) -> str:
    if "[asy]" in text:
        text = FIGURE.sub(" ", text)
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", RAISED.sub(r" \g<0>", text).translate(_characters()))


def canonical(token: str) -> str:
    """What a matched piece of text stands for; empty if it only lays out."""
    if token[0].isdecimal():
        return SEPARATOR_OF_THOUSANDS.sub("", token)
    if token[0] == "-" or LAYOUT.fullmatch(token):
        return token[0].strip("\\")
    return _spellings().get(token, token if token[0] == "\\" else token.lower())


class TokenHashes(dict[str, int]):
    """From a matched piece of text to the hash of its token, 0 for layout; the lowest bit tells numbers."""

    def __missing__(self, piece: str) -> int:
        if len(self) >= MAX_CACHED_TOKENS:
            self.clear()
        token = canonical(piece)
        hashed = xxhash.xxh3_64_intdigest(token.encode("utf-8", "surrogatepass")) & ~1 if token else 0
        hashed |= bool(token) and token[0].isdecimal()
        self[piece] = hashed
        return hashed

    def of(self, text: str) -> Hashes:
        """Hashes of a text's tokens, in order."""
        pieces = TOKEN.findall(normalise(text))
        hashes = np.fromiter(map(self.__getitem__, pieces), np.uint64, len(pieces))
        tokens: Hashes = hashes[hashes != 0]
        return tokens


def without_numbers(hashes: Hashes) -> Hashes:
    """All numbers alike: what a problem and its copies with other numbers share."""
    alike: Hashes = np.where(hashes & MARK, ANY_NUMBER, hashes)
    return alike
