"""What models cost, against published figures."""

import pytest
from world import CLUSTER, MODEL, PARAMS

from pretrain.cost import flops_per_token, num_parameters, recomputed_flops_per_token, step_seconds
from recipes.schema import Cluster, Model, Parallelism, TrainParams

LLAMA = {"num_query_groups": 8, "vocab_size": 128256, "max_position_embeddings": 131072, "rope_theta": 500000.0}
SIZES = {  # layers, hidden, ffn, heads, head_dim, tied
    1_235_814_400: (16, 2048, 8192, 32, 64, True),
    3_212_749_824: (28, 3072, 8192, 24, 128, True),
    8_030_261_248: (32, 4096, 14336, 32, 128, False),
}
NAMES = ("num_layers", "hidden_size", "ffn_hidden_size", "num_attention_heads", "head_dim", "tie_embeddings")


@pytest.mark.parametrize("parameters", SIZES)
def test_llamas_have_their_published_number_of_parameters(parameters: int) -> None:
    assert num_parameters(Model.model_validate({**LLAMA, **dict(zip(NAMES, SIZES[parameters], strict=True))})) == parameters


def test_a_token_costs_six_operations_a_weight_and_attention() -> None:
    model = Model.model_validate(MODEL)
    no_attention = flops_per_token(model, 1) - 6 * 2 * 4 * 8
    assert no_attention == 6 * num_parameters(model)
    assert flops_per_token(model, 1000) - flops_per_token(model, 0) == 6 * 2 * 32 * 1000


def test_looking_up_an_untied_embedding_is_free() -> None:
    tied, untied = (Model.model_validate({**MODEL, "tie_embeddings": tie}) for tie in (True, False))
    assert flops_per_token(tied, 32) == flops_per_token(untied, 32)
    assert num_parameters(untied) - num_parameters(tied) == 256 * 32


# ---------------------------------------------------------------------------------------------------- time

PAGE = TrainParams.model_validate({**PARAMS, "global_batch_size": 64})
DEVICE = Cluster.model_validate(CLUSTER)


def seconds(data_size: int = 1, **layout: int) -> float:
    return step_seconds(PAGE, Parallelism(**layout), DEVICE, data_size)  # type: ignore[arg-type]


def test_a_step_takes_its_operations_at_the_share_of_the_peak_that_plans_count_with() -> None:
    operations = 64 * 32 * flops_per_token(PAGE.model, 32)
    assert seconds() == pytest.approx(operations / (0.1e12 * 0.3))
    assert seconds(data_size=8) == pytest.approx(seconds() / 8)
    assert seconds(tensor=2, context=2) == pytest.approx(seconds() / 4)


def test_a_pipeline_stands_still_while_it_fills_and_empties() -> None:
    """(p - 1) / (m v), Narayanan et al. 2021."""
    assert seconds(pipeline=4) == pytest.approx(seconds() / 4 * (1 + 3 / 64))
    assert seconds(pipeline=4, virtual_pipeline=2) == pytest.approx(seconds() / 4 * (1 + 3 / 128))
    assert seconds(pipeline=4, data_size=16) == pytest.approx(seconds() / 64 * (1 + 3 / 4))


def test_recomputing_every_layer_is_their_forward_pass_again() -> None:
    """A third of what training costs, without the embedding, the head and the norms, which are not done again."""
    model = PAGE.model
    again = recomputed_flops_per_token(model, 32, Parallelism(recompute_layers=2))
    norms = 2 * 2 * 32 + 32
    assert again == (flops_per_token(model, 32) - 6 * (256 * 32 + norms)) / 3
    assert recomputed_flops_per_token(model, 32, Parallelism(pipeline=2, recompute_layers=1)) == again
    assert recomputed_flops_per_token(model, 32, Parallelism(recompute_layers=1)) == again / 2
    assert seconds(recompute_layers=2) == pytest.approx(seconds() * (1 + again / flops_per_token(model, 32)))
