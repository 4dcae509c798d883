"""Every page loads, fits on a screen, and plans as its golden file says.

Renew the golden files with: UPDATE_GOLDEN=1 pytest tests/test_pages.py
"""

import json
import os
from pathlib import Path

import pytest

from recipes.load import RECIPES, load, pages
from recipes.schema import TrainRecipe
from slurm.describe import describe_plan
from slurm.plan import plan

GOLDEN = Path(__file__).parent / "golden"
MODELS = {"1b": 1_235_814_400, "3b": 3_212_749_824, "8b": 8_030_261_248}


@pytest.fixture(autouse=True)
def nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans must not depend on what lies on this machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    monkeypatch.delenv("MIDTRAIN_BENCHMARKS", raising=False)


def test_every_page_fits_on_a_screen() -> None:
    sheets = sorted(RECIPES.rglob("*.yaml"))
    assert len(sheets) > 30
    for sheet in sheets:
        limit = {"curate": 60, "train": 60, "sweep": 30, "evaluation": 30}.get(sheet.parent.name, 20)
        assert len(sheet.read_text().splitlines()) <= limit, sheet


@pytest.mark.parametrize("page", pages())
def test_every_page_plans_as_its_golden_file_says(page: str) -> None:
    record = describe_plan(plan(page))
    del record["root"]
    record["stages"] = [{k: v for k, v in row.items() if v not in (None, {})} for row in record["stages"]]
    golden = GOLDEN / f"{page.replace('/', '_')}.json"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(json.dumps(record, indent=1) + "\n")
    assert record == json.loads(golden.read_text())


@pytest.mark.parametrize("size", MODELS)
def test_octothinker_pages_agree_with_the_paper(size: str) -> None:
    recipe = load(f"train/octothinker_{size}")
    assert isinstance(recipe, TrainRecipe)
    rate = {"1b": 5e-5, "3b": 2e-5, "8b": 1e-5}[size]
    stable, decay = recipe.trainings["stable"], recipe.trainings["decay"]
    assert recipe.tokens_per_step * stable.steps == 8192 * 512 * 50_000 == 209_715_200_000
    assert recipe.tokens_per_step * decay.steps == 20_971_520_000
    assert (stable.lr.schedule, stable.lr.peak, stable.lr.warmup_steps) == ("constant", rate, 0)
    assert (decay.lr.schedule, decay.lr.peak, decay.lr.end) == ("cosine", rate, pytest.approx(rate / 10))
    assert stable.blend is not None
    assert stable.blend["megamath_web_pro_max"] == 0.725
    for branch in ("short", "long", "hybrid"):
        blend = recipe.branches[branch].blend
        web = ("dclm_baseline", "instruction_following", "megamath_web_pro")
        assert sum(share for name, share in blend.items() if name not in web) == pytest.approx(0.30)
        assert blend["megamath_web_pro"] == 0.55


@pytest.mark.parametrize(("size", "parameters"), MODELS.items())
def test_octothinker_models_have_the_size_of_llama(size: str, parameters: int) -> None:
    rows = describe_plan(plan(f"train/octothinker_{size}"))["stages"]
    assert {row["parameters"] for row in rows if row["do"] == "train"} == {parameters}
