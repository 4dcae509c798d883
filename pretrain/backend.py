"""Where the model computes: one object, chosen once at the start, that knows every answer that differs between a CPU and CUDA.

| | CPU | CUDA |
| --- | --- | --- |
| communication | gloo | NCCL |
| layers | Megatron's local ones with torch's SDPA | Transformer Engine's; without it, those of the CPU |
| AdamW | torch's, its loading repaired | Transformer Engine's fused one; without it, torch's |
| fusions | none | all |

Import this module before megatron.core: on a CPU, `choose` prepares torch for it.
"""

import os
import resource
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import torch

from pretrain import cpu
from pretrain.ending import Mistake

if TYPE_CHECKING:
    from megatron.core.optimizer.optimizer import MegatronOptimizer
    from megatron.core.transformer.transformer_config import TransformerConfig


@dataclass(frozen=True)
class Backend:
    device: Literal["cpu", "cuda"]
    communication: Literal["gloo", "nccl"]
    layers: Literal["local", "transformer_engine"]
    config: dict[str, Any] = field(default_factory=dict)  # fields of TransformerConfig

    @property
    def is_cuda(self) -> bool:
        return self.device == "cuda"

    def __str__(self) -> str:
        return {"local": "Megatron's local layers with torch SDPA", "transformer_engine": "Transformer Engine"}[self.layers]

    def layer_spec(self, config: "TransformerConfig", virtual_stage: int | None) -> Any:
        if self.layers == "transformer_engine":
            from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_with_transformer_engine_spec

            return get_gpt_layer_with_transformer_engine_spec()
        from pretrain.local_layers import layer_spec

        return layer_spec(config, virtual_stage)

    def precision(self, precision: str) -> dict[str, Any]:
        """Fields of TransformerConfig. FP8: Hopper's hybrid format with one scale a tensor, first and last layer in bf16."""
        if precision != "fp8":
            return {}
        if self.layers != "transformer_engine":
            raise Mistake("precision=fp8 needs CUDA and Transformer Engine; use precision=bf16, or install the extra `gpu`")
        return {"fp8": "hybrid", "fp8_recipe": "tensorwise", "first_last_layers_bf16": True}

    def repair(self, optimizer: "MegatronOptimizer") -> None:
        """Makes a new optimizer's state survive a checkpoint."""
        from megatron.core.optimizer import USING_PYTORCH_OPTIMIZER

        if USING_PYTORCH_OPTIMIZER:
            from pretrain.torch_adam import repair_torch_adam

            repair_torch_adam(optimizer)

    def place(self, module: torch.nn.Module) -> torch.nn.Module:
        return module.cuda() if self.is_cuda else module

    def peak_memory(self) -> int:
        """Bytes: of the device on CUDA, else of this process."""
        return torch.cuda.max_memory_allocated() if self.is_cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def choose(device: Literal["cpu", "cuda"]) -> Backend:
    """What this machine has of the device that the cluster's page names."""
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a GPU that is there must not be half used
    on_cpu = cpu.install()
    if device == "cpu":
        if not on_cpu:
            raise ValueError("cluster.device is cpu, but torch has taken hold of a CUDA device already")
        return Backend("cpu", "gloo", "local", {**_COMMON, "use_cpu_initialization": True})
    if on_cpu:
        raise ValueError("cluster.device is cuda, but torch finds no CUDA device here; use a cluster whose device is cpu")
    has_engine = find_spec("transformer_engine") is not None
    fusions = {"bias_activation_fusion": True, "bias_dropout_fusion": True, "apply_rope_fusion": has_engine}
    fusions |= {"cross_entropy_loss_fusion": True}
    return Backend("cuda", "nccl", "transformer_engine" if has_engine else "local", {**_COMMON, **fusions})


_COMMON: dict[str, Any] = {
    "bias_activation_fusion": False,
    "bias_dropout_fusion": False,
    "apply_rope_fusion": False,
    "masked_softmax_fusion": False,
    "cross_entropy_loss_fusion": False,
    "gradient_accumulation_fusion": False,  # would need Apex
    "persist_layer_norm": False,
    "attention_softmax_in_fp32": True,
    "cuda_graph_scope": [],  # its default is deprecated, with a warning
}
