"""The virtual cluster that tests share: fixture `cluster`. A test leaves it with all nodes up and without jobs."""

import time
from collections.abc import Callable, Iterator

import pytest

from slurm.virtual.cluster import VirtualCluster
from slurm.virtual.daemons import check_machine

ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "OUT_OF_MEMORY", "DEADLINE", "BOOT_FAIL"}


@pytest.fixture(scope="session")
def cluster() -> Iterator[VirtualCluster]:
    """Four nodes with eight pretended GPUs each, partitions main, low and grace; started once for all tests."""
    try:
        check_machine()
    except ValueError as error:
        pytest.skip(str(error))
    with VirtualCluster() as running:
        yield running


def wait_until(happened: Callable[[], bool], what: str, *, seconds: float = 180.0) -> None:
    """What Slurm does, it does when it likes. `seconds` is where a test gives up, not what it measures."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)


def states(cluster: VirtualCluster, job: str) -> list[str]:
    """Of a job, or of each element of an array, ended ones too."""
    return cluster.client("squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%T").split()


def has_ended(cluster: VirtualCluster, job: str) -> bool:
    return all(state in ENDED for state in states(cluster, job))


def sbatch(cluster: VirtualCluster, command: str, *options: str) -> str:
    """The id of a job that runs a line of shell; what it prints is lost, unless the options tell where it goes."""
    return cluster.client("sbatch", "--parsable", "--output=/dev/null", *options, f"--wrap={command}").strip()
