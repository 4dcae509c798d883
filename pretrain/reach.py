"""What this process can reach: its GPUs, and the processes that it would train with. A few seconds, nothing is kept."""

import os
import time
from datetime import timedelta
from typing import Any

import torch

MEET_SECONDS = 60  # that processes wait for one another: after it, none will come
NUM_NUMBERS = {"cuda": 16 * 2**20, "cpu": 2**20}  # of the all-reduce, in float32: 64 MiB, as much as a bucket of gradients; or 4


def gpus() -> dict[str, Any]:
    """Those that this process sees; `gpu_problem` is why torch cannot use them."""
    count, why = torch.cuda.device_count(), ""
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:  # AssertionError: of a build without CUDA
        why = str(error)
    names = sorted({torch.cuda.get_device_name(i) for i in range(count)}) if not why else []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return {"torch": torch.__version__, "gpus": count, "names": names, "visible": visible, "gpu_problem": why}


def all_reduce(device: str) -> dict[str, Any]:
    """Begun as training begins: every process has its place from the variables around it, and all meet on the first node."""
    communication = "nccl" if device == "cuda" else "gloo"
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group(communication, timeout=timedelta(seconds=MEET_SECONDS))
    world_size = torch.distributed.get_world_size()
    torch.distributed.all_reduce(torch.ones(1, device=device))  # the first one connects
    numbers = torch.ones(NUM_NUMBERS[device], device=device)
    started = time.perf_counter()
    torch.distributed.all_reduce(numbers)
    total = float(numbers[0])  # waits for the GPU
    seconds = time.perf_counter() - started
    torch.distributed.destroy_process_group()
    return {
        "reduced": total == float(world_size),
        "processes": world_size,
        "communication": communication,
        "gigabytes_per_second": round(numbers.numel() * 4 / 1e9 / seconds, 3),
    }
