"""What a number from 0 to 1 draws from logits."""

import math

import pytest

from pretrain.generation.engine import Sampling

LOGITS = (0.0, 2.0, 1.0, -1.0)


def drawn(number: int, sampling: Sampling, forbidden: tuple[int, ...] = ()) -> list[int]:
    """Tokens of so many numbers that lie evenly between 0 and 1."""
    import torch

    from pretrain.generation.draw import draw

    rows = torch.tensor([LOGITS] * number)
    uniforms = [(place + 0.5) / number for place in range(number)]
    return draw(rows, uniforms, [forbidden] * number, sampling)[0]


def shares(temperature: float, tokens: tuple[int, ...] = (0, 1, 2, 3)) -> dict[int, float]:
    weights = {token: math.exp(LOGITS[token] / temperature) for token in tokens}
    return {token: weight / sum(weights.values()) for token, weight in weights.items()}


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_by_their_shares(temperature: float) -> None:
    tokens = drawn(1000, Sampling(1, temperature))
    for token, share in shares(temperature).items():
        assert tokens.count(token) / 1000 == pytest.approx(share, abs=1.1e-3)


def test_top_p_leaves_the_likeliest_that_make_it_up() -> None:
    """The shares are 64, 24, 9 and 3 %: 0.7 needs two of them, 0.6 one, and 0 leaves one too."""
    tokens = drawn(1000, Sampling(1, 1.0, 0.7))
    assert set(tokens) == {1, 2}
    assert tokens.count(1) / 1000 == pytest.approx(shares(1.0, (1, 2))[1], abs=1.1e-3)
    assert set(drawn(50, Sampling(1, 1.0, 0.6))) == {1}
    assert set(drawn(50, Sampling(1, 1.0, 0.0))) == {1}


def test_a_forbidden_token_is_never_drawn() -> None:
    assert set(drawn(200, Sampling(1, 1.0), forbidden=(1, 3))) == {0, 2}
    assert set(drawn(3, Sampling(1), forbidden=(1,))) == {2}


def test_greedy_takes_the_likeliest_whatever_the_number() -> None:
    assert set(drawn(20, Sampling(1))) == {1}
