"""All checks in their order: what the page says, what Slurm says, then what a job on the nodes finds."""

import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from recipes.schema import Cluster, Slurm
from recipes.schema.cluster import Resources
from recipes.stage import try_lock
from slurm.doctor import job, probe, promises
from slurm.doctor.check import Check, failed, passed, skipped
from slurm.doctor.verdicts import judge
from slurm.queue.ask import NoSlurm, Refused, ask


def examine(cluster: Cluster, root: Path, *, seconds: float, tell: Callable[[str], None]) -> Iterator[Check]:
    """`tell` hears what takes time. Where there is no Slurm no more can be asked."""
    of_page = list(promises.check_page(cluster))
    yield from of_page
    try:
        version = ask(["scontrol", "--version"]).strip()
        ask(["scontrol", "ping"])
    except (NoSlurm, Refused) as error:
        told, _, mend = " ".join(str(error).split()).partition("; ")
        yield failed("Slurm", told, mend or "check SLURM_CONF, or ask the site: `scontrol ping` must answer")
        return
    yield passed("Slurm", f"{version} answers")
    of_site = list(promises.check_site(cluster, cluster.slurm or Slurm()))
    yield from of_site
    if any(check.verdict == "failed" for check in [*of_page, *of_site]):
        yield skipped("jobs", "none was submitted: mend the above first")
        return
    yield from _on_nodes(cluster, root, seconds, tell)


def _whole_job(cluster: Cluster, kind: Resources) -> Check:
    name = f"a whole job on {kind} nodes"
    is_taken, told = job.would_be_taken(cluster, kind)
    if is_taken:
        return passed(name, told.replace("Job ", "job ", 1))
    return failed(name, told, f"set what Slurm names in cluster.slurm.{kind}: partition, qos, time_limit, memory_gib or options")


def _on_nodes(cluster: Cluster, root: Path, seconds: float, tell: Callable[[str], None]) -> Iterator[Check]:
    """In a folder of its own below the root, which goes when all is said."""
    token = secrets.token_hex(4)
    folder = root / f".doctor-{token}"
    try:
        folder.mkdir(parents=True)
        (folder / probe.TOKEN).write_text(token)
    except OSError as error:
        yield failed("root", f"{folder} cannot be written ({error.strerror})", "choose another with --root FOLDER")
        return
    lock = try_lock(folder / probe.LOCK)
    try:
        for kind in promises.kinds(cluster):
            yield (taken := _whole_job(cluster, kind))
            if taken.verdict == "failed":
                continue
            answer = job.run(cluster, kind, folder, token, seconds=seconds, tell=tell)
            yield from judge(answer, cluster, kind, folder, token)
    finally:
        if lock is not None:
            lock.close()
        shutil.rmtree(folder)
