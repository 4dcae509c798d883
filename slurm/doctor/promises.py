"""What a cluster's page says, held against what Slurm says. Nothing is submitted here."""

from collections.abc import Iterator

from recipes.schema import Cluster, Jobs, Slurm, seconds_of
from recipes.schema.cluster import Resources
from slurm.doctor import site
from slurm.doctor.check import Check, failed, passed, skipped
from slurm.doctor.site import Node, Partition
from slurm.queue.facts import missing_of


def kinds(cluster: Cluster) -> list[Resources]:
    """Of jobs that this cluster gets, each that is asked for in a way of its own."""
    if cluster.device == "cpu":
        return ["cpu"]
    return ["cpu", "gpu", "one_gpu"] if cluster.slurm is not None and cluster.slurm.one_gpu is not None else ["cpu", "gpu"]


def trains(cluster: Cluster, kind: Resources) -> bool:
    """Whether training's jobs are of this kind."""
    return kind == ("gpu" if cluster.device == "cuda" else "cpu")


def check_page(cluster: Cluster) -> Iterator[Check]:
    """What lacks on the page, with what to write."""
    missing = list(dict.fromkeys(told for kind in kinds(cluster) for told in missing_of(cluster, kind)))
    for told in missing:
        what, _, mend = told.partition("; ")
        yield failed("page", what, mend)
    if not missing:
        yield passed("page", "says all that jobs need")


def check_site(cluster: Cluster, slurm: Slurm) -> Iterator[Check]:
    known = site.partitions()
    for kind in kinds(cluster):
        asks = slurm.jobs(kind) or Jobs()
        if asks.partition is not None:
            yield from _check_jobs(cluster, kind, asks, known)
    yield _check_array_size(slurm)
    yield _check_account(cluster, slurm)


def _check_jobs(cluster: Cluster, kind: Resources, asks: Jobs, known: dict[str, Partition]) -> Iterator[Check]:
    name, key = f"partition {asks.partition}", f"cluster.slurm.{kind}"
    partition = known.get(str(asks.partition))
    if partition is None:
        yield failed(name, "there is no such partition", f"{key}.partition: one of {', '.join(known) or 'none'}")
        return
    if not partition.is_up:
        yield failed(name, "it is not up, so that jobs would wait", f"wait, or {key}.partition: another of {', '.join(known)}")
    else:
        yield passed(name, "exists and is up")
    if asks.time_limit is not None:
        yield _check_time(key, asks.time_limit, partition)
    yield _check_nodes(cluster, kind, asks, partition)


def _check_time(key: str, asked: str, partition: Partition) -> Check:
    name = f"time limit {asked}"
    if partition.max_seconds is None or seconds_of(asked) <= partition.max_seconds:
        return passed(name, f"partition {partition.name} allows it")
    longest = _duration(partition.max_seconds)
    return failed(name, f"partition {partition.name} allows {longest} at most", f'{key}.time_limit: "{longest}"')


def _check_nodes(cluster: Cluster, kind: Resources, asks: Jobs, partition: Partition) -> Check:
    """Enough nodes that are large enough for training, and one for what needs one."""
    wanted = cluster.nodes if trains(cluster, kind) else 1
    cpus = max(_cpus(cluster, kind), asks.processes if kind == "cpu" else 1)
    gpus = cluster.gpus_of(kind)
    memory = round((asks.memory_gib or 0) * 1024)
    found = site.nodes(partition.name)
    name = f"nodes of {partition.name}"
    needs = {f"{cpus} CPUs": cpus, f"{asks.memory_gib or 0:g} GiB": memory, f"{gpus} GPUs": gpus}
    need = ", ".join(what for what, amount in needs.items() if amount)
    large = [node for node in found if node.cpus >= cpus and node.memory_mib >= memory and node.gpus >= gpus]
    usable = [node for node in large if node.is_usable]
    if partition.max_nodes is not None and wanted > partition.max_nodes:
        return failed(name, f"one job may have {partition.max_nodes}", f"cluster.nodes: {partition.max_nodes}")
    if len(large) < wanted:
        mend = f"cluster.nodes: {len(large)}" if large else _smaller(found, kind)
        return failed(name, f"{len(large)} of {len(found)} have {need}, and cluster.nodes is {wanted}", mend)
    if len(usable) < wanted:
        away = ", ".join(f"{node.name} {node.state}" for node in large if not node.is_usable)
        return failed(name, f"only {len(usable)} of {wanted} can be used now: {away}", "wait for them, or lower cluster.nodes")
    return passed(name, f"{len(usable)} of {len(found)} have {need}; {wanted} needed")


def _cpus(cluster: Cluster, kind: Resources) -> int:
    """Of the processes on a node, but for curation's."""
    if trains(cluster, kind):
        return cluster.processes_per_node * cluster.threads_per_process
    return cluster.threads_per_process if kind == "one_gpu" else 1


def _smaller(found: list[Node], kind: Resources) -> str:
    if not found:
        return f"cluster.slurm.{kind}.partition: one with nodes"
    largest = max(found, key=lambda node: (node.gpus, node.cpus, node.memory_mib))
    told = f"{largest.name} has {largest.cpus} CPUs, {largest.memory_mib / 1024:.0f} GiB, {largest.gpus} GPUs"
    memory = f"cluster.slurm.{kind}.memory_gib"
    processes = {"cpu": "cluster.slurm.cpu.processes, ", "gpu": "cluster.processes_per_node, ", "one_gpu": ""}[kind]
    return f"{told}: lower {processes}cluster.threads_per_process or {memory}"


def _check_array_size(slurm: Slurm) -> Check:
    name = f"array size {slurm.max_array_size:,}"
    allowed = int(site.config().get("MaxArraySize", "0"))
    if slurm.max_array_size <= allowed:
        return passed(name, f"MaxArraySize is {allowed:,}")
    return failed(name, f"MaxArraySize is {allowed:,}", f"cluster.slurm.max_array_size: {allowed}")


def _check_account(cluster: Cluster, slurm: Slurm) -> Check:
    rows = site.associations()
    name = "account and qos"
    if rows is None:
        return skipped(name, "not checked: no accounting answers here")
    accounts = sorted({account for account, _, _ in rows})
    if slurm.account is not None and slurm.account not in accounts:
        return failed(
            name, f"you have no account {slurm.account}", f"cluster.slurm.account: one of {', '.join(accounts) or 'none'}"
        )
    qualities = sorted({qos for account, _, allowed in rows for qos in allowed if slurm.account in (None, account)})
    for kind in kinds(cluster):
        asked = (slurm.jobs(kind) or Jobs()).qos
        if asked is not None and asked not in qualities:
            return failed(name, f"you have no qos {asked}", f"cluster.slurm.{kind}.qos: one of {', '.join(qualities) or 'none'}")
    return passed(name, f"account {slurm.account or 'by default'}, of {', '.join(accounts) or 'none'}")


def _duration(seconds: int) -> str:
    days, rest = divmod(seconds, 86400)
    return f"{days}-{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
