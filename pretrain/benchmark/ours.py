"""Our side: the training loop's own step, from the data's file to the updated weights, and what saving costs it."""

import time
from pathlib import Path
from typing import Any

import numpy as np

from pretrain import parallel, preflight
from pretrain.ending import Interruption
from pretrain.logs import begin_logging
from recipes.stage import read_stage

BATCHES = "batches.npz"  # what this side reads, for the other


class Ours:
    """Lives in a process of its own."""

    def __init__(self, folder: Path) -> None:
        begin_logging(is_first=False)
        job = preflight.check(read_stage(folder))
        layout, backend = parallel.start(job.params, job.parallelism, job.cluster)
        from pretrain.train import Training

        self.backend, self.interruption = backend, Interruption()
        self.training = Training(job, layout, backend)
        self.number = self.training.resume()
        self.waited: list[float] = []
        self.path = f"megatron-core, {backend}"
        if job.parallelism.recompute_layers:
            self.path += f", {job.parallelism.recompute_layers} layers made again"

    def write_batches(self, folder: Path, number: int) -> None:
        """Those of the first steps."""
        import torch

        batches = [self.training.batches.read(step) for step in range(1, number + 1)]
        tokens = [torch.cat([batch.tokens for batch in batches_of_step]).numpy() for batches_of_step in batches]
        labels = [torch.cat([batch.labels for batch in batches_of_step]).numpy() for batches_of_step in batches]
        np.savez(folder / BATCHES, tokens=np.stack(tokens), labels=np.stack(labels))

    def step(self) -> float:
        """The loss."""
        self.number += 1
        self.training.watch.stopwatch.restart()
        loss = self.training.step(self.number, self.interruption).loss
        self.waited.append(self.training.watch.stopwatch.spent["data"])
        return loss

    def seconds_of_data(self) -> list[float]:
        """That each step has waited for data."""
        return self.waited

    def save(self, folder: Path, is_async: bool) -> dict[str, float]:
        """Seconds that training stands still for a checkpoint, and seconds until it is published."""
        from pretrain.checkpoint.save import Saver

        training = self.training
        saver = Saver(folder, training.layout, is_async=is_async)
        started = time.perf_counter()
        saver.begin(self.number, training.chunks, training.optimizer, training.digest(self.number))
        stall, steps = time.perf_counter() - started, 0
        while is_async and not saver.is_written and self.number < training.params.steps:
            self.step()
            steps += 1
        finishing = time.perf_counter()
        saver.close()
        now = time.perf_counter()
        return {"stall_seconds": round(stall + now - finishing, 3), "seconds": round(now - started, 3), "steps_beside": steps}

    def peak_memory(self) -> int:
        return self.backend.peak_memory()


def describe_device() -> dict[str, Any]:
    import torch

    has_cuda = torch.cuda.is_available()
    return {"torch": torch.__version__, "device": torch.cuda.get_device_name() if has_cuda else "cpu"}
