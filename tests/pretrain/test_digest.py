"""Digests of a training state."""

from typing import Any

import pytest


@pytest.fixture
def sums(megatron: None) -> Any:
    from pretrain.checkpoint import digest

    return digest._sums


@pytest.mark.parametrize("kind", ["float32", "bfloat16", "int64", "uint8", "float64"])
def test_one_bit_anywhere_changes_the_name(sums: Any, kind: str) -> None:
    import torch

    tensor = (torch.arange(1, 3001) % 117).to(getattr(torch, kind)).reshape(30, 100)
    names = {sums(tensor)}
    flat = tensor.view(-1).view(torch.uint8)
    for place in range(0, flat.numel(), 997):
        flat[place] ^= 1
        names.add(sums(tensor))
        flat[place] ^= 1
    assert len(names) == 1 + len(range(0, flat.numel(), 997))


def test_two_that_change_places_change_the_name(sums: Any) -> None:
    import torch

    tensor = torch.arange(1000.0)
    swapped = tensor.clone()
    swapped[[3, 500]] = tensor[[500, 3]]
    assert sums(tensor) != sums(swapped)


def test_a_view_has_the_name_of_its_values(sums: Any) -> None:
    import torch

    tensor = torch.arange(12.0).reshape(3, 4)
    assert sums(tensor.t()) == sums(tensor.t().contiguous())


def test_states_of_other_layouts_are_not_compared(megatron: None) -> None:
    from pretrain.checkpoint import digest

    one = {"layout": "data 1", "processes": [dict.fromkeys(digest.PARTS, "a")]}
    other = {"layout": "data 2", "processes": [dict.fromkeys(digest.PARTS, "a")] * 2}
    assert digest.compare(one, one) == digest.SAME
    assert digest.compare(one, other) == "not compared: saved by data 1, loaded by data 2"
    assert digest.compare(None, one) == "not compared: the checkpoint has no digest"
    changed = {"layout": "data 1", "processes": [{**one["processes"][0], "next_batch": "b"}]}  # type: ignore[dict-item]
    assert digest.compare(one, changed) == "not same: next_batch of process 0"
