"""Who computes what: processes, groups and the layouts that are refused, with the reason.

`check_layout` needs no torch, so that a plan fails before the queue and not after it.
"""

import os
from dataclasses import dataclass

from recipes.schema import Cluster, Model, Parallelism, TrainParams

SEED_OF_NEW_WEIGHTS = 1234  # weights are always loaded over; only Megatron wants one


@dataclass(frozen=True)
class Layout:
    """This process' place."""

    rank: int
    world_size: int
    device: str
    parallelism: Parallelism
    data_rank: int
    data_size: int
    num_microbatches: int

    @property
    def is_first(self) -> bool:
        return self.rank == 0


def check_layout(params: TrainParams, parallelism: Parallelism, world_size: int) -> int:
    """The data-parallel size, or a ValueError that names what does not divide."""
    tensor, pipeline, context = parallelism.tensor, parallelism.pipeline, parallelism.context
    model_processes = tensor * pipeline * context
    if world_size % model_processes:
        raise ValueError(
            f"{world_size} processes are not a multiple of tensor {tensor} x pipeline {pipeline} x context {context} = "
            f"{model_processes}; change `parallelism` or the number of processes"
        )
    data_size = world_size // model_processes
    _check_model(params.model, parallelism)
    per_microbatch = parallelism.micro_batch_size * data_size
    if params.global_batch_size % per_microbatch:
        raise ValueError(
            f"global_batch_size={params.global_batch_size} is not a multiple of micro_batch_size "
            f"{parallelism.micro_batch_size} x data-parallel size {data_size} = {per_microbatch}; change micro_batch_size, or "
            f"run with a number of processes that divides it"
        )
    if context > 1 and params.sequence_length % (2 * context):
        raise ValueError(
            f"sequence_length={params.sequence_length} is not a multiple of 2 x context {context}: context parallelism gives "
            f"each process two chunks of equal length"
        )
    if parallelism.sequence_parallel and params.sequence_length % (tensor * context):
        raise ValueError(f"sequence_length={params.sequence_length} is not a multiple of tensor {tensor} x context {context}")
    return data_size


def _check_model(model: Model, parallelism: Parallelism) -> None:
    tensor, pipeline = parallelism.tensor, parallelism.pipeline
    for field in ("num_attention_heads", "num_query_groups", "ffn_hidden_size", "vocab_size"):
        if getattr(model, field) % tensor:
            because = "; the vocabulary is never padded, as padding would take part in the loss" if field == "vocab_size" else ""
            raise ValueError(f"model.{field}={getattr(model, field)} is not a multiple of parallelism.tensor={tensor}{because}")
    if model.num_layers % pipeline:
        raise ValueError(f"model.num_layers={model.num_layers} is not a multiple of parallelism.pipeline={pipeline}")
    if parallelism.sequence_parallel and tensor == 1:
        raise ValueError("parallelism.sequence_parallel splits the sequence over tensor ranks, but parallelism.tensor is 1")
    if parallelism.recompute_layers > model.num_layers // pipeline:
        raise ValueError(
            f"parallelism.recompute_layers={parallelism.recompute_layers} is above the {model.num_layers // pipeline} layers of "
            f"a pipeline stage"
        )


def start(params: TrainParams, parallelism: Parallelism, cluster: Cluster) -> Layout:
    """Joins the processes that torchrun (or srun with its variables) started; without them, a world of one."""
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    data_size = check_layout(params, parallelism, world_size)
    join(cluster.device, rank, world_size, cluster.threads_per_process)

    from megatron.core import parallel_state, tensor_parallel

    parallel_state.initialize_model_parallel(parallelism.tensor, parallelism.pipeline, context_parallel_size=parallelism.context)
    tensor_parallel.model_parallel_cuda_manual_seed(SEED_OF_NEW_WEIGHTS)
    return Layout(
        rank=rank,
        world_size=world_size,
        device=cluster.device,
        parallelism=parallelism,
        data_rank=parallel_state.get_data_parallel_rank(),
        data_size=data_size,
        num_microbatches=params.global_batch_size // (parallelism.micro_batch_size * data_size),
    )


def join(device: str, rank: int, world_size: int, threads: int) -> None:
    """The process group, and on a CPU what megatron-core needs to run there."""
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch looks: a GPU that is there must not be half used
    import torch
    from torch.distributed import HashStore  # type: ignore[attr-defined]

    from pretrain import cpu

    on_cpu = cpu.install()
    if device == "cuda" and on_cpu:
        raise ValueError("cluster.device is cuda, but torch finds no CUDA device here; use a cluster whose device is cpu")
    torch.set_num_threads(threads)
    torch.manual_seed(SEED_OF_NEW_WEIGHTS)
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if world_size == 1:
        torch.distributed.init_process_group(_backend(device), store=HashStore(), rank=0, world_size=1)
    else:
        torch.distributed.init_process_group(_backend(device))


def leave() -> None:
    import torch
    from megatron.core import parallel_state

    parallel_state.destroy_model_parallel()
    torch.distributed.destroy_process_group()


def sum_over_processes(values: list[float], layout: Layout) -> list[float]:
    """In float64, so that token counts stay exact. One call a step: it is what all processes wait for."""
    if layout.world_size == 1:
        return values
    import torch

    total = torch.tensor(values, dtype=torch.float64, device=layout.device)
    torch.distributed.all_reduce(total)
    return [float(value) for value in total.tolist()]


def _backend(device: str) -> str:
    return "nccl" if device == "cuda" else "gloo"
