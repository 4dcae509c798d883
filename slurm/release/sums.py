"""SHA256SUMS of a bundle, one line a file, sorted, as `sha256sum` writes and checks them; SEAL holds those of SHA256SUMS and of
its signature.

SHA256SUMS is a function of the files alone, so that of three witnesses (files, SHA256SUMS, SEAL) two tell which the third should
be: whichever file a byte was changed in is the one that is named, SHA256SUMS and SEAL among them.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from recipes.fingerprint import file_hash

SUMS, SEAL = "SHA256SUMS", "SEAL"
SIGNATURES = (f"{SUMS}.sig", f"{SUMS}.asc")  # of ssh-keygen, of gpg


def is_bundle(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (SUMS, SEAL))


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of every file but those that are about the others, by path. A link has none: it is no part of a bundle."""
    about = {SUMS, SEAL, *SIGNATURES}
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    return {name: "a link" if (folder / name).is_symlink() else file_hash(folder / name) for name in files if name not in about}


def lines(found: dict[str, str]) -> bytes:
    return "".join(f"{found[name]}  {name}\n" for name in sorted(found)).encode()


def seal(folder: Path) -> bytes:
    """Of SHA256SUMS and its signature as they are."""
    named = [name for name in (SUMS, *SIGNATURES) if (folder / name).is_file()]
    return lines({name: file_hash(folder / name) for name in named})


def changes(folder: Path, found: dict[str, str]) -> list[str]:
    """'FILE (why)' of every file that is not as it was released. `found`: `hashes` of the folder."""
    recorded = _read(folder / SUMS)
    sealed = {name: digest for digest, name in _rows(_read(folder / SEAL))}
    if recorded != lines(found) and sealed.get(SUMS) == hashlib.sha256(lines(found)).hexdigest():
        problems = [_about(folder, SUMS)]  # all files agree with the seal, and it alone does not
    else:
        problems = [*_differences(dict(reversed(row) for row in _rows(recorded)), found)]
        if not problems and recorded != lines(found):
            problems = [_about(folder, SUMS)]
    return problems + [_about(folder, name) for name in _unsealed(folder, bool(problems))]


def _differences(recorded: dict[str, str], found: dict[str, str]) -> Iterator[str]:
    for name in sorted(recorded.keys() | found.keys()):
        if name not in found:
            yield f"{name} (missing)"
        elif name not in recorded:
            yield f"{name} (added)"
        elif recorded[name] != found[name]:
            yield f"{name} ({found[name] if found[name] == 'a link' else 'content changed'})"


def _unsealed(folder: Path, is_told: bool) -> Iterator[str]:
    """Which of the files about the others differ. SEAL is as the others say it must be, or it is the changed one; a changed
    signature cannot be told from its changed line, so both are named."""
    now, then = seal(folder), _read(folder / SEAL)
    if now == then:
        return
    by_name = {name: digest for digest, name in _rows(then)}
    for digest, name in _rows(now):
        if name != SUMS and by_name.get(name) != digest:
            yield name
    for name in by_name.keys() & set(SIGNATURES):
        if not (folder / name).is_file():
            yield name
    if by_name.get(SUMS) == dict(reversed(row) for row in _rows(now)).get(SUMS) or not is_told:
        yield SEAL
