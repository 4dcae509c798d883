"""Slurm's own programs, asked patiently: a controller that restarts, or is busy, answers a few seconds later."""

import os
import subprocess
import time
from collections.abc import Sequence

ATTEMPTS = 8
SECONDS_BETWEEN = 2.0
BUSY = (
    "Unable to contact slurm controller",
    "Socket timed out",
    "temporarily unable",
    "Connection refused",
    "try again",
    "Zero Bytes",
)
NO_CONFIGURATION = "Could not establish a configuration source"  # programs are installed, and belong to no cluster
OF_A_JOB = ("SLURM_", "SBATCH_", "SLURMD_")
OF_TASTE = ("SQUEUE_",)  # a person's own view of the queue, in which jobs may be hidden


class NoSlurm(ValueError):
    """Slurm is not here, or does not answer."""


class Refused(ValueError):
    """Slurm has answered, and the answer is no."""


def ask(command: Sequence[str], *, attempts: int = ATTEMPTS) -> str:
    """What a program of Slurm prints; its complaint becomes an error."""
    for attempt in range(attempts):
        if attempt:
            time.sleep(SECONDS_BETWEEN)
        answer = _once(command)
        if answer.returncode == 0:
            return answer.stdout
        if NO_CONFIGURATION in answer.stderr:
            raise NoSlurm(f"`{command[0]}` knows no cluster (this machine has no slurm.conf); call midtrain from a login node")
        if not any(words in answer.stderr for words in BUSY):
            raise Refused(f"`{command[0]}` refused: {answer.stderr.strip() or f'exit status {answer.returncode}'}")
    raise NoSlurm(f"Slurm does not answer `{command[0]}`: {answer.stderr.strip()}; try again when its controller is back")


def _once(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(command, capture_output=True, text=True, env=environment(), stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise NoSlurm(f"there is no `{command[0]}` on this machine; call midtrain from a login node of a Slurm cluster") from None


def environment() -> dict[str, str]:
    """This process' variables; within a job without that job's, which sbatch would take for options, and steps for limits of
    their own. Where the site's configuration lies (SLURM_CONF) stays known."""
    foreign = OF_TASTE + (OF_A_JOB if "SLURM_JOB_ID" in os.environ else ())
    ours = {key: value for key, value in os.environ.items() if key == "SLURM_CONF" or not key.startswith(foreign)}
    return ours | {"SLURM_BITSTR_LEN": "0"}  # lists of array elements whole, however long
