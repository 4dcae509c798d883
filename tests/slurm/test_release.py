"""What lies in a bundle, and what its card tells."""

import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest
from release_world import BRANCH, change, planned, root_of, stage_of

from recipes.report.figures import share
from slurm.plan import Plan
from slurm.release.make import release


def make(found: Plan, to: Path, **more: Any) -> Path:
    return release(found, BRANCH, to, **more)[0]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_bundle_holds_the_model_its_card_and_the_record_of_every_stage_on_the_way(found: Plan, tmp_path: Path) -> None:
    made = files(make(found, tmp_path / "bundle"))
    assert made["model.safetensors"] == (stage_of(found, "export_short").folder / "hf/model.safetensors").read_bytes()
    top = {name for name in made if "/" not in name}
    assert top == {
        "README.md", "SEAL", "SHA256SUMS", "config.json", "generation_config.json", "model.safetensors", "release.json",
        "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    assert {name for name in made if name.startswith("certificates/")} == {
        "certificates/parity.json",
        "certificates/resume/stable.json",
        "certificates/resume/decay_short.json",
        *(f"certificates/contamination/demo_{name}.json" for name in ("web", "qa", "instruction", "short_cot", "long_cot")),
    }
    trained = [f"{stage.page}/{stage.folder.name}" for stage in found.stages if stage.room == "pretrain"]
    assert {f"manifests/{name}.json" for name in trained} <= made.keys()
    resume = orjson.loads(made["certificates/resume/stable.json"])
    assert resume["verdict"] == "same"
    assert list(resume["files"]) == ["checkpoints/step_00000004/__0_0.distcp"]


def test_sha256sum_checks_a_bundle(found: Plan, tmp_path: Path) -> None:
    bundle = make(found, tmp_path / "bundle")
    for name in ("SHA256SUMS", "SEAL"):
        answer = subprocess.run(["sha256sum", "--strict", "--quiet", "-c", name], cwd=bundle, capture_output=True, text=True)
        assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    listed = [line.partition("  ")[2] for line in (bundle / "SHA256SUMS").read_text().splitlines()]
    assert listed == sorted(files(bundle).keys() - {"SHA256SUMS", "SEAL"})


def test_the_card_tells_blend_data_settings_and_certificates(found: Plan, tmp_path: Path) -> None:
    card = (make(found, tmp_path / "bundle") / "README.md").read_text()
    stable = stage_of(found, "stable").params
    tokens = stable["steps"] * 2048
    asked, amount = share(stable["blend"]["demo_web"]), f"{stable['blend']['demo_web'] * tokens:,.0f}"
    assert f"| demo_web | {asked} | {amount} | {asked} | {amount} |" in card
    assert "Learning rate: schedule constant, peak 0.003, warmup_steps 20." in card
    assert "- demo_crawl: warc, `made:curate/demo_data/sample/crawl/*.warc.gz`" in card
    assert "Licence: not told by its page." in card
    assert "Compared with demo_problems: 3 of their items were found and taken out." in card
    assert f"the detector found {share(1.0)} of verbatim, {share(1.0)} of white_space, {share(1.0)} of latex." in card
    assert "| web | 8.500 | 2.500 |" in card
    assert "- contamination: passed\n- resume: passed\n- parity: passed\n" in card
    assert "Released without" not in card


def test_a_licence_of_the_page_and_of_the_base_model_are_handed_on(found: Plan, tmp_path: Path) -> None:
    found = planned(root_of(found), "+demo_web:license=odc-by", "+release={license: llama3.2}")
    base = Path(stage_of(found, "export_short").input("config"))
    base.mkdir(parents=True, exist_ok=True)
    (base / "LICENSE.txt").write_text("terms")
    bundle = make(found, tmp_path / "bundle")
    assert (bundle / "base/LICENSE.txt").read_text() == "terms"
    card = (bundle / "README.md").read_text()
    assert "license: llama3.2\n" in card
    assert "Licence: odc-by." in card


def test_the_same_page_gives_the_same_bytes(found: Plan, tmp_path: Path) -> None:
    assert files(make(found, tmp_path / "one")) == files(make(found, tmp_path / "other"))


def test_nothing_in_a_bundle_tells_where_it_was_made(found: Plan, tmp_path: Path) -> None:
    for name, content in files(make(found, tmp_path / "bundle")).items():
        assert str(root_of(found)).encode() not in content, name


def test_a_release_that_is_there_stays_and_another_one_is_not_overwritten(found: Plan, tmp_path: Path) -> None:
    bundle = make(found, tmp_path / "bundle")
    before = (bundle / "model.safetensors").stat().st_mtime_ns
    make(found, tmp_path / "bundle")
    assert (bundle / "model.safetensors").stat().st_mtime_ns == before
    change(stage_of(found, "stable"), validation={"web": 2.4})
    with pytest.raises(ValueError, match="exists already and is another release; remove it, or name another folder with --to"):
        make(found, tmp_path / "bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
