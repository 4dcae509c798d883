"""What models cost, against published figures."""

import pytest
from world import MODEL

from pretrain.cost import flops_per_token, num_parameters
from recipes.schema import Model

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
