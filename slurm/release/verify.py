"""Checks a bundle from its files alone: that each is the released one, that its records hold together, and that its certificates
are of these weights and still say what they must."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from slurm.release import sums
from slurm.release.bundle import Bundle, broken_links
from slurm.release.certificates import find_flaws, written
from slurm.release.signature import check


def verify_bundle(folder: Path, signer: Path | None = None) -> dict[str, Any]:
    """`changed`: 'FILE (why)'; `wrong`: what does not hold together, looked for where no file has changed; `signed`: by whom."""
    found = sums.hashes(folder)
    changed = sums.changes(folder, found)
    wrong = [] if changed else _wrong(Bundle(folder), found)
    signed, problem = check(folder, signer)
    bad = [problem] if problem else []
    return {
        "bundle": str(folder),
        "files": len(found),
        "bytes": sum((folder / name).stat().st_size for name in found if found[name] != sums.LINK),
        "unchanged": not (changed or wrong or bad),
        "changed": changed,
        "wrong": wrong + bad,
        "released_without": [] if changed else Bundle(folder).record["released_without"],
        "signed": signed,
    }


def _wrong(bundle: Bundle, found: dict[str, str]) -> list[str]:
    """A damaged record is one thing that is wrong, and hides no other file's: all are read one by one."""
    try:
        return [*_weights(bundle, found), *broken_links(bundle), *_stale(bundle), *_flaws(bundle)]
    except ValueError as error:
        return [str(error)]


def _weights(bundle: Bundle, found: dict[str, str]) -> Iterator[str]:
    """The model's files are those of the export's record."""
    for name, digest in bundle.weights.items():
        if found.get(name) != digest:
            yield f"{name} is not the file that {bundle.record['made_by']} exported"
    loaded = {name for name in found if "/" not in name and name.endswith((".safetensors", ".bin", ".json"))}
    yield from (f"{name} is no file of the export" for name in sorted(loaded - bundle.weights.keys() - {"release.json"}))


def _stale(bundle: Bundle) -> Iterator[str]:
    """Certificates that are not as the records of their stages say."""
    for file, content in written(bundle).items():
        if bundle.json(file) != orjson.loads(orjson.dumps(content)):
            yield f"{file} is not what the record of its stage says"


def _flaws(bundle: Bundle) -> Iterator[str]:
    """All that it lacks is what it says that it lacks."""
    told = {f"{row['certificate']}/{row['subject']}" for row in bundle.record["released_without"]}
    flaws = find_flaws(bundle)
    for flaw in flaws:
        if flaw.name not in told:
            yield f"{flaw.name}: {flaw.reason}"
    for name in sorted(told - {flaw.name for flaw in flaws}):
        yield f"{name}: release.json names it as released without, and nothing is wrong with it"
