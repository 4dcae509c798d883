"""The memory that plans foretell, against real models and optimizers, and against what Megatron-LM and the papers count."""

from typing import Any

import pytest
from world import CLUSTER, MODEL, PARAMS

from pretrain.cost import num_parameters
from pretrain.memory import check_state_fits, fits, layer_activations, memory, parameters_on, recompute_that_fits
from recipes.schema import Cluster, Model, Optimizer, Parallelism, TrainParams

# megatron-core's own calls of what it deprecates
pytestmark = pytest.mark.filterwarnings("ignore:MLP requires:DeprecationWarning", "ignore:.*tp_group is None:DeprecationWarning")
LLAMA_8B = {
    "num_layers": 32, "hidden_size": 4096, "ffn_hidden_size": 14336, "num_attention_heads": 32, "num_query_groups": 8,
    "head_dim": 128, "vocab_size": 128256, "max_position_embeddings": 131072, "rope_theta": 500000.0, "tie_embeddings": False,
}  # fmt: skip
H100 = {**CLUSTER, "device": "cuda", "gpu_memory_gib": 79.6}


def params(model: dict[str, Any] = LLAMA_8B, **changes: Any) -> TrainParams:
    settings = {"model": model, "sequence_length": 8192, "global_batch_size": 512, "precision": "bf16"}
    return TrainParams.model_validate({**PARAMS, **settings, **changes})


# ---------------------------------------------------------------------------------------------------- real models


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_weights_gradients_and_optimizer_take_what_real_ones_take(megatron: None, precision: str, tied: bool) -> None:
    from pretrain import optim
    from pretrain.backend import choose
    from pretrain.model import build, wrap

    model = {**MODEL, "tie_embeddings": tied}
    chunks = build(Model.model_validate(model), 32, precision, choose("cpu"), Parallelism())
    wrapped = wrap(chunks, False)
    optimizer = optim.build(wrapped, Optimizer(), choose("cpu"))
    weights = {p.untyped_storage().data_ptr(): p.untyped_storage() for chunk in chunks for p in chunk.parameters()}
    own, moments = 0, 0  # what the optimizer holds beside the model's weights
    for part in optimizer.chained_optimizers:
        for group in part.optimizer.param_groups:
            own += sum(p.numel() * 4 for p in group["params"] if p.untyped_storage().data_ptr() not in weights)
        for state in part.optimizer.state.values():
            moments += 4 * (state["exp_avg"].numel() + state["exp_avg_sq"].numel())
    gradients = sum(buffer.grad_data.numel() * buffer.grad_data.element_size() for buffer in wrapped[0].buffers)

    foretold = memory(params(model, precision=precision), Parallelism(), data_size=1)
    assert sum(p.numel() * p.element_size() for chunk in chunks for p in chunk.parameters()) == foretold.weights
    assert own + moments == foretold.optimizer
    assert foretold.gradients <= gradients < 1.02 * foretold.gradients  # Megatron aligns each parameter in its buffer


def saved_bytes(num_layers: int, recompute: int = 0) -> int:
    """What autograd keeps of a real forward pass of 64 positions, without the weights."""
    import torch

    from pretrain.backend import choose
    from pretrain.model import build

    model = Model.model_validate({**WIDE, "num_layers": num_layers})
    (gpt,) = build(model, 64, "fp32", choose("cpu"), Parallelism(recompute_layers=recompute))
    weights = {p.untyped_storage().data_ptr() for p in gpt.parameters()}
    kept: dict[int, Any] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage  # held, so that no other takes its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        tokens = torch.arange(64)[None]
        gpt(tokens, tokens, None, labels=tokens)
    return sum(storage.nbytes() for storage in kept.values())


WIDE = {**MODEL, "hidden_size": 64, "ffn_hidden_size": 224, "num_attention_heads": 8, "num_query_groups": 2, "head_dim": 8}


def test_a_layer_keeps_what_the_formula_says_and_what_unfused_parts_keep_twice(megatron: None) -> None:
    """On the CPU norms, SwiGLU and RoPE are not fused. What that costs is counted here, and the rest is the formula exactly."""
    model = Model.model_validate(WIDE)
    swiglu = 2 * model.ffn_hidden_size  # silu of the gate, and both halves once more
    norms = 2 * (model.hidden_size + 1)  # the normalized input before its weight, and the scale
    rope = 4 * model.head_dim  # cosines and sines
    values = (model.num_attention_heads + model.num_query_groups) * model.head_dim  # values are a view of all of QKV
    unfused = 4 * (swiglu + norms + rope + values)
    assert (saved_bytes(3) - saved_bytes(2)) / 64 == layer_activations(model, Parallelism(), 4) + unfused
    assert (saved_bytes(3, recompute=1) - saved_bytes(3, recompute=2)) / 64 == (
        layer_activations(model, Parallelism(), 4) + unfused - 4 * model.hidden_size
    )


# ---------------------------------------------------------------------------------------------------- published counts


def test_a_layer_keeps_the_34_sbh_of_the_paper_without_its_dropout_masks() -> None:
    """2205.05198, equation 2 with FlashAttention, for as many query groups as heads. SwiGLU of 8h/3 keeps the 8h that GELU of 4h
    keeps; log-sum-exp is 4 bytes a head."""
    model = Model.model_validate({**LLAMA_8B, "num_query_groups": 32, "ffn_hidden_size": 3 * 4096, "head_dim": 128})
    gelu_like = layer_activations(model, Parallelism(), 2) - 2 * 3 * 3 * 4096 + 2 * 8 * 4096 - 4 * 32
    assert gelu_like == (34 - 2) * 4096


def test_sequence_parallelism_divides_all_of_a_layer() -> None:
    model = Model.model_validate(LLAMA_8B)
    whole, tensor = layer_activations(model, Parallelism(), 2), layer_activations(model, Parallelism(tensor=4), 2)
    split = layer_activations(model, Parallelism(tensor=4, sequence_parallel=True), 2)
    assert split == whole / 4
    assert tensor - split == 2 * 4 * 4096 * 3 / 4


@pytest.mark.parametrize(("tensor", "pipeline"), [(1, 1), (2, 1), (1, 4), (4, 2)])
def test_the_first_stage_has_the_parameters_that_megatron_lm_counts(tensor: int, pipeline: int) -> None:
    """megatron/training/theoretical_memory_usage.py, num_parameters_on_most_loaded_model_shard: it divides the norms too, and
    gives every stage its part of the final one."""
    layer = 2 * 4096 * (14336 * 3 / 2 + 1) + 2 * 4096 * 4096 * (1 + 8 / 32)
    embedding = 4096 * 128256
    shard = ((32 * layer + 4096) / pipeline + embedding * (2 if pipeline == 1 else 1)) / tensor
    counted = parameters_on(Model.model_validate(LLAMA_8B), Parallelism(tensor=tensor, pipeline=pipeline), 0)
    assert counted == pytest.approx(shard, rel=2e-4)


@pytest.mark.parametrize("tied", [True, False])
def test_stages_together_have_all_parameters_and_a_tied_matrix_twice(tied: bool) -> None:
    model = Model.model_validate({**LLAMA_8B, "tie_embeddings": tied})
    for pipeline in (1, 2, 8):
        together = sum(parameters_on(model, Parallelism(pipeline=pipeline), stage) for stage in range(pipeline))
        assert together == num_parameters(model) + (tied and pipeline > 1) * 4096 * 128256


def test_the_distributed_optimizer_takes_18_bytes_alone_and_6_among_many() -> None:
    count = num_parameters(Model.model_validate(LLAMA_8B))
    assert memory(params(), Parallelism(), 1).state == 18 * count
    assert memory(params(), Parallelism(context=2), 64).state == (6 + 12 / 128) * count
    assert memory(params(precision="fp32"), Parallelism(), 4).state == (8 + 8 / 4) * count


# ---------------------------------------------------------------------------------------------------- choices


def test_a_pipelines_first_stage_waits_for_all_behind_it_and_interleaving_costs_more() -> None:
    """2205.05198, section 4.2.3: p micro-batches of L/p layers, times 1 + (p-1)/(p v) where stages are interleaved."""
    alone = memory(params(), Parallelism(), 1).activations
    assert memory(params(), Parallelism(pipeline=4), 1).activations == alone
    interleaved = memory(params(), Parallelism(pipeline=4, virtual_pipeline=2), 1).activations
    assert interleaved == pytest.approx(alone * (1 + 3 / 8))
    few = memory(params(global_batch_size=2), Parallelism(pipeline=4), 1)
    assert few.activations == alone * 2 / 4


def test_context_parallelism_divides_positions() -> None:
    one, two = memory(params(), Parallelism(), 8), memory(params(), Parallelism(context=2), 4)
    assert two.activations == one.activations / 2
    assert two.logits == one.logits / 2
    assert two.state == one.state


def test_recomputed_layers_keep_their_input_alone_and_one_is_whole_again() -> None:
    none, all_but_one, all_layers = (
        memory(params(), Parallelism(recompute_layers=count), 8).activations for count in (0, 31, 32)
    )
    layer = none / 32
    kept = 2 * 4096 * 8192
    assert all_but_one == pytest.approx(31 * kept + 2 * layer)
    assert all_layers == pytest.approx(32 * kept + layer)


def test_a_layout_that_does_not_fit_is_told_and_the_recomputation_that_makes_it_fit() -> None:
    """Llama-3.1-8B at 8,192 tokens on 8 H100s, two context ranks: 60 GB of state, 20 of activations and logits."""
    cluster, layout = Cluster.model_validate(H100), Parallelism(context=2)
    need = memory(params(), layout, 4)
    assert need.in_gib() == pytest.approx(
        {"weights": 14.96, "gradients": 29.92, "optimizer": 11.22, "activations": 17.02, "logits": 3.0, "total": 76.11}, abs=0.02
    )
    assert not fits(need, cluster)
    layers = recompute_that_fits(params(), layout, cluster, 4)
    assert layers == 10
    assert fits(memory(params(), Parallelism(context=2, recompute_layers=10), 4), cluster)
    assert not fits(memory(params(), Parallelism(context=2, recompute_layers=9), 4), cluster)
    assert fits(memory(params(), layout, 64), cluster)
    assert recompute_that_fits(params(), layout, cluster, 1) is None
    check_state_fits(params(), layout, cluster, 4)


def test_what_can_never_fit_is_an_error_that_names_the_way_out() -> None:
    cluster = Cluster.model_validate(H100)
    with pytest.raises(ValueError, match=r"need 134.6 GiB on each GPU, cluster.gpu_memory_gib is 79.6; raise parallelism.tensor"):
        check_state_fits(params(), Parallelism(), cluster, 1)
    check_state_fits(params(), Parallelism(), cluster.model_copy(update={"gpu_memory_gib": None}), 1)


def test_fp8_keeps_a_rounded_weight_and_its_transpose() -> None:
    more = memory(params(precision="fp8"), Parallelism(), 8).total - memory(params(), Parallelism(), 8).total
    assert more == 2 * num_parameters(Model.model_validate(LLAMA_8B))
