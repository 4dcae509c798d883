"""Axes with round ticks: numbers to places on a plot, and the labels beside them."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from recipes.report.figures import raised

SIZES = ((1e12, "trillions"), (1e9, "billions"), (1e6, "millions"), (1e3, "thousands"))
MARGIN = 0.06  # on either side of swept values, as a share of their span
LABEL_WIDTH = 40


@dataclass(frozen=True)
class Axis:
    """From `low` at place `start` to `high` at place `end`. `factor` is what tick labels are divided by."""

    low: float
    high: float
    start: float
    end: float
    step: float
    factor: float = 1.0

    def place(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """(place, label) of every round value between low and high."""
        first = math.ceil(self.low / self.step - 1e-9)
        last = math.floor(self.high / self.step + 1e-9)
        step = self.step / self.factor
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        return [(self.place(i * self.step), f"{i * step:,.{digits}f}") for i in range(first, last + 1)]


@dataclass(frozen=True)
class ValueAxis(Axis):
    """Its ticks are the values themselves; places go by their logarithms where `is_log`."""

    values: tuple[float, ...] = ()
    is_log: bool = False

    def place(self, value: float) -> float:
        if not self.is_log:
            return super().place(value)
        return self.start + math.log(value / self.low) / math.log(self.high / self.low) * (self.end - self.start)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Of values that lie too close together the first is labelled."""
        found: list[tuple[float, str]] = []
        for value in self.values:
            if not found or self.place(value) - found[-1][0] >= LABEL_WIDTH:
                found.append((self.place(value), f"{value:g}"))
        return found


def value_axis(values: Iterable[float], *, start: float, end: float) -> ValueAxis:
    """Of two different values or more. Values over a decade or more stand by their logarithms."""
    ordered = tuple(sorted(set(values)))
    low, high = ordered[0], ordered[-1]
    if low > 0 and high / low >= 10:
        margin = (high / low) ** MARGIN
        return ValueAxis(low / margin, high * margin, start, end, 1.0, values=ordered, is_log=True)
    margin = (high - low) * MARGIN
    return ValueAxis(low - margin, high + margin, start, end, 1.0, values=ordered)


def round_step(span: float, num_ticks: int) -> float:
    """1, 2 or 5 times a power of ten: about num_ticks of them in span."""
    rough = span / max(num_ticks, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)


def make_axis(low: float, high: float, *, start: float, end: float, num_ticks: int, widen: bool, factor: float = 1.0) -> Axis:
    """`widen` moves both ends outwards to round values, for values; without it the data end where the plot ends. Zeros alone
    stand on an axis from 0 to 1: shares and counts are never below 0."""
    if high <= low:
        low, high = (low - abs(low) * 0.1, high + abs(high) * 0.1) if low else (0.0, 1.0)
    step = round_step(high - low, num_ticks)
    if widen:
        low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return Axis(low, high, start, end, step, factor)


def amount_unit(largest: float) -> tuple[float, str]:
    """What to divide large amounts by, and its name: (1e6, " (millions)")."""
    for factor, name in SIZES:
        if largest >= factor:
            return factor, f" ({name})"
    return 1.0, ""


def power_unit(largest: float) -> tuple[float, str]:
    """What to divide small amounts by, and its name: (1e-3, " (× 10⁻³)")."""
    exponent = math.floor(math.log10(largest)) if largest > 0 else 0
    return (1.0, "") if exponent == 0 else (10.0**exponent, f" (× 10{raised(exponent)})")
