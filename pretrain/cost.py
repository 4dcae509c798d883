"""What a model costs: parameters and floating point operations. No torch: plans use this."""

from recipes.schema import Model


def num_parameters(model: Model) -> int:
    """Exact; a tied output matrix is counted once."""
    attention = model.hidden_size * model.head_dim * 2 * (model.num_attention_heads + model.num_query_groups)
    feed_forward = 3 * model.hidden_size * model.ffn_hidden_size
    norms = 2 * model.hidden_size
    embeddings = model.vocab_size * model.hidden_size * (1 if model.tie_embeddings else 2)
    return model.num_layers * (attention + feed_forward + norms) + model.hidden_size + embeddings


def flops_per_token(model: Model, sequence_length: int) -> int:
    """Of training (forward and backward): 6 for each weight that multiplies, and attention's scores and sums over the causal
    half of the sequence (PaLM, appendix B, counts the whole square; FlashAttention does half of it)."""
    embedding_lookup = 0 if model.tie_embeddings else model.vocab_size * model.hidden_size
    attention = 6 * model.num_layers * model.num_attention_heads * model.head_dim * sequence_length
    return 6 * (num_parameters(model) - embedding_lookup) + attention
