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
LINK = "a link, which is no part of a bundle"  # in place of its hash


def is_bundle(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (SUMS, SEAL))


def hashes(folder: Path) -> dict[str, str]:
    """sha256 of every file but those that are about the others, by path."""
    about = {SUMS, SEAL, *SIGNATURES}
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    return {name: LINK if (folder / name).is_symlink() else file_hash(folder / name) for name in files if name not in about}


def lines(found: dict[str, str]) -> bytes:
    return "".join(f"{found[name]}  {name}\n" for name in sorted(found)).encode()


def seal(folder: Path) -> bytes:
    """Of SHA256SUMS and its signature as they are."""
    named = [name for name in (SUMS, *SIGNATURES) if (folder / name).is_file()]
    return lines({name: file_hash(folder / name) for name in named})


def changes(folder: Path, found: dict[str, str]) -> list[str]:
    """'FILE (why)' of every file that is not as it was released. `found`: `hashes` of the folder."""
    recorded, sealed, actual = _read(folder / SUMS), dict(_rows(_read(folder / SEAL))), lines(found)
    missing = [f"{name} (missing)" for name in (SUMS, SEAL) if not (folder / name).is_file()]
    if sealed.get(SUMS) == _hash(actual):
        problems = [] if recorded == actual else [f"{SUMS} (content changed)"]
    else:
        problems = list(_differences(dict(_rows(recorded)), found))
        if not problems:
            problems = [f"{SEAL if recorded == actual else SUMS} (content changed)"]
        elif sealed.get(SUMS) != _hash(recorded):
            problems.append(f"{SUMS} (not as {SEAL} says)")
    for name in SIGNATURES:
        digest = file_hash(folder / name) if (folder / name).is_file() else None
        if digest != sealed.get(name):
            problems.append(f"{name} ({'missing' if digest is None else 'content changed'}, or its line in {SEAL})")
    if not problems and _read(folder / SEAL) != seal(folder):
        problems = [f"{SEAL} (content changed)"]
    return missing or problems


def _differences(recorded: dict[str, str], found: dict[str, str]) -> Iterator[str]:
    for name in sorted(recorded.keys() | found.keys()):
        if name not in found:
            yield f"{name} (missing)"
        elif name not in recorded:
            yield f"{name} (added)"
        elif recorded[name] != found[name]:
            yield f"{name} ({LINK if found[name] == LINK else 'content changed'})"


def _rows(content: bytes) -> Iterator[tuple[str, str]]:
    """(name, sha256) a line."""
    for line in content.decode(errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        yield name, digest


def _read(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
