"""Every layout learns the same from a common checkpoint, and loads what every other has saved."""

import json
import multiprocessing
import os
import socket
import time
from pathlib import Path
from typing import Any

import layouts_process
import pytest
from torch.multiprocessing import start_processes
from world import CLUSTER, MODEL, PARAMS, ROOT, hf_config, make_base

from recipes.schema import Cluster, Model, Parallelism, TrainParams

SHAPE = {**MODEL, "num_layers": 8, "tie_embeddings": False}
LAYOUTS: dict[str, dict[str, Any]] = {
    "data4": {},
    "data4_without_overlap": {"overlap": False},
    "tensor2": {"tensor": 2},
    "tensor2_sequence": {"tensor": 2, "sequence_parallel": True},
    "pipeline2": {"pipeline": 2},
    "pipeline4_virtual2": {"pipeline": 4, "virtual_pipeline": 2},
    "context2": {"context": 2},
    "tensor2_pipeline2": {"tensor": 2, "pipeline": 2, "recompute_layers": 1},
}
BOUND = 2e-6  # float32 sums in another order; measured: at most 9.6e-7


@pytest.fixture(scope="module")
def losses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, list[float]]]:
    root = tmp_path_factory.mktemp("layouts")
    base = make_base(root / "base", Model.model_validate(SHAPE))
    assert json.loads((base / "config.json").read_text()) == hf_config(Model.model_validate(SHAPE))
    folders = {name: root / name for name in LAYOUTS}
    results: dict[str, dict[str, list[float]]] = {name: {} for name in ("common", *LAYOUTS)}
    for name, folder in folders.items():
        results["common"][name] = together(name, {"base": base, "save": folder, "results": root / "results.json"})["common"]
    for name in LAYOUTS:
        for saved, result in together(name, {"load": folders, "results": root / "results.json"}).items():
            results[saved][name] = result
    return results


def together(layout: str, request: dict[str, Any]) -> dict[str, list[float]]:
    """What four new processes make of the request. An error in one of them is raised here, with its traceback."""
    params = TrainParams.model_validate({**PARAMS, "model": SHAPE, "global_batch_size": 8, "validation": {}})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = (port, params, Cluster.model_validate(CLUSTER), Parallelism.model_validate(LAYOUTS[layout]), request)
    multiprocessing.get_context("forkserver").set_forkserver_preload(["preloaded_megatron"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(Path(__file__).parent)]))
        processes = start_processes(layouts_process.run, given, layouts_process.PROCESSES, join=False, start_method="forkserver")
    deadline = time.monotonic() + 150  # 2 to 8 s on two free cores
    while not processes.join(timeout=1):
        if time.monotonic() > deadline:
            for process in processes.processes:
                process.kill()
            raise AssertionError(f"the processes of {layout} do not end")
    results: dict[str, list[float]] = json.loads(request["results"].read_text())
    request["results"].unlink()
    return results


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_learns_what_data_parallelism_does(losses: dict[str, dict[str, list[float]]], layout: str) -> None:
    (loss, norm), (wanted, wanted_norm) = losses["common"][layout], losses["common"]["data4"]
    assert abs(loss - wanted) < BOUND
    assert abs(norm / wanted_norm - 1) < 1e-5


def test_what_does_not_change_the_arithmetic_changes_no_bit(losses: dict[str, dict[str, list[float]]]) -> None:
    common = losses["common"]
    assert common["data4"] == common["data4_without_overlap"]
    assert common["tensor2"][0] == common["tensor2_sequence"][0]


@pytest.mark.parametrize("saved", LAYOUTS)
def test_a_checkpoint_is_loaded_by_every_layout(losses: dict[str, dict[str, list[float]]], saved: str) -> None:
    """The second step depends on weights and on AdamW's moments: it is the same as without a change of layout."""
    wanted, wanted_norm = losses["data4"]["data4"]
    assert losses[saved].keys() == LAYOUTS.keys()
    for loaded, (loss, norm) in losses[saved].items():
        assert abs(loss - wanted) < BOUND, loaded
        assert abs(norm / wanted_norm - 1) < 2e-5, loaded
