"""Who computes what: processes, groups and the layouts that are refused, with the reason.

`check_layout` needs no torch, so that a plan fails before the queue and not after it.
"""

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pretrain.cost import layers_of_a_part
from recipes.schema import Cluster, Model, Parallelism, TrainParams

if TYPE_CHECKING:
    from pretrain.backend import Backend

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
    _check_pipeline(params, parallelism, data_size)
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
    if context > 1 and params.documents == "reset":
        raise ValueError(
            f"documents=reset with parallelism.context={context}: context parallelism cuts a document into 2 x {context} equal "
            "chunks, but documents are of any length; set parallelism.context=1, or documents=plain"
        )
    if parallelism.sequence_parallel and params.sequence_length % (tensor * context):
        raise ValueError(f"sequence_length={params.sequence_length} is not a multiple of tensor {tensor} x context {context}")
    return data_size


def check_precision(params: TrainParams, cluster: Cluster) -> None:
    if params.precision == "fp8" and cluster.device == "cpu":
        raise ValueError("precision=fp8 needs CUDA and Transformer Engine; on a cluster whose device is cpu use bf16 or fp32")


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
    layers = layers_of_a_part(model, parallelism)
    if parallelism.recompute_layers > layers:
        part = "a pipeline stage" if parallelism.virtual_pipeline == 1 else "each of the interleaved parts of a pipeline stage"
        raise ValueError(f"parallelism.recompute_layers={parallelism.recompute_layers} is above the {layers} layers of {part}")


def _check_pipeline(params: TrainParams, parallelism: Parallelism, data_size: int) -> None:
    """Interleaved stages (virtual pipeline): Narayanan et al. 2021 (2104.04473), section 2.2."""
    pipeline, virtual = parallelism.pipeline, parallelism.virtual_pipeline
    if virtual == 1:
        return
    if pipeline < 3:
        raise ValueError(
            f"parallelism.virtual_pipeline={virtual} with pipeline={pipeline}: with fewer than 3 pipeline stages the next and "
            f"the one before are the same process, and losses come out wrong without an error (measured 2e-2 on gloo); set "
            f"pipeline to 3 or more, or virtual_pipeline=1"
        )
    if params.model.num_layers % (pipeline * virtual):
        raise ValueError(
            f"model.num_layers={params.model.num_layers} is not a multiple of pipeline {pipeline} x virtual_pipeline {virtual}"
        )
    num_microbatches = params.global_batch_size // (parallelism.micro_batch_size * data_size)
    if num_microbatches % pipeline:
        raise ValueError(
            f"{num_microbatches} micro-batches a step are not a multiple of pipeline={pipeline}, which virtual_pipeline="
            f"{virtual} needs; change global_batch_size or micro_batch_size"
        )


def start(params: TrainParams, parallelism: Parallelism, cluster: Cluster) -> "tuple[Layout, Backend]":
    """Joins the processes that torchrun (or srun with its variables) started; without them, a world of one."""
    rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    check_layout(params, parallelism, world_size)
    backend = join(cluster.device, rank, world_size, cluster.threads_per_process)
    return arrange(params, parallelism, cluster.device), backend


def arrange(params: TrainParams, parallelism: Parallelism, device: str) -> Layout:
    """Megatron's process groups over the processes that have joined."""
    from megatron.core import parallel_state
    from torch import distributed

    data_size = check_layout(params, parallelism, distributed.get_world_size())
    parallel_state.initialize_model_parallel(
        parallelism.tensor,
        parallelism.pipeline,
        virtual_pipeline_model_parallel_size=parallelism.virtual_pipeline if parallelism.virtual_pipeline > 1 else None,
        context_parallel_size=parallelism.context,
    )
    seed(SEED_OF_NEW_WEIGHTS, 0)
    return Layout(
        rank=distributed.get_rank(),
        world_size=distributed.get_world_size(),
        device=device,
        parallelism=parallelism,
        data_rank=parallel_state.get_data_parallel_rank(),
        data_size=data_size,
        num_microbatches=params.global_batch_size // (parallelism.micro_batch_size * data_size),
    )


def join(device: Literal["cpu", "cuda"], rank: int, world_size: int, threads: int) -> "Backend":
    """The process group, and on a CPU what megatron-core needs to run there."""
    import torch
    from torch.distributed import HashStore  # type: ignore[attr-defined]

    from pretrain.backend import choose

    backend = choose(device)
    torch.set_num_threads(threads)
    if backend.is_cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    if world_size == 1:
        torch.distributed.init_process_group(backend.communication, store=HashStore(), rank=0, world_size=1)
    else:
        torch.distributed.init_process_group(backend.communication)
    return backend


def seed(stage_seed: int, step: int) -> None:
    """Random numbers of a step depend on the stage's seed and the step's number alone, so that no state of theirs has to survive
    anything. Llama draws none."""
    import torch
    from megatron.core import tensor_parallel

    number = int.from_bytes(hashlib.sha256(f"random numbers {stage_seed} {step}".encode()).digest()[:4], "big")
    torch.manual_seed(number)
    tensor_parallel.model_parallel_cuda_manual_seed(number)


def leave() -> None:
    import torch
    from megatron.core import parallel_state

    parallel_state.destroy_model_parallel()
    torch.distributed.destroy_process_group()


def sum_over_processes(values: list[float], layout: Layout) -> list[float]:
    """Values and yes-or-nos in float64, so that token counts stay exact. One call a step: it is what all processes wait for."""
    if layout.world_size == 1:
        return [float(value) for value in values]
    import torch

    total = torch.tensor(values, dtype=torch.float64, device=layout.device)
    torch.distributed.all_reduce(total)
    return [float(value) for value in total.tolist()]


def on_every_process(value: Any, layout: Layout) -> list[Any]:
    """Every process' value, on every process."""
    if layout.world_size == 1:
        return [value]
    import torch

    values: list[Any] = [None] * layout.world_size
    torch.distributed.all_gather_object(values, value)
    return values
