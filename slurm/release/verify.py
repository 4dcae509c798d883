"""Checks a bundle from its files alone: that each is the released one, that its records hold together, and that its certificates
are of these weights and still say what they must.

Who rewrites one file and its sums is found out by the others; who writes a whole bundle anew, records and all, by the signature
that `--signer` asks for, and by nothing else.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from slurm.release import sums
from slurm.release.bundle import CARD, RECORD, Bundle, broken_links
from slurm.release.certificates import find_flaws, written
from slurm.release.signature import check


def verify_bundle(folder: Path, signer: Path | None = None) -> dict[str, Any]:
    """`changed`: 'FILE (why)'; `wrong`: what does not hold together, looked for where no file has changed; `signed`: by whom."""
    found = sums.hashes(folder)
    changed = sums.changes(folder, found)
    wrong, without = ([], []) if changed else _read(Bundle(folder), found)
    signed, problem = check(folder, signer)
    wrong += [problem] if problem else []
    return {
        "bundle": str(folder),
        "files": len(found),
        "bytes": sum((folder / name).stat().st_size for name in found if found[name] != sums.LINK),
        "unchanged": not (changed or wrong),
        "changed": changed,
        "wrong": wrong,
        "released_without": without,
        "signed": signed,
    }


def _read(bundle: Bundle, found: dict[str, str]) -> tuple[list[str], list[dict[str, str]]]:
    """(what is wrong, what it says that it was released without). Nobody need have written its records with this program."""
    try:
        wrong = [*_weights(bundle, found), *broken_links(bundle), *_stale(bundle), *_flaws(bundle)]
        return wrong, bundle.record["released_without"]
    except ValueError as error:
        return [str(error)], []
    except (KeyError, TypeError, AttributeError) as error:
        return [f"its records are not as a release writes them: {error!r}"], []


def _weights(bundle: Bundle, found: dict[str, str]) -> Iterator[str]:
    """The model's files are those of the export's record, and nothing that could be loaded instead lies beside them."""
    for name, digest in bundle.weights.items():
        if found.get(name) != digest:
            yield f"{name} is not the file that {bundle.record['made_by']} exported"
    others = {name for name in found if "/" not in name} - bundle.weights.keys() - {CARD, RECORD}
    yield from (f"{name} is no file of the export" for name in sorted(others))


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
