"""What doctor's job does on each compute node: says what it sees there, then adds up numbers with the other processes.

    srun … python -m slurm.doctor.probe FOLDER TOKEN DEVICE

FOLDER lies below the root of results, where the login node has left the token and holds a lock. Each process prints its findings
as one line behind MARK, as soon as it has them: what breaks later takes nothing away. torch comes last.
"""

import fcntl
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

MARK = "midtrain-doctor "
TOKEN, LOCK = "token", "lock"


def main() -> int:
    folder, token, device = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    rank = os.environ.get("SLURM_PROCID", "0")
    if os.environ.get("SLURM_LOCALID", "0") == "0":
        tell(rank, node=platform.node(), **files(folder, token, rank), **software())
    alone = int(os.environ.get("SLURM_NTASKS", "1")) == 1
    if device == "cpu" and alone:
        return 0
    from pretrain import reach

    if device == "cuda":
        tell(rank, **reach.gpus())
    if not alone:
        tell(rank, **reach.all_reduce(device))
    return 0


def tell(rank: str, **found: Any) -> None:
    """One write: lines of several processes must not run into one another."""
    sys.stdout.write(MARK + json.dumps({"rank": int(rank), **found}) + "\n")
    sys.stdout.flush()


def files(folder: Path, token: str, rank: str) -> dict[str, Any]:
    """Whether the login node's file is here, and its lock holds here; leaves a file for the way back."""
    try:
        sees = (folder / TOKEN).read_text() == token
        (folder / f"from_{rank}").write_text(token)
    except OSError as error:
        return {"sees": False, "why": f"{error.strerror}: {error.filename}"}
    return {"sees": sees, "why": "" if sees else f"{folder / TOKEN} holds something else", "locks": _is_locked(folder / LOCK)}


def _is_locked(path: Path) -> bool:
    with open(path, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def software() -> dict[str, Any]:
    from recipes import manifest

    return {"software": manifest.software(), "python": sys.executable, "code": str(Path(manifest.__file__).parents[1])}


if __name__ == "__main__":
    sys.exit(main())
