"""A stage in several processes, as torchrun starts them, but from the fork server: without 3 s of imports in each."""

import multiprocessing
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import stage_process
import world


def run_together(
    folder: Path, processes: int, timeout: float = 90, prepare: Callable[[int], None] | None = None
) -> list[int | None]:
    """Exit statuses. What rank r says is in logs/rank_r.txt. `prepare` is called in each process with its rank, before all."""
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["preloaded_megatron"])
    ranks = [context.Process(target=run_rank, args=(folder, rank, processes, port, prepare)) for rank in range(processes)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(world.ROOT), str(Path(__file__).parent)]))
        for rank in ranks:
            rank.start()
    for rank in ranks:
        rank.join(timeout)
        if rank.exitcode is None:
            rank.kill()
            rank.join()
    return [rank.exitcode for rank in ranks]


def run_rank(folder: Path, rank: int, processes: int, port: int, prepare: Callable[[int], None] | None) -> None:
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    if prepare is not None:
        prepare(rank)
    stage_process.run(folder, folder / "logs" / f"rank_{rank}.txt", None)
