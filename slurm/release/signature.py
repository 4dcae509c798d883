"""A signature over SHA256SUMS: by ssh-keygen where the key is a file, else by gpg. A bundle needs none.

An ssh signature of an ed25519 key is the same each time; gpg writes the time into its own, which is the one file of a bundle that
then differs.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from slurm.release.sums import SIGNATURES, SUMS

NAMESPACE = "midtrain-release"  # so that a signature under something else is none of a release
SSH, GPG = SIGNATURES


class NotInstalled(ValueError):
    """A program that signs is not there."""


def sign(folder: Path, key: str) -> str:
    """Leaves the signature beside SHA256SUMS; returns which program made it. `key`: a private ssh key's file, or a name that gpg
    knows a key by."""
    if Path(key).is_file():
        _run(["ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", NAMESPACE, str(folder / SUMS)], f"--sign {key}")
        return "ssh-keygen"
    command = ["gpg", "--batch", "--yes", "--local-user", key, "--armor", "--detach-sign", "--output", str(folder / GPG)]
    _run([*command, str(folder / SUMS)], f"--sign {key}")
    return "gpg"


def check(folder: Path, signer: Path | None) -> tuple[str | None, str | None]:
    """(who signed, what is wrong). `signer`: the public ssh key that must have; without it any good signature is told."""
    if signer is not None:
        return _check_signer(folder, signer)
    try:
        if (folder / SSH).is_file():
            command = ["ssh-keygen", "-Y", "check-novalidate", "-n", NAMESPACE, "-s", str(folder / SSH)]
            return _run(command, SSH, given=folder / SUMS).splitlines()[0], None
        if (folder / GPG).is_file():
            return _run(["gpg", "--batch", "--verify", str(folder / GPG), str(folder / SUMS)], GPG).splitlines()[-1], None
    except NotInstalled as error:
        return f"not checked: {error}", None
    except ValueError as error:
        return None, str(error)
    return None, None


def _check_signer(folder: Path, signer: Path) -> tuple[str | None, str | None]:
    if not signer.is_file():
        raise ValueError(f"--signer {signer}: there is no such file; name the signer's public ssh key (*.pub)")
    if not (folder / SSH).is_file():
        return None, f"{SSH} (missing): --signer asks for a signature of {signer.name}"
    with tempfile.NamedTemporaryFile("w", suffix=".signers") as allowed:
        allowed.write(f"signer {signer.read_text()}")
        allowed.flush()
        command = ["ssh-keygen", "-Y", "verify", "-f", allowed.name, "-I", "signer", "-n", NAMESPACE, "-s", str(folder / SSH)]
        try:
            return _run(command, SSH, given=folder / SUMS).splitlines()[0], None
        except ValueError as error:
            return None, str(error)


def _run(command: list[str], about: str, given: Path | None = None) -> str:
    """What it says, on either stream. ValueError if it refuses."""
    if shutil.which(command[0]) is None:
        raise NotInstalled(f"{about}: {command[0]} is not installed")
    content = given.read_bytes() if given else b""
    answer = subprocess.run(command, input=content, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said = answer.stdout.decode(errors="replace").strip()
    if answer.returncode:
        raise ValueError(f"{about}: {command[0]} says: {said or f'exit status {answer.returncode}'}")
    return said or command[0]
