"""How numbers and foreign text are written on the page. What a manifest does not hold is a dash, never a zero."""

import math
import re
from typing import Any, TypeGuard

ABSENT = "–"
SPACE = "\u00a0"  # a number and its unit stay on one line
BYTES_PER_UNIT = 1000  # as disks and `ls --si` count
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")  # not allowed in HTML


def is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def whole(value: Any) -> str:
    """1,234,567."""
    return f"{round(value):,}" if is_number(value) else ABSENT


def short(value: Any) -> str:
    """Three digits and a unit: 1.23M."""
    if not is_number(value):
        return ABSENT
    if 1_000 <= abs(value) < 10_000:
        return f"{value:,.0f}"
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= size * 0.9995:
            return f"{_three_digits(value / size)}{unit}"
    return _three_digits(value)


def share(value: Any, digits: int = 1) -> str:
    """0.1234 as 12.3 %."""
    return f"{100 * value:.{digits}f}{SPACE}%" if is_number(value) else ABSENT


def decimal(value: Any, digits: int = 3) -> str:
    return f"{value:,.{digits}f}" if is_number(value) else ABSENT


def scientific(value: Any) -> str:
    """3.1e-05 as 3.1 × 10⁻⁵."""
    if not is_number(value):
        return ABSENT
    if value == 0:
        return "0"
    digits, exponent = f"{value:.1e}".split("e")
    return f"{digits.removesuffix('.0')} × 10{raised(int(exponent))}"


def raised(exponent: int) -> str:
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def duration(seconds: Any) -> str:
    """The two largest units: 3 h 12 min."""
    if not is_number(seconds):
        return ABSENT
    if seconds < 60:
        return f"{seconds:.1f}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next(i for i, (amount, _) in enumerate(parts) if amount)
    return " ".join(f"{amount}{SPACE}{unit}" for amount, unit in parts[first : first + 2] if amount)


def moment(given: Any) -> str:
    """A manifest's time, which is UTC."""
    if not isinstance(given, str):
        return ABSENT
    return clean(given).replace("T", " ", 1).replace("+00:00", " UTC")


def size(num_bytes: Any) -> str:
    if not is_number(num_bytes):
        return ABSENT
    amount, units = float(num_bytes), ["B", "kB", "MB", "GB", "TB", "PB"]
    while amount >= BYTES_PER_UNIT * 0.9995 and len(units) > 1:
        amount, units = amount / BYTES_PER_UNIT, units[1:]
    return f"{_three_digits(amount)}{SPACE}{units[0]}"


def words(key: Any) -> str:
    """A key of a manifest as words: near_duplicate, near duplicate."""
    return clean(str(key)).replace("_", " ")


def clean(text: str) -> str:
    """Characters that HTML forbids become �; what remains is for the template to escape."""
    return CONTROL.sub("\ufffd", text.replace("\r\n", "\n"))


def value(given: Any) -> str:
    """Anything a manifest may hold, in one line."""
    if given is None:
        return ABSENT
    if isinstance(given, bool):
        return "yes" if given else "no"
    if isinstance(given, int):
        return f"{given:,}"
    if is_number(given):
        return scientific(given) if given and not 1e-3 <= abs(given) < 1e6 else f"{given:.4g}"
    return clean(str(given))


def _three_digits(amount: float) -> str:
    if abs(amount) >= 100 or amount == int(amount):
        return f"{amount:.0f}"
    return f"{amount:.1f}" if abs(amount) >= 10 else f"{amount:.2f}"
