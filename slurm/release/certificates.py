"""The kinds of certificates that a page may ask for before it is released (`release.certificates`)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from slurm.release import contamination, parity, readiness, resume
from slurm.release.bundle import Bundle, Flaw
from slurm.release.lineage import Lineage


class Kind(NamedTuple):
    """`flaws` reads the files of a bundle and tells every certificate that is missing, stale or failed. By file of the bundle,
    `copied` gives those that a stage left as a file, `written` those that are part of its record."""

    flaws: Callable[[Bundle], Iterator[Flaw]]
    copied: Callable[[Lineage], dict[str, Path]] = lambda lineage: {}
    written: Callable[[Bundle], dict[str, Any]] = lambda bundle: {}


KINDS = {
    "contamination": Kind(contamination.flaws, copied=contamination.files),
    "resume": Kind(resume.flaws, written=resume.certificates),
    "parity": Kind(parity.flaws, written=parity.certificates),
    "readiness": Kind(readiness.flaws, copied=lambda lineage: readiness.files(lineage.card)),
}


def find_flaws(bundle: Bundle) -> list[Flaw]:
    """Of the kinds that the page asks for."""
    return [flaw for kind in bundle.asked.kinds for flaw in KINDS[kind].flaws(bundle)]


def copied(lineage: Lineage) -> dict[str, Path]:
    return {file: source for kind in KINDS.values() for file, source in kind.copied(lineage).items()}


def written(bundle: Bundle) -> dict[str, Any]:
    return {file: content for kind in KINDS.values() for file, content in kind.written(bundle).items()}
