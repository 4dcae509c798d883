"""What Slurm says of a site: its partitions, their nodes and limits, read from `scontrol` and `sinfo`."""

import getpass
import re
from dataclasses import dataclass

from recipes.schema import seconds_of
from slurm.queue.ask import ask

UNUSABLE = ("down", "drain", "fail", "maint", "unknown", "future", "power")  # in a node's state, as sinfo writes it
_LIMIT = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)")


@dataclass(frozen=True)
class Partition:
    """`max_seconds` None: without limit."""

    name: str
    is_up: bool
    max_seconds: int | None
    max_nodes: int | None


@dataclass(frozen=True)
class Node:
    name: str
    cpus: int
    memory_mib: int
    gpus: int
    state: str

    @property
    def is_usable(self) -> bool:
        return not any(word in self.state.lower() for word in UNUSABLE)


def config() -> dict[str, str]:
    """`scontrol show config`, which only a living controller answers."""
    lines = [line.partition("=") for line in ask(["scontrol", "show", "config"]).splitlines()]
    return {key.strip(): value.strip() for key, sign, value in lines if sign}


def partitions() -> dict[str, Partition]:
    found = {}
    for line in ask(["scontrol", "--oneliner", "show", "partition"]).splitlines():
        facts = dict(word.split("=", 1) for word in line.split() if "=" in word)
        name = facts["PartitionName"]
        nodes = facts.get("MaxNodes", "UNLIMITED")
        found[name] = Partition(
            name=name,
            is_up=facts.get("State", "UP") == "UP",
            max_seconds=limit_seconds(facts.get("MaxTime", "UNLIMITED")),
            max_nodes=int(nodes) if nodes.isdigit() else None,
        )
    return found


def nodes(partition: str) -> list[Node]:
    lines = ask(["sinfo", "--noheader", "--Node", "--partition", partition, "--format=%N|%c|%m|%G|%T"]).splitlines()
    found = []
    for line in lines:
        name, cpus, memory, gres, state = line.strip().split("|")
        found.append(Node(name, int(cpus.rstrip("+")), int(memory.rstrip("+")), num_gpus(gres), state))
    return found


def num_gpus(gres: str) -> int:
    """gpu:h100:8(S:0-1),nvme:1 -> 8."""
    kinds = [re.sub(r"\(.*?\)", "", kind).split(":") for kind in re.split(r",(?![^()]*\))", gres)]
    return sum(int(kind[-1]) if kind[-1].isdigit() else 1 for kind in kinds if kind[0] == "gpu")


def limit_seconds(written: str) -> int | None:
    """A partition's MaxTime, 1-00:00:00 or 02:00:00 or 30:00; None: no limit."""
    if not (parts := _LIMIT.fullmatch(written)):
        return None
    days, hours, minutes, seconds = (part or "0" for part in parts.groups())
    return seconds_of(f"{days}-{hours}:{minutes:0>2}:{seconds:0>2}")


def associations() -> list[tuple[str, str, list[str]]] | None:
    """Account, partition ("" is any) and qos that this person may use; None where there is no accounting."""
    try:
        command = ["sacctmgr", "--noheader", "--parsable2", "show", "associations", f"user={getpass.getuser()}"]
        lines = ask([*command, "format=account,partition,qos"], attempts=1).splitlines()
    except ValueError:
        return None
    rows = [line.split("|") for line in lines if line.count("|") == 2]
    return [(account, partition, qos.split(",")) for account, partition, qos in rows]
