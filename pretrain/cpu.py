"""The one place that lets megatron-core run without CUDA, so that the code that trains on H100s is the code that tests run.

Nothing in `megatron` is changed. Megatron-core reaches for CUDA in two ways, and each has its remedy:

- literal `device="cuda"`, `.cuda()`, `pin_memory=True`: rewritten by a `TorchFunctionMode`, torch's public way to intercept
  calls (0.7 µs a call, under 1% of a step);
- functions of `torch.cuda` such as `current_device()`: replaced by attributes that answer for the CPU.

`torch.compile` becomes the identity while there is no CUDA: Megatron decorates its small fusions with it, which costs 4-15 s
of compilation, and is slower than eager on a CPU.

Call `install()` after `import torch` and before the first import of megatron.core. With CUDA present it does nothing.
"""

import contextlib
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

CPU = torch.device("cpu")
_OF_A_DEVICE = frozenset({torch.Tensor.cuda, torch.Tensor.to, torch.Tensor.type})


def install() -> bool:
    """True when megatron-core now runs on the CPU, False when there is CUDA and nothing was changed."""
    if torch.cuda.is_available():
        return False
    if vars(torch.cuda)["current_device"] is _current_device:
        return True
    if "megatron.core" in sys.modules:
        raise RuntimeError("megatron.core was imported before pretrain.cpu.install(); import pretrain.cpu first")
    replacements: dict[str, Any] = {
        "current_device": _current_device,
        "synchronize": _nothing(),
        "set_device": _nothing(),
        "empty_cache": _nothing(),
        "manual_seed": torch.manual_seed,
        "get_rng_state": _get_rng_state,
        "set_rng_state": _set_rng_state,
        "current_stream": lambda device=None: _CpuStream(),
        "default_stream": lambda device=None: _CpuStream(),
        "Stream": _CpuStream,  # stays a class: transformers uses it in annotations
        "stream": lambda stream: contextlib.nullcontext(),
        # Megatron's RNG tracker queues CUDA calls here for a CUDA that never comes: on a CPU build each call would format a
        # stack trace and append it to a list for ever (0.7 s a step measured). Llama has no dropout, so nothing is lost.
        "_lazy_call": _nothing(),
    }
    for name, value in replacements.items():
        setattr(torch.cuda, name, value)
    for module, name, value in (
        (torch.cuda.random, "get_rng_state", _get_rng_state),
        (torch.cuda.random, "set_rng_state", _set_rng_state),
        (torch, "compile", _not_compiled),
    ):
        setattr(module, name, value)
    _CudaToCpu().__enter__()
    return True


class _CudaToCpu(TorchFunctionMode):
    """Sends what is meant for CUDA to the CPU, and answers `Tensor.type()` the way Megatron's assertions want it."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if not kwargs and func not in _OF_A_DEVICE:
            return func(*args)
        if kwargs:
            if _is_cuda(kwargs.get("device")):
                kwargs = {**kwargs, "device": CPU}
            if kwargs.get("pin_memory"):
                kwargs = {**kwargs, "pin_memory": False}
        if func is torch.Tensor.cuda:
            return args[0]
        if func is torch.Tensor.to and len(args) > 1 and _is_cuda(args[1]):
            args = (args[0], CPU, *args[2:])
        elif func is torch.Tensor.type and len(args) == 1 and not kwargs:
            name = func(*args)
            return name if "cuda" in name else name.replace("torch.", "torch.cuda.", 1)
        return func(*args, **(kwargs or {}))


class _CpuStream:
    """A CUDA stream on a machine that has none: everything is already done."""

    device = CPU

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def wait_stream(self, stream: Any) -> None:
        pass

    def wait_event(self, event: Any) -> None:
        pass

    def record_event(self, event: Any = None) -> None:
        pass

    def synchronize(self) -> None:
        pass

    def query(self) -> bool:
        return True


def _is_cuda(device: Any) -> bool:
    if isinstance(device, str):
        return device.startswith("cuda")
    return isinstance(device, torch.device) and device.type == "cuda"


def _current_device() -> torch.device:
    return CPU


def _nothing() -> Callable[..., None]:
    """A new function each time: torch's compiler, which optimizers import, wants each name to be an object of its own."""
    return lambda *args, **kwargs: None


def _get_rng_state(*args: Any, **kwargs: Any) -> torch.Tensor:
    return torch.get_rng_state()


def _set_rng_state(state: torch.Tensor, *args: Any, **kwargs: Any) -> None:
    torch.set_rng_state(state)


def _not_compiled(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    return function if function is not None else (lambda decorated: decorated)
