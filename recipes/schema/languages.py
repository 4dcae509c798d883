"""The languages that fastText's lid.176 tells apart: languages.txt."""

import difflib
from functools import cache
from pathlib import Path


@cache
def language_names() -> dict[str, str]:
    """English names by code."""
    lines = Path(__file__).with_name("languages.txt").read_text(encoding="utf-8").splitlines()
    return {code: name for code, _, name in (line.partition(" ") for line in lines) if code != "#"}


def check_language(given: str) -> None:
    names = language_names()
    if given not in names:
        raise ValueError(f"{given!r} is no code of a language that lid.176 knows; {_nearest(given, names)}")


def _nearest(given: str, names: dict[str, str]) -> str:
    """Also by the English name, and without what stands behind a code: en-US, eng_Latn."""
    codes = {name.lower(): code for code, name in names.items()} | {code: code for code in names}
    close = difflib.get_close_matches(given.lower().replace("_", "-").partition("-")[0], codes, n=1, cutoff=0.5)
    code = codes[close[0]] if close else None
    return f"did you mean {code!r} ({names[code]})?" if code else f"its codes: {', '.join(names)}"
