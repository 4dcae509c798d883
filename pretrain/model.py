"""A recipe's `Model` as megatron-core's GPTModel, in as many chunks as this process has parts of it (virtual pipeline).

The vocabulary is never padded: padding would take part in the softmax and shift the loss.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from megatron.core import parallel_state
from megatron.core.distributed import DistributedDataParallel, DistributedDataParallelConfig, finalize_model_grads
from megatron.core.models.gpt.gpt_model import GPTModel
from megatron.core.transformer.module import Float16Module
from megatron.core.transformer.transformer_config import TransformerConfig

from pretrain.backend import Backend
from pretrain.cross_entropy import CrossEntropy
from recipes.schema import Model, Parallelism

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp8": torch.bfloat16}


def build(model: Model, sequence_length: int, precision: str, backend: Backend, parallelism: Parallelism) -> list[GPTModel]:
    """This process' parts of the model, with weights not yet set."""
    config = transformer_config(model, precision, backend, parallelism)
    virtual = parallelism.virtual_pipeline
    return [_chunk(model, config, sequence_length, backend, part if virtual > 1 else None) for part in range(virtual)]


def _chunk(model: Model, config: TransformerConfig, sequence_length: int, backend: Backend, part: int | None) -> GPTModel:
    gpt = Llama(
        config,
        backend.layer_spec(config, part),
        vocab_size=model.vocab_size,
        max_sequence_length=sequence_length,
        pre_process=parallel_state.is_pipeline_first_stage(ignore_virtual=False, vp_stage=part),
        post_process=parallel_state.is_pipeline_last_stage(ignore_virtual=False, vp_stage=part),
        parallel_output=True,
        share_embeddings_and_output_weights=model.tie_embeddings,
        position_embedding_type="rope",
        rotary_percent=1.0,
        rotary_base=model.rope_theta,
        # Megatron hard-codes Llama 3's low (1), high (4) and original length (8192); convert.py refuses any other
        rope_scaling=model.rope_scaling_factor is not None,
        rope_scaling_factor=model.rope_scaling_factor or 1.0,
        vp_stage=part,
    )
    placed = backend.place(gpt)
    assert isinstance(placed, GPTModel)
    return placed


class Llama(GPTModel):
    """GPTModel, with a faster loss where Megatron's is not fused and the vocabulary is whole."""

    def compute_language_model_loss(self, labels: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Labels and the loss are (batch, sequence), logits (sequence, batch, vocabulary)."""
        if self.config.cross_entropy_loss_fusion or self.config.tensor_model_parallel_size > 1:
            fused_or_split: torch.Tensor = super().compute_language_model_loss(labels, logits)
            return fused_or_split
        losses: torch.Tensor = CrossEntropy.apply(logits, labels.transpose(0, 1))
        return losses.transpose(0, 1).contiguous()


def transformer_config(model: Model, precision: str, backend: Backend, parallelism: Parallelism) -> TransformerConfig:
    recompute = parallelism.recompute_layers
    fields = {
        # Weights are always loaded. But with tensor parallelism Megatron marks them as split only where it initializes them, and
        # unmarked ones are left out of the gradient's norm on all ranks but the first (measured: a norm 23% too small).
        "perform_initialization": parallelism.tensor > 1,
        **backend.config,
        **backend.precision(precision),
    }
    if precision == "fp32":
        fields["cross_entropy_loss_fusion"] = (
            False  # it rounds the gradient to bf16, whatever the logits are (megatron-core 0.16.1)
        )
    return TransformerConfig(
        num_layers=model.num_layers,
        hidden_size=model.hidden_size,
        ffn_hidden_size=model.ffn_hidden_size,
        num_attention_heads=model.num_attention_heads,
        num_query_groups=model.num_query_groups,
        kv_channels=model.head_dim,
        normalization="RMSNorm",
        layernorm_epsilon=model.norm_eps,
        gated_linear_unit=True,
        activation_func=F.silu,
        add_bias_linear=False,
        attention_dropout=0.0,
        hidden_dropout=0.0,
        init_method_std=model.init_std,
        params_dtype=DTYPES[precision],
        pipeline_dtype=DTYPES[precision],
        bf16=DTYPES[precision] == torch.bfloat16,
        tensor_model_parallel_size=parallelism.tensor,
        pipeline_model_parallel_size=parallelism.pipeline,
        virtual_pipeline_model_parallel_size=parallelism.virtual_pipeline if parallelism.virtual_pipeline > 1 else None,
        context_parallel_size=parallelism.context,
        sequence_parallel=parallelism.sequence_parallel,
        recompute_granularity="full" if recompute else None,
        recompute_method="block" if recompute else None,
        recompute_num_layers=recompute or None,
        calculate_per_token_loss=True,
        # Megatron-LM's own default; without it recomputation fails on the CPU (schedules.py:489)
        deallocate_pipeline_outputs=True,
        **fields,
    )


def wrap(chunks: list[GPTModel], overlap: bool) -> list[DistributedDataParallel]:
    """The model as it is trained: bf16 in and out, gradients in float32 and summed over data-parallel processes."""
    config = chunks[0].config
    # with interleaved pipeline stages overlap was never run over several data-parallel processes
    overlap = overlap and len(chunks) == 1 and parallel_state.get_data_parallel_world_size(with_context_parallel=True) > 1
    settings = DistributedDataParallelConfig(
        grad_reduce_in_fp32=True, use_distributed_optimizer=True, overlap_grad_reduce=overlap, overlap_param_gather=overlap
    )
    wrapped = [
        DistributedDataParallel(config, settings, module, disable_bucketing=number > 0)
        for number, module in enumerate(in_its_precision(chunks))
    ]
    config.finalize_model_grads_func = finalize_model_grads
    if overlap:
        config.no_sync_func = _one_or_all([chunk.no_sync for chunk in wrapped])
        config.param_sync_func = _one_or_all([chunk.start_param_sync for chunk in wrapped])
    return wrapped


def in_its_precision(chunks: list[GPTModel]) -> list[Any]:
    """The model as it computes, without what training adds: bf16 within, float32 out."""
    config = chunks[0].config
    return [Float16Module(config, chunk) if config.bf16 else chunk for chunk in chunks]


@contextlib.contextmanager
def whole_weights(wrapped: list[DistributedDataParallel]) -> Iterator[None]:
    """Weights travel while the next step computes; what reads them otherwise (validation, a checkpoint) waits here."""
    overlapping = [chunk for chunk in wrapped if chunk.ddp_config.overlap_param_gather]
    for chunk in overlapping:
        chunk.disable_forward_pre_hook()
    try:
        yield
    finally:
        for chunk in overlapping:
            chunk.enable_forward_pre_hook()


def _one_or_all(functions: list[Any]) -> Any:
    """Megatron's schedules take a function, or a list of them where there are several chunks."""
    return functions[0] if len(functions) == 1 else functions
