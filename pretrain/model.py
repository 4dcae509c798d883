"""A recipe's `Model` as megatron-core's GPTModel: Transformer Engine's layers on CUDA, Megatron's own on the CPU.

Import this module only after `parallel.join`, which prepares torch for machines without CUDA. The vocabulary is never padded:
padding would take part in the softmax and shift the loss.
"""

from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from megatron.core import parallel_state
from megatron.core.distributed import DistributedDataParallel, DistributedDataParallelConfig, finalize_model_grads
from megatron.core.models.gpt.gpt_layer_specs import get_gpt_layer_with_transformer_engine_spec
from megatron.core.models.gpt.gpt_model import GPTModel
from megatron.core.transformer.module import Float16Module
from megatron.core.transformer.transformer_config import TransformerConfig

from recipes.schema import Model, Parallelism

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def build(model: Model, sequence_length: int, precision: str, device: str, parallelism: Parallelism) -> GPTModel:
    """This process' part of the model, with weights not yet set."""
    if device == "cuda" and find_spec("transformer_engine") is None:
        raise ValueError(
            "cluster.device is cuda, but transformer-engine is not installed; install the extra `gpu`, or use a container with it"
        )
    config = transformer_config(model, precision, device, parallelism)
    gpt = GPTModel(
        config,
        _layer_spec(config, device),
        vocab_size=model.vocab_size,
        max_sequence_length=sequence_length,
        pre_process=parallel_state.is_pipeline_first_stage(),
        post_process=parallel_state.is_pipeline_last_stage(),
        parallel_output=True,
        share_embeddings_and_output_weights=model.tie_embeddings,
        position_embedding_type="rope",
        rotary_percent=1.0,
        rotary_base=model.rope_theta,
        # Megatron hard-codes Llama 3's low (1), high (4) and original length (8192); convert.py refuses any other
        rope_scaling=model.rope_scaling_factor is not None,
        rope_scaling_factor=model.rope_scaling_factor or 1.0,
    )
    return gpt.cuda() if device == "cuda" else gpt


def transformer_config(model: Model, precision: str, device: str, parallelism: Parallelism) -> TransformerConfig:
    on_cuda = device == "cuda"
    recompute = parallelism.recompute_layers
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
        # Weights are always loaded. But with tensor parallelism Megatron marks them as split only where it initializes them, and
        # unmarked ones are left out of the gradient's norm on all ranks but the first (measured: a norm 23% too small).
        perform_initialization=on_cuda or parallelism.tensor > 1,
        params_dtype=DTYPES[precision],
        pipeline_dtype=DTYPES[precision],
        bf16=precision == "bf16",
        tensor_model_parallel_size=parallelism.tensor,
        pipeline_model_parallel_size=parallelism.pipeline,
        context_parallel_size=parallelism.context,
        sequence_parallel=parallelism.sequence_parallel,
        recompute_granularity="full" if recompute else None,
        recompute_method="block" if recompute else None,
        recompute_num_layers=recompute or None,
        use_cpu_initialization=not on_cuda,
        bias_activation_fusion=on_cuda,
        bias_dropout_fusion=on_cuda,
        apply_rope_fusion=on_cuda,
        masked_softmax_fusion=False,
        cuda_graph_scope=[],  # its default is deprecated, with a warning
        cross_entropy_loss_fusion=on_cuda,
        gradient_accumulation_fusion=False,  # would need Apex
        persist_layer_norm=False,
        attention_softmax_in_fp32=True,
        calculate_per_token_loss=True,
        # Megatron-LM's own default; without it recomputation fails on the CPU (schedules.py:489)
        deallocate_pipeline_outputs=True,
    )


def wrap(gpt: GPTModel, precision: str, device: str) -> DistributedDataParallel:
    """The model as it is trained: bf16 in and out, gradients in float32 and summed over data-parallel processes."""
    module: Any = Float16Module(gpt.config, gpt) if precision == "bf16" else gpt
    overlap = device == "cuda" and parallel_state.get_data_parallel_world_size(with_context_parallel=True) > 1
    ddp_config = DistributedDataParallelConfig(
        grad_reduce_in_fp32=True, use_distributed_optimizer=True, overlap_grad_reduce=overlap
    )
    wrapped = DistributedDataParallel(gpt.config, ddp_config, module)
    gpt.config.finalize_model_grads_func = finalize_model_grads
    if overlap:
        gpt.config.no_sync_func = wrapped.no_sync
    return wrapped


def _layer_spec(config: TransformerConfig, device: str) -> Any:
    if device == "cuda":
        return get_gpt_layer_with_transformer_engine_spec()
    from pretrain.cpu_parts import layer_spec

    return layer_spec(config)
