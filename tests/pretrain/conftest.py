"""Fixtures: the tiny world, and megatron-core in this process."""

import pytest
from world import World


@pytest.fixture(scope="session")
def megatron() -> None:
    """megatron-core in this process, a world of one."""
    import preloaded_megatron  # noqa: F401
    import torch
    from megatron.core import parallel_state, tensor_parallel

    from pretrain import parallel

    parallel.join("cpu", rank=0, world_size=1, threads=1)
    if not parallel_state.is_initialized():
        parallel_state.initialize_model_parallel()
    tensor_parallel.model_parallel_cuda_manual_seed(1)
    torch.manual_seed(1)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))
