"""How jobs ended that left no word, where the site keeps accounts (slurmdbd); many sites, and the virtual cluster, do not."""

from collections.abc import Iterable

from slurm.queue.ask import NoSlurm, Refused, ask
from slurm.status.story import array_of


def states_of(jobs: Iterable[str]) -> dict[str, str]:
    """Slurm's word for each job that did not complete, as far as `sacct` knows it: nothing where no accounting is behind it."""
    ids = ",".join(dict.fromkeys(jobs))
    if not ids:
        return {}
    try:
        answer = ask(["sacct", "-X", "-n", "-P", "-o", "JobID,State", "-j", ids], attempts=1)
    except (NoSlurm, Refused):
        return {}
    found: dict[str, str] = {}
    for line in answer.splitlines():
        job, _, state = line.partition("|")
        if state != "COMPLETED":  # of an array: what became of the elements that did not
            found.setdefault(array_of(job), state)
    return found
