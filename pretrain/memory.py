"""What training needs of a GPU's memory, by formulas: of the fullest GPU, at the moment of the loss. No torch: plans use this.

Weights, gradients and optimizer state are exact. Activations are what Transformer Engine's fused layers keep for the backward
pass; temporary buffers, communication and the allocator's waste come on top, so plans leave HEADROOM of the memory to them.
"""

from dataclasses import dataclass, fields

from pretrain.cost import layers_of_a_part, matrices
from recipes.schema import Cluster, Model, Parallelism, TrainParams

GIB = 2**30
HEADROOM = 0.1  # of a GPU's memory: CUDA's and NCCL's own, GEMM workspaces, fragmentation. A choice, not measured


@dataclass(frozen=True)
class Memory:
    """Bytes."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    logits: float

    @property
    def state(self) -> float:
        """What is there at every moment, whatever the batch."""
        return self.weights + self.gradients + self.optimizer

    @property
    def total(self) -> float:
        return self.state + self.activations + self.logits

    def in_gib(self) -> dict[str, float]:
        parts = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: round(size / GIB, 2) for name, size in {**parts, "total": self.total}.items()}


def memory(params: TrainParams, parallelism: Parallelism, data_size: int) -> Memory:
    """Of the pipeline stage that needs most."""
    stages = [_of_stage(params, parallelism, data_size, stage) for stage in range(parallelism.pipeline)]
    return max(stages, key=lambda stage: stage.total)


def fits(need: Memory, cluster: Cluster) -> bool:
    return cluster.gpu_memory_gib is None or need.total <= (1 - HEADROOM) * cluster.gpu_memory_gib * GIB


def check_state_fits(params: TrainParams, parallelism: Parallelism, cluster: Cluster, data_size: int) -> None:
    """ValueError when what is certain (no activation yet) is more than the GPU has."""
    need = memory(params, parallelism, data_size)
    if cluster.gpu_memory_gib is not None and need.state > cluster.gpu_memory_gib * GIB:
        raise ValueError(
            f"weights, gradients and optimizer state need {need.state / GIB:.1f} GiB on each GPU, cluster.gpu_memory_gib is "
            f"{cluster.gpu_memory_gib:g}; raise parallelism.tensor or parallelism.pipeline, or the number of nodes"
        )


def recompute_that_fits(params: TrainParams, parallelism: Parallelism, cluster: Cluster, data_size: int) -> int | None:
    """The smallest `recompute_layers` with which training fits, None if it does with no number."""
    layers = layers_of_a_part(params.model, parallelism)
    for count in range(parallelism.recompute_layers, layers + 1):
        if fits(memory(params, parallelism.model_copy(update={"recompute_layers": count}), data_size), cluster):
            return count
    return None


# ---------------------------------------------------------------------------------------------------- the parts


def _of_stage(params: TrainParams, parallelism: Parallelism, data_size: int, stage: int) -> Memory:
    """A parameter takes 2 bytes as a bf16 weight, 4 as a float32 gradient (grad_reduce_in_fp32), and 12 as the optimizer's
    float32 weight and two moments; the distributed optimizer divides the last over data and context ranks: 6 + 12/d bytes,
    against 18 without it (Megatron-LM, megatron/training/theoretical_memory_usage.py). In fp32 the weight is its own float32
    copy: 8 + 8/d. FP8 keeps two more bytes: the rounded weight and its transpose. An average of the weights takes 4/d more."""
    count = parameters_on(params.model, parallelism, stage)
    shards = data_size * parallelism.context
    weight, moments = {"fp32": (4, 8), "bf16": (2, 12), "fp8": (4, 12)}[params.precision]
    moments += 0 if params.ema_decay is None else 4
    return Memory(
        weights=count * weight,
        gradients=count * 4,
        optimizer=count * moments / shards,
        activations=_activations(params, parallelism, data_size, stage),
        logits=_logits(params, parallelism) if stage == parallelism.pipeline - 1 else 0.0,
    )


def parameters_on(model: Model, parallelism: Parallelism, stage: int) -> int:
    """Of one tensor rank of a pipeline stage: matrices are split over tensor ranks, norms are not. A tied matrix is held by the
    first stage and by the last."""
    tensor, pipeline = parallelism.tensor, parallelism.pipeline
    count = model.num_layers // pipeline * (matrices(model) // tensor + 2 * model.hidden_size)
    vocabulary = model.vocab_size * model.hidden_size // tensor
    is_first, is_last = stage == 0, stage == pipeline - 1
    copies = 1 if is_first and is_last and model.tie_embeddings else is_first + is_last
    return count + copies * vocabulary + (model.hidden_size if is_last else 0)


def layer_activations(model: Model, parallelism: Parallelism, value_bytes: int) -> float:
    """Bytes that one layer keeps for one position: inputs and outputs of both norms (4 h), and on each tensor rank queries, keys
    and values, the attention's output, the gated pair and its product (a + 2g) d + a d + 3 f, and a float32 a head
    (FlashAttention's log-sum-exp; no scores are kept). Korthikanti et al. 2022 (2205.05198), section 4.1 for layers without
    dropout, with grouped queries and SwiGLU; sequence parallelism divides the norms' part too (section 4.2.2, equation 4)."""
    heads, groups, width = model.num_attention_heads, model.num_query_groups, model.head_dim
    split = (heads + 2 * groups) * width + heads * width + 3 * model.ffn_hidden_size
    norms = 4 * model.hidden_size / (parallelism.tensor if parallelism.sequence_parallel else 1)
    return value_bytes * (norms + split / parallelism.tensor) + 4 * heads / parallelism.tensor


def _activations(params: TrainParams, parallelism: Parallelism, data_size: int, stage: int) -> float:
    """A recomputed layer keeps its input alone, but one of them is whole again while its gradient is made (section 5)."""
    value_bytes = _value_bytes(params)
    layers, recomputed = layers_of_a_part(params.model, parallelism), parallelism.recompute_layers
    whole = layer_activations(params.model, parallelism, value_bytes)
    kept = value_bytes * params.model.hidden_size / (parallelism.tensor if parallelism.sequence_parallel else 1)
    chunk = recomputed * kept + (layers - recomputed) * whole
    waiting = _chunks_in_flight(params, parallelism, data_size, stage) * chunk
    return _positions(params, parallelism) * (waiting + (whole if recomputed else 0.0))


def _chunks_in_flight(params: TrainParams, parallelism: Parallelism, data_size: int, stage: int) -> int:
    """Micro-batches of a stage's part of the model that wait for their backward pass. 1F1B: those that fill the stages behind.
    Interleaved: p v + p - 1 parts on the first stage, 1 + (p-1)/(p v) of the model (Korthikanti et al., section 4.2.3)."""
    pipeline, virtual = parallelism.pipeline, parallelism.virtual_pipeline
    num_microbatches = max(1, params.global_batch_size // (parallelism.micro_batch_size * data_size))
    if virtual == 1:
        return min(num_microbatches, pipeline - stage)
    return min(num_microbatches * virtual, 2 * (pipeline - stage - 1) + (virtual - 1) * pipeline + 1)


def _logits(params: TrainParams, parallelism: Parallelism) -> float:
    """Softmax in float32, kept by the loss for its gradient, beside the logits or that gradient in the model's own type
    (megatron/core/fusions/fused_cross_entropy.py), and the final norm's input and output."""
    value_bytes = _value_bytes(params)
    norm = 2 * params.model.hidden_size / (parallelism.tensor if parallelism.sequence_parallel else 1)
    scores = (4 + value_bytes) * params.model.vocab_size / parallelism.tensor
    return _positions(params, parallelism) * (scores + value_bytes * norm)


def _positions(params: TrainParams, parallelism: Parallelism) -> float:
    """Of a micro-batch, on one GPU."""
    return parallelism.micro_batch_size * params.sequence_length / parallelism.context


def _value_bytes(params: TrainParams) -> int:
    """Of an activation. FP8's are counted as bf16: norms and attention keep theirs so."""
    return 4 if params.precision == "fp32" else 2
