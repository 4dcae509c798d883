"""`midtrain readiness`, from a folder to its card and its page."""

import json
import shutil
from pathlib import Path

import pytest
import readiness_world as world
from click.testing import CliRunner

from recipes.load import load
from slurm.cli import main
from slurm.readiness import ANY, page_of

QUICK = (
    "readiness.samples=2",
    "readiness.max_tokens=8",
    "readiness.columns.question=question",
    "readiness.limit=0",
    *(f"readiness.{part}=null" for part in ("forced", "contamination", "budgets")),
    "readiness.loads=[]",
)


def test_checkpoints_are_put_on_a_page_under_names_of_their_own(tmp_path: Path) -> None:
    page, overrides = page_of(
        ["runs/train/demo/export_short-0123456789ab/hf", "/it's/a mödel", "hf://org/model@main", "/other/model", "seed=5"]
    )
    assert page == ANY
    assert overrides == (
        r"checkpoints={export_short:'runs/train/demo/export_short-0123456789ab/hf',a_m_del:'/it\'s/a mödel',"
        "model:'hf://org/model@main',model_2:'/other/model'}",
        "seed=5",
    )


def test_a_page_is_taken_as_it_is_and_beside_nothing_else() -> None:
    assert page_of(["prove/demo", "readiness.samples=8", "~probe"]) == ("prove/demo", ("readiness.samples=8", "~probe"))
    with pytest.raises(ValueError, match="prove/demo is a page, which names its checkpoints itself; leave /a/model out"):
        page_of(["prove/demo", "/a/model"])
    with pytest.raises(ValueError, match="name a page of recipes/prove or a Hugging Face folder beside seed=5"):
        page_of(["seed=5"])


@pytest.mark.parametrize("path", ["/a/nan", "/a/null", "/a/True", "/a/${b}", "/a\\b", "/a\\${b}", "/it's\\", "/a/${b}\\'"])
def test_a_path_reaches_the_page_as_it_is(path: str) -> None:
    page, overrides = page_of([path])
    assert list(load(page, overrides).checkpoints.values()) == [path]


def test_a_page_without_cards_and_a_folder_without_a_model_are_mistakes(tmp_path: Path) -> None:
    said = CliRunner().invoke(main, ["readiness", "curate/demo_data"])
    assert said.exit_code == 2
    assert "curate/demo_data asks for no readiness card" in said.stderr
    said = CliRunner().invoke(main, ["readiness", str(tmp_path), "readiness=demo", f"root={tmp_path / 'runs'}"])
    assert said.exit_code == 2
    assert "it has no config.json" in said.stderr


def test_a_folder_gets_its_card_and_the_exit_status_tells_of_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = world.tokenizer(tmp_path / "tokenizer")
    model = world.even_model(tmp_path / "my model", tokens, {":": [" so"], " so": [" so"]})
    file = world.problems(tmp_path / "mine.jsonl", *[("so", "7"), ("wait", "8")] * 8)
    monkeypatch.chdir(tmp_path)
    told = [f"readiness.problems={file}", "engine.dtype=float32", *QUICK]
    said = CliRunner().invoke(main, ["readiness", str(model), *told])
    assert said.exit_code == 1, said.output
    assert "stopped" in said.stdout
    (card,) = (tmp_path / "runs/prove/checkpoint").glob("readiness_my_model-*/card.json")
    assert f"card         {card.relative_to(tmp_path)}" in said.stdout
    checks = json.loads(card.read_bytes())["checks"]
    assert checks["truncated"]["figure"]["mean"] == 1
    (report,) = (tmp_path / "runs/prove/checkpoint").glob("report-*/report.html")
    assert f"report       {report.relative_to(tmp_path)}" in said.stdout
    assert 'id="readiness"' in report.read_text()
    lenient = [
        f"readiness.limits.{name}={{concern: null, fail: null}}" for name in ("min_stopped", "max_truncated", "min_entropy")
    ]
    again = CliRunner().invoke(main, ["readiness", str(model), *told, *lenient, "--json"])
    assert again.exit_code == 0, again.output
    found = json.loads(again.stdout)
    assert found["my_model"]["checks"]["truncated"]["verdict"] == "pass"
    assert len(list((tmp_path / "runs/prove/checkpoint").glob("answers_my_model-*"))) == 1


def test_what_is_broken_hides_no_other_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = world.tokenizer(tmp_path / "tokenizer")
    good = world.even_model(tmp_path / "good", tokens, {":": ["7"], "7": ["<|end|>"]})
    damaged, odd = (Path(shutil.copytree(good, tmp_path / name)) for name in ("damaged", "odd"))
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    config = json.loads((odd / "config.json").read_text())
    (odd / "config.json").write_text(json.dumps(config | {"model_type": "of_nobody", "architectures": ["Nobody"]}))
    file = world.problems(tmp_path / "mine.jsonl", ("so", "7"), ("wait", "8"))
    monkeypatch.chdir(tmp_path)
    told = [f"readiness.problems={file}", "engine.dtype=float32", *QUICK]
    said = CliRunner().invoke(main, ["readiness", str(damaged), str(good), str(odd), *told])
    assert said.exit_code == 1, said.output
    assert ["check", "damaged", "good"] in [line.split() for line in said.stdout.splitlines()]
    assert "damaged, files: model.safetensors is damaged" in " ".join(said.stdout.split())
    assert said.stdout.count("card.json") == 2
