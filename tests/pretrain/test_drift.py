"""The call that differs between megatron-core's releases: what the installed one wants is what it is given."""

import inspect
from typing import Any

import pytest


def test_the_installed_signatures_are_known(megatron: None) -> None:
    from megatron.core.utils import get_batch_on_this_cp_rank

    from pretrain import drift

    required = {
        name
        for name, parameter in inspect.signature(get_batch_on_this_cp_rank).parameters.items()
        if parameter.default is inspect.Parameter.empty
    }
    assert required <= {"batch", "is_hybrid_cp"}
    assert "cp_group" in drift.parameters(get_batch_on_this_cp_rank)


@pytest.mark.parametrize("is_new", [False, True])
def test_what_a_newer_release_asks_for_is_given_to_it(megatron: None, monkeypatch: pytest.MonkeyPatch, is_new: bool) -> None:
    """0.19 takes `is_hybrid_cp`, which 0.16 does not know."""
    from pretrain import drift

    given: dict[str, Any] = {}

    def old_batch(batch: Any, cp_group: Any = None) -> Any:
        given["cp_group"] = cp_group

    def new_batch(batch: Any, is_hybrid_cp: bool, cp_group: Any = None) -> Any:
        given.update(cp_group=cp_group, is_hybrid_cp=is_hybrid_cp)

    monkeypatch.setattr(drift, "get_batch_on_this_cp_rank", new_batch if is_new else old_batch)
    drift.split_over_context({})
    assert given.pop("cp_group") is not None
    assert given == ({"is_hybrid_cp": False} if is_new else {})
