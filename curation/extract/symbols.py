"""Characters -> LaTeX: by lists/symbols.tsv, the mathematical alphabets by their Unicode names."""

import re
import unicodedata
from functools import cache

from curation.extract.tables import characters

_TEXT_ESCAPES = {"\\": r"\textbackslash{}", **{character: f"\\{character}" for character in "_&%#${}"}}
_ENDS_IN_COMMAND = re.compile(r"\\[a-zA-Z]+$")
_ALPHABETS = (  # in order: the first that the character's name holds
    ("DOUBLE-STRUCK", r"\mathbb"),
    ("FRAKTUR", r"\mathfrak"),
    ("SCRIPT", r"\mathcal"),
    ("MONOSPACE", r"\mathtt"),
    ("SANS-SERIF", r"\mathsf"),
    ("BOLD ITALIC", r"\boldsymbol"),
    ("BOLD", r"\mathbf"),
)


def join(parts: list[str]) -> str:
    r"""Concatenates, with a space where a command would swallow the next letter: \alpha and x give `\alpha x`."""
    out = ""
    for part in parts:
        if part and part[0].isalpha() and _ENDS_IN_COMMAND.search(out[-40:]):
            out += " "
        out += part
    return out


def words(text: str) -> str:
    """Words in a formula."""
    return r"\text{" + "".join(_TEXT_ESCAPES.get(character, character) for character in text) + "}"


def symbols(text: str) -> str:
    """LaTeX of a run of characters."""
    return join([_symbol(character) for character in text])


@cache
def _symbol(character: str) -> str:
    known = characters("symbols.tsv").get(character)
    if known is not None:
        return known
    if ord(character) < 0x1D400 or ord(character) > 0x1D7FF:
        return character
    name = unicodedata.name(character, "")
    plain = unicodedata.normalize("NFKC", character)
    latex = characters("symbols.tsv").get(plain, plain)
    command = next((command for mark, command in _ALPHABETS if mark in name), None)
    return f"{command}{{{latex}}}" if command else latex
