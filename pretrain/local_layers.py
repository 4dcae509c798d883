"""Stand-ins for what Transformer Engine brings: attention, a norm that knows sequence parallelism, whole matrices. They are
plugged in where megatron-core asks for a class.

Measured against Hugging Face's Llama: logits equal bit for bit in float32 at 512 and 4096 positions.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_local_spec
from megatron.core.packed_seq_params import PackedSeqParams
from megatron.core.tensor_parallel.layers import ColumnParallelLinear, RowParallelLinear
from megatron.core.tensor_parallel.mappings import gather_from_sequence_parallel_region
from megatron.core.transformer.module import MegatronModule
from megatron.core.transformer.transformer_block import TransformerBlockSubmodules, get_num_layers_to_build
from megatron.core.transformer.transformer_config import TransformerConfig
from megatron.core.utils import get_pg_rank, get_pg_size


class SdpaCoreAttention(MegatronModule):
    """Causal attention by torch's scaled_dot_product_attention: grouped queries without repeated keys, documents apart, and
    context parallelism, which Megatron's own CPU attention has not."""

    def __init__(
        self, config: TransformerConfig, layer_number: int, attn_mask_type: Any, attention_type: str, **options: Any
    ) -> None:
        super().__init__(config)
        if config.attention_dropout:
            raise ValueError("the local attention has no dropout; Llama has none either")
        self.scale = options.get("softmax_scale") or 1.0 / math.sqrt(config.kv_channels)
        self.context_group = getattr(options.get("pg_collection"), "cp", None)

    def forward(
        self,
        query: torch.Tensor,  # (sequence, batch, heads, head_dim)
        key: torch.Tensor,  # (sequence, batch, query groups, head_dim)
        value: torch.Tensor,
        attention_mask: torch.Tensor | None,
        packed_seq_params: PackedSeqParams | None = None,
        **options: Any,
    ) -> torch.Tensor:  # (sequence, batch, heads * head_dim)
        if packed_seq_params is not None:
            return self._within_documents(query, key, value, packed_seq_params)
        mask = None
        if self.context_group is not None and get_pg_size(self.context_group) > 1:
            mask = self._mask_of_this_context_rank(query.shape[0], query.device)
            key = gather_from_sequence_parallel_region(key.contiguous(), group=self.context_group)
            value = gather_from_sequence_parallel_region(value.contiguous(), group=self.context_group)
        return self._attention(query, key, value, mask)

    def _within_documents(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, packed: PackedSeqParams
    ) -> torch.Tensor:
        """One document after the other: (tokens, heads, head_dim) to (tokens, 1, heads * head_dim)."""
        assert packed.cu_seqlens_q is not None
        lengths = packed.cu_seqlens_q.diff().tolist()
        documents = zip(*(tensor.unsqueeze(1).split(lengths) for tensor in (query, key, value)), strict=True)
        return torch.cat([self._attention(*document) for document in documents])

    def _attention(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        query, key, value = (tensor.permute(1, 2, 0, 3) for tensor in (query, key, value))
        output = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, is_causal=mask is None, scale=self.scale, enable_gqa=query.shape[1] != key.shape[1]
        )
        return output.permute(2, 0, 1, 3).flatten(2)

    def _mask_of_this_context_rank(self, length: int, device: torch.device) -> torch.Tensor:
        """Megatron gives rank r of n the chunks r and 2n-1-r of the sequence, so that all ranks do the same work."""
        size, rank, chunk = get_pg_size(self.context_group), get_pg_rank(self.context_group), length // 2
        positions = [torch.cat([torch.arange(i * chunk, (i + 1) * chunk) for i in (r, 2 * size - 1 - r)]) for r in range(size)]
        mask: torch.Tensor = positions[rank][:, None] >= torch.cat(positions)[None, :]
        return mask.to(device)


class SequenceParallelRmsNorm(torch.nn.RMSNorm):
    """RMSNorm whose weight is marked, so that its gradient is summed over the tensor ranks that saw other positions."""

    def __init__(self, config: TransformerConfig, hidden_size: int, eps: float = 1e-5, **options: Any) -> None:
        super().__init__(hidden_size, eps=eps)
        setattr(self.weight, "sequence_parallel", config.sequence_parallel)  # noqa: B010 (Megatron reads it off the parameter)


class ColumnLinear(ColumnParallelLinear):
    """A whole matrix is torch's own linear: Megatron's autograd function in Python takes 2% of a step on a CPU."""

    def forward(self, input_: torch.Tensor, *arguments: Any, **options: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
        if self.config.tensor_model_parallel_size > 1 or arguments or options:
            split: tuple[torch.Tensor, torch.Tensor | None] = super().forward(input_, *arguments, **options)
            return split
        return F.linear(input_, self.weight), None


class RowLinear(RowParallelLinear):
    """As `ColumnLinear`."""

    def forward(self, input_: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        if self.config.tensor_model_parallel_size > 1:
            split: tuple[torch.Tensor, torch.Tensor | None] = super().forward(input_)
            return split
        return F.linear(input_, self.weight), None


def layer_spec(config: TransformerConfig, virtual_stage: int | None) -> Any:
    """Megatron's own layer with these parts in it."""
    spec = get_gpt_layer_local_spec(normalization="RMSNorm")
    attention, feed_forward = spec.submodules.self_attention.submodules, spec.submodules.mlp.submodules
    attention.core_attention = SdpaCoreAttention
    attention.linear_qkv, attention.linear_proj = ColumnLinear, RowLinear
    feed_forward.linear_fc1, feed_forward.linear_fc2 = ColumnLinear, RowLinear
    spec.submodules.input_layernorm = SequenceParallelRmsNorm
    spec.submodules.pre_mlp_layernorm = SequenceParallelRmsNorm
    layers = [spec] * get_num_layers_to_build(config, virtual_stage)
    return TransformerBlockSubmodules(layer_specs=layers, layer_norm=SequenceParallelRmsNorm)
