"""Every layout learns the same from a common checkpoint, and loads what every other has saved."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from world import MODEL, PARAMS, ROOT, hf_config, make_base

from recipes.schema import Model

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
    params = {**PARAMS, "model": SHAPE, "global_batch_size": 8, "validation": {}}
    request = {"layouts": LAYOUTS, "params": params, "base": str(base), "root": str(root)}
    script = Path(__file__).with_name("layouts_process.py")
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=4",
        str(script),
        json.dumps(request),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr[-4000:]
    results: dict[str, dict[str, list[float]]] = json.loads(done.stdout.strip().splitlines()[-1])
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
    for loaded, (loss, norm) in losses[saved].items():
        assert abs(loss - wanted) < BOUND, loaded
        assert abs(norm / wanted_norm - 1) < 2e-5, loaded
