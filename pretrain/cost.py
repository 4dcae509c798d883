"""What a model costs: parameters, floating point operations, and the time of a step. No torch: plans use this."""

from recipes.schema import Cluster, Model, Parallelism, TrainParams


def num_parameters(model: Model) -> int:
    """Exact; a tied output matrix is counted once."""
    embeddings = model.vocab_size * model.hidden_size * (1 if model.tie_embeddings else 2)
    return model.num_layers * (matrices(model) + 2 * model.hidden_size) + model.hidden_size + embeddings


def matrices(model: Model) -> int:
    """Weights of a layer that multiply."""
    attention = model.hidden_size * model.head_dim * 2 * (model.num_attention_heads + model.num_query_groups)
    return attention + 3 * model.hidden_size * model.ffn_hidden_size


def flops_per_token(model: Model, sequence_length: int, *, is_causal: bool = True) -> int:
    """Of training (forward and backward): 6 N + 6 L H Q T, for N weights that multiply, L layers, H heads of Q dimensions and T
    tokens in a sequence. The second term is attention's scores and sums over the causal half of a sequence's square, all that
    FlashAttention computes (Dao 2023, arXiv 2307.08691, section 4.1, counts it so). Not causal: over the whole square, 12 L H Q T
    (PaLM, arXiv 2204.02311, appendix B); such an MFU is higher at the same speed."""
    embedding_lookup = 0 if model.tie_embeddings else model.vocab_size * model.hidden_size
    attention = (6 if is_causal else 12) * model.num_layers * model.num_attention_heads * model.head_dim * sequence_length
    return 6 * (num_parameters(model) - embedding_lookup) + attention


def recomputed_flops_per_token(model: Model, sequence_length: int, parallelism: Parallelism) -> int:
    """Of the forward passes that are done twice: 2 for each weight of those layers, and a third of their attention. No part of
    `flops_per_token`, so of no MFU."""
    layers = parallelism.recompute_layers * parallelism.pipeline * parallelism.virtual_pipeline
    return layers * 2 * (matrices(model) + model.num_attention_heads * model.head_dim * sequence_length)


def layers_of_a_part(model: Model, parallelism: Parallelism) -> int:
    """Layers that a process computes one behind the other: a pipeline stage's, or, where stages are interleaved, those of one of
    its parts. What `recompute_layers` counts in."""
    return model.num_layers // (parallelism.pipeline * parallelism.virtual_pipeline)


def step_seconds(
    params: TrainParams, parallelism: Parallelism, cluster: Cluster, data_size: int, *, attended_length: int | None = None
) -> float:
    """Operations / (processes x peak x mfu), and the time that a pipeline stands still: (p - 1) / (m v) of it for m micro-batches
    on p stages of v parts (Narayanan et al. 2021, 2104.04473, sections 2.2.1 and 2.2.2). `attended_length`: T, where documents
    are kept apart (pretrain/attended.py); None: whole sequences.

    Communication is not counted beyond what `cluster.mfu` holds. For gradients and weights between data-parallel ranks that is
    small while they overlap: 8B parameters x 6 bytes over a node's 8 x 50 GB/s are 0.12 s, against 0.35 s of backward pass where
    1024 H100s share 4M tokens."""
    processes = data_size * parallelism.tensor * parallelism.pipeline * parallelism.context
    length = attended_length or params.sequence_length
    operations = flops_per_token(params.model, length) + recomputed_flops_per_token(params.model, length, parallelism)
    busy = operations * params.sequence_length * params.global_batch_size / (processes * cluster.peak_tflops * 1e12 * cluster.mfu)
    num_microbatches = params.global_batch_size // (parallelism.micro_batch_size * data_size)
    return busy * (1 + (parallelism.pipeline - 1) / (num_microbatches * parallelism.virtual_pipeline))
