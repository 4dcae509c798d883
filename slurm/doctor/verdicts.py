"""What doctor's job found, as checks: the shared file system, Python, GPUs and the all-reduce."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recipes import manifest
from recipes.schema import Cluster
from recipes.schema.cluster import Resources
from slurm.doctor.check import Check, failed, passed, skipped
from slurm.doctor.job import Answer
from slurm.doctor.promises import trains

NUM_LINES = 3  # of what a job complained of
NOISE = ("srun: ", "slurmstepd: ")  # Slurm says that a task has ended, the task itself why


def judge(answer: Answer, cluster: Cluster, kind: Resources, folder: Path, token: str) -> Iterator[Check]:
    where = f"on {kind} nodes"
    nodes = answer.each("sees")
    if answer.problem and not nodes:
        mend = "let it wait longer with --wait SECONDS; `sinfo` tells what is busy or down"
        yield failed(f"a job {where}", answer.problem, mend)
        return
    if not nodes:
        yield _nothing_said(answer, where)
        return
    names = ", ".join(str(row["node"]) for row in nodes)
    yield passed(f"a job {where}", f"ran on {names}, {answer.waited:.0f} s after it was submitted")
    yield _files(nodes, folder, token, where)
    yield _locks(nodes, where)
    yield _software(nodes, where)
    if num_gpus := cluster.gpus_of(kind):
        yield _gpus(answer, num_gpus)
    if trains(cluster, kind):
        yield _all_reduce(answer, cluster)


def _nothing_said(answer: Answer, where: str) -> Check:
    """The job began and Python did not, or it was refused."""
    told = " / ".join(_complaints(answer)) or f"exit status {answer.ended}"
    if any("No module named" in line for line in answer.errors):
        mend = "install midtrain where every node sees it, or load it by a line of cluster.slurm.environment"
    elif any("allocate resources" in line or "Invalid" in line for line in answer.errors):
        mend = "set what Slurm names in cluster.slurm: partition, account, qos, gpus_option or options"
    else:
        mend = (
            "put Python where every node sees it (the same path as here), or set cluster.slurm.environment or "
            "cluster.slurm.container so that it is found"
        )
    return failed(f"Python {where}", told, mend)


def _files(nodes: list[dict[str, Any]], folder: Path, token: str, where: str) -> Check:
    name = f"root seen {where}"
    root = folder.parent
    blind = [row for row in nodes if not row["sees"]]
    if blind:
        told = f"{blind[0]['node']} does not see what was written here ({blind[0]['why']})"
        return failed(name, told, f"put the results where all nodes see them: root=…, not {root}")
    lost = [row["node"] for row in nodes if not _is_back(folder / f"from_{row['rank']}", token)]
    if lost:
        told = f"what {lost[0]} wrote is not seen here"
        return failed(name, told, f"put the results where all nodes see them: root=…, not {root}")
    return passed(name, f"{root}: written here and read there, and back")


def _is_back(path: Path, token: str) -> bool:
    list(path.parent.iterdir())  # NFS looks anew
    return path.is_file() and path.read_text() == token


def _locks(nodes: list[dict[str, Any]], where: str) -> Check:
    name = f"locks {where}"
    if any("locks" not in row for row in nodes):
        return skipped(name, "not checked: they need a shared root")
    free = [row["node"] for row in nodes if not row["locks"]]
    if free:
        mend = "mount it so that flock works between nodes (Lustre: -o flock; NFS: not local_lock), or choose another root"
        return failed(name, f"{free[0]} took a lock that is held here: two jobs could work on one stage", mend)
    return passed(name, "flock holds between nodes")


def _software(nodes: list[dict[str, Any]], where: str) -> Check:
    name = f"Python {where}"
    here = manifest.software()
    for row in nodes:
        there = row["software"]
        if differing := [key for key in {**here, **there} if here.get(key) != there.get(key)]:
            sides = [f"{key} {there.get(key, 'not there')}, here {here.get(key, 'not there')}" for key in differing[:NUM_LINES]]
            told = "; ".join(sides)
            mend = "use one environment on all nodes: cluster.slurm.environment activates it, as on this one"
            return failed(name, f"{row['node']}: {told}", mend)
    version = f"midtrain {here.get('midtrain', '')} of {nodes[0]['code']}"
    return passed(name, f"{nodes[0]['python']} {here['python']}, {version}, as here")


def _gpus(answer: Answer, num: int) -> Check:
    name = f"{num} GPU{'' if num == 1 else 's'} a node"
    rows = answer.each("gpus")
    if not rows:
        return failed(name, " / ".join(_complaints(answer)) or "torch was not loaded", "install torch for CUDA on the GPU nodes")
    broken = next((row for row in rows if row["gpu_problem"]), None)
    if broken is not None:
        mend = "install a torch built for the nodes' CUDA driver, which `nvidia-smi` there tells, or load its module in "
        mend += "cluster.slurm.environment"
        return failed(name, f"Slurm gave {broken['visible'] or 'none'}, torch says: {broken['gpu_problem']}", mend)
    few = min(row["gpus"] for row in rows)
    if few < num:
        mend = "cluster.slurm.gpus_option must ask for all that a job needs of a node: `scontrol show config` names GresTypes"
        return failed(name, f"a process sees {few}", mend)
    return passed(name, f"{', '.join(rows[0]['names'])}, torch {rows[0]['torch']}")


def _all_reduce(answer: Answer, cluster: Cluster) -> Check:
    name = f"all-reduce over {answer.nodes} node{'' if answer.nodes == 1 else 's'}"
    rows = answer.each("reduced")
    if answer.tasks == 1:
        return skipped(name, "not needed: training is one process on this cluster")
    if any(row["gpu_problem"] for row in answer.each("gpu_problem")):
        return skipped(name, "not tried: it needs the GPUs")
    if len(rows) == answer.tasks and all(row["reduced"] for row in rows):
        slowest = min(row["gigabytes_per_second"] for row in rows)
        return passed(name, f"{rows[0]['communication']}, {rows[0]['processes']} processes, {slowest:.2f} GB/s a process")
    told = answer.problem or " / ".join(_complaints(answer)) or f"{len(rows)} of {answer.tasks} processes have the sum"
    library = "NCCL_SOCKET_IFNAME (and NCCL_IB_HCA)" if cluster.device == "cuda" else "GLOO_SOCKET_IFNAME"
    return failed(name, told, f"name the network between nodes by a line of cluster.slurm.environment: export {library}=…")


def _complaints(answer: Answer) -> list[str]:
    """The last lines: what broke stands at the end."""
    told = [line.strip() for line in answer.errors if not line.startswith(NOISE)] or answer.errors
    return told[-NUM_LINES:] if len(set(told)) > 1 else told[:1]
