r"""The final answer that a text states, and whether two answers say the same when they are read as text.

Where a text boxes its answer, that is the answer; else what it calls its answer; else its last number. Two answers are the same
by text when they are equal after spelling (`\dfrac`, `$`, units, 1,000) is taken away, or are equal numbers, or lists of equal
parts. Mathematics is not looked at: 2x + 1 and 1 + 2x differ here, which is what a second grader is for (recipes/grading.py).
"""

import re
from collections.abc import Callable
from fractions import Fraction

BOX = re.compile(r"\\(?:boxed|fbox)\s*(?:(?P<brace>\{)|(?P<bare>[^\s{}$,.]+))")
STATED = re.compile(
    r"(?:final\s+answer|answer)\**\s*(?:is|:|=)[:\s]*\**\s*(?P<line>(?:\$[^$\n]+\$|\\\(.+?\\\)|[^\n])+)|^\#{4}\s*(?P<marked>.+)$",
    re.I | re.M,
)
SENTENCE_END = re.compile(r"\.(?=\s|$)|\s+I hope\b")
FORMULA = re.compile(r"\$+(?P<dollars>[^$\n]+)\$+|\\[(\[](?P<brackets>.+?)\\[)\]]")
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:/\d+)?|-?\.\d+")
NAMED_LETTER = re.compile(r"answer\**\s*(?:is|:)?[:\s]*[*$(\\]*(?:text\{|boxed\{)?\(?([A-J])\b", re.I)
LONE_LETTER = re.compile(r"\(([A-J])\)|(?<![\w$\\])([A-J])(?![\w$'’]| hope\b)")

SPELLINGS = tuple(
    (re.compile(pattern), by)
    for pattern, by in (
        (r"\\left(?![a-z])|\\right(?![a-z])|\\[!,;: ]|\\quad|~|\\displaystyle", ""),
        (r"\\[dtc]frac", r"\\frac"),
        (r"\\(?:text|textbf|mathrm|mathbf|mbox|textit)\s*\{([^{}]*)\}", r"\1"),
        (r"\^\{?\\circ\}?|°|\\degree", ""),
        (r"\\?\$|\\?%|\\[()\[\]]", ""),
        (r"\{,\}", ","),
        (r"\\frac\s*(\w)\s*(\w)", r"\\frac{\1}{\2}"),
        (r"\\frac\s*(\w)\s*\{", r"\\frac{\1}{"),
        (r"\\sqrt\s*(\w)", r"\\sqrt{\1}"),
        (r"\\(?:le|ge)q(?![a-z])", lambda match: match.group()[:-1]),
        (r"\s+", ""),
        (r"(?<![\d,])(\d{1,3})((?:,\d{3})+)(?![\d,])", lambda match: match.group().replace(",", "")),
        (r"^\(([A-Za-z])\)$", r"\1"),
        (r"^[A-Za-z]\w?(?:\([a-z]\))?(?:=|\\in(?![a-z]))", ""),
        (r"(?<=[\d}])(?:dollars?|cents?|degrees?|units?|squareunits?|inches|feet|cm|km|meters?|miles|hours?|minutes?)$", ""),
    )
)
WHOLE_NUMBER = re.compile(r"-?\d*\.?\d+|-?\d+\.")
FRACTION = re.compile(r"(?P<sign>-?)(?P<whole>\d+)?(?:\\frac\{(?P<top>-?\d+)\}\{(?P<bottom>\d+)\})")
RATIO = re.compile(r"(-?\d+)/(\d+)")


def final_answer(text: str) -> str:
    """The answer that a text ends on; "" where it states none."""
    return boxed(text) or stated(text) or last_number(text)


def boxed(text: str) -> str:
    r"""What stands in the last \boxed{…}, braces inside it counted."""
    found = list(BOX.finditer(text))
    if not found:
        return ""
    if found[-1]["bare"]:
        return str(found[-1]["bare"])
    depth, start = 1, found[-1].end()
    for place in range(start, len(text)):
        depth += (text[place] == "{") - (text[place] == "}")
        if not depth:
            return text[start:place].strip()
    return ""  # cut off inside the box


def stated(text: str) -> str:
    """What follows the last "answer is", "final answer:" or ####, to the end of its sentence; a formula there stands alone."""
    found = list(STATED.finditer(text))
    if not found:
        return ""
    line = (found[-1]["line"] or found[-1]["marked"]).strip()
    while again := STATED.search(line):  # Minerva's "Final Answer: The final answer is"
        line = (again["line"] or again["marked"]).strip()
    formula = FORMULA.match(line)
    if formula:
        return (formula["dollars"] or formula["brackets"]).strip()
    return SENTENCE_END.split(line)[0].strip(" *")


def last_number(text: str) -> str:
    found = NUMBER.findall(text)
    return found[-1].rstrip(",").replace(",", "") if found else ""


def letter(text: str) -> str:
    """The choice that a text names as its answer, else the last one that stands alone."""
    named = NAMED_LETTER.findall(text)
    lone = [first or second for first, second in LONE_LETTER.findall(text)]
    return str((named or lone or [""])[-1]).upper()


EXTRACTORS: dict[str, Callable[[str], str]] = {
    "final_answer": final_answer,
    "boxed": boxed,
    "last_number": last_number,
    "letter": letter,
}


def same_by_text(answer: str, gold: str) -> bool:
    """Whether two answers are the same but for spelling, or are the same numbers."""
    ours, theirs = plain(answer), plain(gold)
    if not ours or not theirs:
        return False
    return _same(ours, theirs) or _same_parts(ours, theirs)


def plain(answer: str) -> str:
    """An answer without what is only spelling."""
    text = answer.strip().rstrip(".").strip()
    for pattern, by in SPELLINGS:
        text = pattern.sub(by, text)
    return text.casefold() if text.isalpha() and len(text) > 1 else text


def _same(ours: str, theirs: str) -> bool:
    if ours == theirs:
        return True
    number = _number(ours)
    return number is not None and number == _number(theirs)


def _number(text: str) -> Fraction | None:
    if WHOLE_NUMBER.fullmatch(text):
        return Fraction(text.rstrip("."))
    ratio, fraction = RATIO.fullmatch(text), FRACTION.fullmatch(text)
    if ratio and int(ratio[2]):
        return Fraction(int(ratio[1]), int(ratio[2]))
    if fraction and int(fraction["bottom"]):
        value = int(fraction["whole"] or 0) + Fraction(int(fraction["top"]), int(fraction["bottom"]))
        return -value if fraction["sign"] else value
    return None


def _same_parts(ours: str, theirs: str) -> bool:
    """Lists: those in ( ) or [ ] in their order and with their brackets, bare ones and sets in any order."""
    (kind, mine), (their_kind, others) = _parts(ours), _parts(theirs)
    if kind != their_kind or len(mine) != len(others) or (len(mine) < 2 and kind == ""):
        return False
    if kind:
        return all(map(_same, mine, others))
    rest = list(others)
    for part in mine:
        match = next((other for other in rest if _same(part, other)), None)
        if match is None:
            return False
        rest.remove(match)
    return True


def _parts(text: str) -> tuple[str, list[str]]:
    """The brackets of an ordered list ("" for others), and what its commas part outside inner brackets."""
    brackets = ""
    if text.startswith(r"\{") and text.endswith(r"\}"):
        text = text[2:-2]
    elif text[:1] in "([" and text[-1:] in ")]":
        brackets, text = text[0] + text[-1], text[1:-1]
    parts, depth = [""], 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        if char == "," and not depth:
            parts.append("")
        else:
            parts[-1] += char
    return brackets, parts
