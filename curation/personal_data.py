"""E-mail addresses, phone numbers and public IPv4 addresses in texts, replaced by ones that belong to nobody.

What only looks like one stays: a section number (1.2.3.4), a private address, a difference (123-456-7890 = ...). Replacements are
those reserved for examples: RFC 2606 and RFC 5737, and the telephone numbers kept for fiction. A page of 3.7 kB costs a fifth of
what it costs datatrove's PIIFormatter, which knows no phone numbers and masks inside formulas and code.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable

REPLACEMENTS = {"email": "email@example.com", "phone": "+1 202 555 0100", "ipv4": "192.0.2.1"}
MIN_IP_DIGITS = 8  # of four numbers: with fewer it is rather a section or a version
PHONE_DIGITS = range(9, 16)

_EMAIL = re.compile(  # the local part begins only where nothing of one stands before: linear on long runs of letters
    r"(?<![\w.%+-])[A-Za-z0-9_.%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w@])"
)
# the first character stands before what must not be before it, so that `re` skips to it: three times faster
_IPV4 = re.compile(r"[0-9](?<![\w.].)\d{0,2}\.(?:\d{1,3}\.){2}\d{1,3}(?!\w|\.\d)")
_PHONE = re.compile(
    r"""[+(0-9] (?<![\w.,/$+*^=-].)
    (?: (?<=\+) \d{1,3}[ .-]? (?:\(\d{1,4}\)[ .-]?)? \d{1,4} (?:[ .-]\d{2,4}){1,4}
      | (?<=1) [ .-] (?:\(\d{3}\)[ ]? | \d{3}[.-]) \d{3}[.-]\d{4}
      | (?<=\() \d{3}\)[ ]? \d{3}[.-]\d{4}
      | (?<=\d) \d{2}[.-]\d{3}[.-]\d{4}
    ) (?![\w.,]?\d|\w)""",
    re.VERBOSE,
)
_DIGITS = re.compile(r"[0-9][0-9 ().-]{7,}[0-9]")  # in every phone number and every address that counts
_OPERATORS = frozenset("=+*/^<>×·−")  # beside arithmetic it is a number

Span = tuple[int, int]


def mask(text: str, kinds: Iterable[str], protected: Callable[[str], list[Span]]) -> tuple[str, dict[str, int]]:
    """The text with its personal data replaced, and how many by kind. Nothing changes inside the spans that `protected` finds
    (formulas and code); it is called only for texts with a candidate."""
    counts = {}
    may_hold = {"email": "@" in text, "phone": (has_digits := _DIGITS.search(text) is not None), "ipv4": has_digits}
    for kind in (kind for kind in kinds if may_hold[kind]):
        pattern, is_one = _KINDS[kind]
        found = [match for match in pattern.finditer(text) if is_one(match)]
        spans = protected(text) if found else []
        found = [match for match in found if not any(begin < match.end() and match.start() < end for begin, end in spans)]
        if not found:
            continue
        parts, end = [], 0
        for match in found:
            parts += [text[end : match.start()], REPLACEMENTS[kind]]
            end = match.end()
        text = "".join([*parts, text[end:]])
        counts[kind] = len(found)
    return text, counts


def _is_email(match: re.Match[str]) -> bool:
    return match.group() != REPLACEMENTS["email"]


def _is_public_ipv4(match: re.Match[str]) -> bool:
    try:
        return ipaddress.IPv4Address(match.group()).is_global and len(match.group()) - 3 >= MIN_IP_DIGITS
    except ValueError:  # a number above 255, or with leading zeros
        return False


def _is_phone(match: re.Match[str]) -> bool:
    before, after = match.string[: match.start()].rstrip(" ")[-1:], match.string[match.end() :].lstrip(" ")[:1]
    is_number = before in _OPERATORS or after in _OPERATORS or (match.group().startswith("+") and before.isdigit())
    return sum(map(str.isdigit, match.group())) in PHONE_DIGITS and not is_number and match.group() != REPLACEMENTS["phone"]


_KINDS: dict[str, tuple[re.Pattern[str], Callable[[re.Match[str]], bool]]] = {
    "email": (_EMAIL, _is_email),
    "phone": (_PHONE, _is_phone),
    "ipv4": (_IPV4, _is_public_ipv4),
}
