"""Resume certificates: however often training was stopped, going on changed nothing. One a training stage, with the files of the
checkpoint that the next stage began from."""

from collections.abc import Iterator
from typing import Any

from slurm.release.bundle import Bundle, Flaw


def certificates(bundle: Bundle) -> dict[str, Any]:
    """By file of the bundle, from the records of the training stages."""
    found = {}
    for name, manifest in bundle.made("train").items():
        details = manifest["details"]
        if "resume" in details:
            files = {entry["path"]: entry["sha256"] for entry in manifest["outputs"] if _is_of(entry["path"], details)}
            found[_file(bundle.subject(manifest))] = {
                "made_by": name,
                **details["resume"],
                "checkpoint": details["checkpoint"],
                "files": files,
            }
    return found


def flaws(bundle: Bundle) -> Iterator[Flaw]:
    found = certificates(bundle)
    for manifest in bundle.made("train").values():
        stage = bundle.subject(manifest)
        certificate = found.get(_file(stage))
        if certificate is None:
            yield Flaw("resume", stage, "its record has no resume certificate; train it again")
        elif certificate["verdict"] != "same":
            why = "; ".join(certificate["differences"]) or "it went on under another layout, where nothing can tell"
            yield Flaw("resume", stage, f"its verdict is {certificate['verdict']!r}: {why}")


def _file(stage: str) -> str:
    return f"certificates/resume/{stage}.json"


def _is_of(path: str, details: dict[str, Any]) -> bool:
    return path.startswith(f"{details['checkpoint']}/")
