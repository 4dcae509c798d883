"""Stand-ins on the CPU for three things that Transformer Engine brings on CUDA: attention, a norm that knows sequence
parallelism, and an optimizer whose state survives a checkpoint. They are plugged in where megatron-core asks for a class.

Measured against Hugging Face's Llama: logits equal bit for bit in float32 at 512 and 4096 positions.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
from megatron.core.optimizer.distrib_optimizer import DistributedOptimizer
from megatron.core.optimizer.optimizer import MegatronOptimizer
from megatron.core.tensor_parallel.mappings import gather_from_sequence_parallel_region
from megatron.core.transformer.module import MegatronModule
from megatron.core.transformer.transformer_block import TransformerBlockSubmodules, get_num_layers_to_build
from megatron.core.transformer.transformer_config import TransformerConfig
from megatron.core.utils import get_pg_rank, get_pg_size


class SdpaCoreAttention(MegatronModule):
    """Causal attention by torch's scaled_dot_product_attention: grouped queries without repeated keys, and context
    parallelism, which Megatron's own CPU attention has not."""

    def __init__(
        self, config: TransformerConfig, layer_number: int, attn_mask_type: Any, attention_type: str, **options: Any
    ) -> None:
        super().__init__(config)
        if config.attention_dropout:
            raise ValueError("attention on the CPU has no dropout; Llama has none either")
        self.scale = options.get("softmax_scale") or 1.0 / math.sqrt(config.kv_channels)
        self.context_group = getattr(options.get("pg_collection"), "cp", None)

    def forward(
        self,
        query: torch.Tensor,  # (sequence, batch, heads, head_dim)
        key: torch.Tensor,  # (sequence, batch, query groups, head_dim)
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        **options: Any,
    ) -> torch.Tensor:  # (sequence, batch, heads * head_dim)
        mask = None
        if self.context_group is not None and get_pg_size(self.context_group) > 1:
            mask = self._mask_of_this_context_rank(query.shape[0])
            key = gather_from_sequence_parallel_region(key.contiguous(), group=self.context_group)
            value = gather_from_sequence_parallel_region(value.contiguous(), group=self.context_group)
        query, key, value = (tensor.permute(1, 2, 0, 3) for tensor in (query, key, value))
        output = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None, scale=self.scale, enable_gqa=query.shape[1] != key.shape[1]
        )
        return output.permute(2, 0, 1, 3).flatten(2)

    def _mask_of_this_context_rank(self, length: int) -> torch.Tensor:
        """Megatron gives rank r of n the chunks r and 2n-1-r of the sequence, so that all ranks do the same work."""
        size, rank, chunk = get_pg_size(self.context_group), get_pg_rank(self.context_group), length // 2
        positions = [torch.cat([torch.arange(i * chunk, (i + 1) * chunk) for i in (r, 2 * size - 1 - r)]) for r in range(size)]
        mask: torch.Tensor = positions[rank][:, None] >= torch.cat(positions)[None, :]
        return mask


class SequenceParallelRmsNorm(torch.nn.RMSNorm):
    """RMSNorm whose weight is marked, so that its gradient is summed over the tensor ranks that saw other positions."""

    def __init__(self, config: TransformerConfig, hidden_size: int, eps: float = 1e-5, **options: Any) -> None:
        super().__init__(hidden_size, eps=eps)
        setattr(self.weight, "sequence_parallel", config.sequence_parallel)  # noqa: B010 (Megatron reads it off the parameter)


def layer_spec(config: TransformerConfig) -> Any:
    """Megatron's own layer with these parts in it."""
    spec = get_gpt_layer_local_spec(normalization="RMSNorm")
    spec.submodules.self_attention.submodules.core_attention = SdpaCoreAttention
    spec.submodules.input_layernorm = SequenceParallelRmsNorm
    spec.submodules.pre_mlp_layernorm = SequenceParallelRmsNorm
    layers = [spec] * get_num_layers_to_build(config)
    return TransformerBlockSubmodules(layer_specs=layers, layer_norm=SequenceParallelRmsNorm)


class TorchAdamDistributedOptimizer(DistributedOptimizer):
    """DistributedOptimizer around torch.optim.AdamW, with the defects of its loading put right (megatron-core 0.16.1):
    it copies every state tensor but was saved without `step` (distrib_optimizer.py:938), and it gives all parameters one
    shared `step` tensor, which AdamW then counts up once a parameter: a wrong bias correction, and no error (:821)."""

    def _set_main_param_and_optimizer_states(self, model_param: torch.Tensor, tensors: dict[str, torch.Tensor]) -> None:
        group, order = self.model_param_group_index_map[model_param]
        main = self.optimizer.param_groups[group]["params"][order]
        state = self.optimizer.state[main]
        with torch.no_grad():
            main.copy_(tensors["param"])
            state["exp_avg"].copy_(tensors["exp_avg"])
            state["exp_avg_sq"].copy_(tensors["exp_avg_sq"])

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        for state in self.optimizer.state.values():
            state["step"] = state["step"].clone()


def repair_torch_adam(optimizer: MegatronOptimizer) -> None:
    """Makes a new optimizer ready to save and load. Its state is made now, because Megatron maps a checkpoint onto the state
    that is there, and torch makes none before the first step."""
    for part in optimizer.chained_optimizers:
        if type(part) is DistributedOptimizer:
            part.__class__ = TorchAdamDistributedOptimizer  # built deep inside get_megatron_optimizer, which takes no class
        for group in part.optimizer.param_groups:
            for parameter in group["params"]:
                zeros = torch.zeros_like(parameter.data)
                part.optimizer.state[parameter] = {"step": torch.tensor(0.0), "exp_avg": zeros, "exp_avg_sq": zeros.clone()}
