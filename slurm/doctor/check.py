"""What a check found, in a line, and what mends it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Check:
    """`skipped`: nothing here can tell, `told` says why. `mend` is empty but where it failed."""

    name: str
    verdict: Literal["ok", "failed", "skipped"]
    told: str
    mend: str = ""


def passed(name: str, told: str) -> Check:
    return Check(name, "ok", told)


def failed(name: str, told: str, mend: str) -> Check:
    return Check(name, "failed", told, mend)


def skipped(name: str, told: str) -> Check:
    return Check(name, "skipped", told)
