"""The calls that differ between megatron-core's releases: what the installed one wants is what it is given."""

import inspect
from pathlib import Path
from typing import Any

import pytest


def test_the_installed_signatures_are_known(megatron: None) -> None:
    from megatron.core import dist_checkpointing
    from megatron.core.utils import get_batch_on_this_cp_rank

    from pretrain import drift

    required = {
        name
        for name, parameter in inspect.signature(get_batch_on_this_cp_rank).parameters.items()
        if parameter.default is inspect.Parameter.empty
    }
    assert required <= {"batch", "is_hybrid_cp"}
    assert "cp_group" in drift.parameters(get_batch_on_this_cp_rank)
    assert {"async_sharded_save", "content_metadata"} <= drift.parameters(dist_checkpointing.save)


@pytest.mark.parametrize("is_new", [False, True])
def test_what_a_newer_release_asks_for_is_given_to_it(megatron: None, monkeypatch: pytest.MonkeyPatch, is_new: bool) -> None:
    """0.19 takes `is_hybrid_cp` for batches and `async_strategy` for checkpoints; 0.16 knows neither."""
    from pretrain import drift

    given: dict[str, dict[str, Any]] = {}

    def old_batch(batch: Any, cp_group: Any = None) -> Any:
        given["batch"] = {"cp_group": cp_group}

    def new_batch(batch: Any, is_hybrid_cp: bool, cp_group: Any = None) -> Any:
        given["batch"] = {"cp_group": cp_group, "is_hybrid_cp": is_hybrid_cp}

    def old_save(state: Any, folder: str, strategy: Any, async_sharded_save: bool, content_metadata: Any) -> str:
        return "request"

    def new_save(
        state: Any, folder: str, strategy: Any, async_sharded_save: bool, content_metadata: Any, async_strategy: str = "nvrx"
    ) -> str:
        given["save"] = {"async_strategy": async_strategy}
        return "request"

    monkeypatch.setattr(drift, "get_batch_on_this_cp_rank", new_batch if is_new else old_batch)
    monkeypatch.setattr(drift.dist_checkpointing, "save", new_save if is_new else old_save)
    drift.split_over_context({})
    drift.begin_saving({}, Path("checkpoint"), object(), {})  # type: ignore[arg-type]
    assert given["batch"]["cp_group"] is not None
    if is_new:
        assert given["batch"]["is_hybrid_cp"] is False
        assert given["save"] == {"async_strategy": "mcore"}
