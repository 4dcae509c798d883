"""The daemons of a virtual cluster, each a child of this process that dies with it, however that ends.

A node is a process namespace of its own, with its own host name: whoever kills its first process takes the power from it,
slurmd, steps and all that they started. Needs root, and util-linux' `unshare`.
"""

import os
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path

from recipes.stage import die_with_parent

# The shell is the first process of the node: as such it buries orphans, which slurmd would not. The hosts of the cluster are
# mounted over the machine's in the namespace of the node alone.
NODE = """
hostname "$1" && mount --bind "$2/hosts" /etc/hosts || exit 1
slurmd -D -f "$2/slurm.conf" -N "$1" &
while :; do wait; sleep 0.2; done
"""
OWN_NAMESPACES = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "unshare")

Daemon = subprocess.Popen[bytes]


def check_machine() -> None:
    """Whether a virtual cluster can be on this machine at all."""
    missing = [program for program in PROGRAMS if shutil.which(program, path=_path()) is None]
    if missing:
        raise ValueError(
            f"Slurm is not installed on this machine ({', '.join(missing)} not found); on Debian or Ubuntu: "
            "apt-get install --no-install-recommends slurmctld slurmd slurm-client munge"
        )
    if os.geteuid() != 0:
        raise ValueError(f"a virtual cluster needs root, for its nodes' namespaces and devices; this is user {os.geteuid()}")


def environment() -> dict[str, str]:
    """This process' environment without what a surrounding Slurm job says in it, which would reach into another cluster."""
    foreign = ("SLURM_", "SLURMD_", "SBATCH_", "SRUN_", "SALLOC_", "SQUEUE_", "SINFO_", "SACCT_", "SCANCEL_")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | {"PATH": _path()}


def start_munge(folder: Path) -> Daemon:
    munge = folder / "munge"
    return _start(
        [
            *("munged", "--foreground", "--force", f"--key-file={munge}/key", f"--socket={munge}/socket"),
            *(f"--pid-file={folder}/pid/munged", f"--log-file={folder}/log/munged.log", f"--seed-file={munge}/seed"),
        ],
        folder / "log" / "munged.out",
    )


def start_controller(folder: Path) -> Daemon:
    return _start(["slurmctld", "-D", "-f", f"{folder}/slurm.conf"], folder / "log" / "slurmctld.out")


def start_node(folder: Path, name: str) -> Daemon:
    (folder / "spool" / name).mkdir(parents=True, exist_ok=True)
    return _start([*OWN_NAMESPACES, "sh", "-c", NODE, "sh", name, str(folder)], folder / "log" / f"{name}.out")


def cut_power(node: Daemon) -> None:
    """Returns when no process of the node is left. A power loss leaves no time to save, nor does this."""
    if node.poll() is None:
        first = [int(pid) for pid in Path(f"/proc/{node.pid}/task/{node.pid}/children").read_text().split()]
        for pid in first or [node.pid]:  # none: the node is not even on yet
            os.kill(pid, signal.SIGKILL)
    node.wait()


def kill(daemon: Daemon) -> None:
    daemon.kill()
    daemon.wait()


def _start(command: list[str], log: Path) -> Daemon:
    with open(log, "ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(),
            start_new_session=True,  # a Ctrl-C on the terminal is for the one who started the cluster
            preexec_fn=partial(die_with_parent, os.getpid()),
        )


def _path() -> str:
    """Debian keeps daemons where only root's shells look."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
