"""A release asks for the readiness card of exactly its export, and hands it on for those who check it offline."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from release_world import BRANCH, OVERRIDES, PAGE, planned, reseal, root_of, stage_of

from recipes.fingerprint import file_hash
from recipes.load import load
from recipes.manifest import publish
from recipes.stage import Stage, write_atomically, write_stage
from slurm.plan import Plan, plan
from slurm.release.make import Refused, release
from slurm.release.readiness import FILE
from slurm.release.verify import verify_bundle

PROVE = "prove/demo"
CHECKS = {"stopped": {"verdict": "pass"}, "loops": {"verdict": "concern", "figure": {"mean": 0.0625}}}
FAILED = {"stopped": {"verdict": "fail", "figure": {"mean": 0.25}}, "loads_trl": {"verdict": "fail", "told": "it broke"}}


def asking(found: Plan) -> Plan:
    return planned(root_of(found), f"+release.prove={PROVE}")


def prove(found: Plan, checks: dict[str, Any] = CHECKS, *more: str, files: dict[str, str] | None = None) -> Stage:
    """The card of the released end, as its stages would leave it."""
    everything = plan(PROVE, (f"root={root_of(found)}", f"{PAGE}:export.max_shard_gigabytes=1.0", "~probe", "~evaluation", *more))
    by_name = {stage.name: stage for stage in everything.stages if stage.page == PROVE}
    answers, card = by_name[f"answers_{BRANCH}"], by_name[f"readiness_{BRANCH}"]
    for stage in everything.stages:  # what the problems come from
        if stage.name == "sample" and not stage.is_finished:
            write_stage(stage)
            publish(stage, counts={}, started=0.0)
    write_stage(answers)
    publish(answers, counts={}, started=0.0)
    write_stage(card)
    weights = Path(card.input("checkpoint"))
    hashes = files or {file.name: file_hash(file) for file in weights.iterdir()}
    write_atomically(card.folder / "card.json", orjson.dumps({"checkpoint": hashes, "checks": checks}))
    publish(card, counts={}, started=0.0, details={"readiness": {"checks": checks}})
    return card


def make(found: Plan, to: Path, **more: Any) -> Path:
    return release(asking(found), BRANCH, to, **more)[0]


def test_a_card_without_a_failure_is_released_with_the_model_and_its_concerns_are_told(found: Plan, tmp_path: Path) -> None:
    card = prove(found)
    bundle = make(found, tmp_path / "bundle")
    assert (bundle / FILE).read_bytes() == (card.folder / "card.json").read_bytes()
    told = (bundle / "README.md").read_text()
    assert "- readiness: passed\n- readiness, loops (0.0625): concern\n" in told
    record = verify_bundle(bundle)
    assert record["unchanged"], record
    made = orjson.loads((bundle / "release.json").read_bytes())["stages"]
    assert [name.rpartition("/")[2].partition("-")[0] for name in made[-2:]] == [f"answers_{BRANCH}", f"readiness_{BRANCH}"]


def test_a_page_that_names_no_proof_says_not_measured(found: Plan, tmp_path: Path) -> None:
    prove(found)
    bundle = release(found, BRANCH, tmp_path / "bundle")[0]
    assert not (bundle / FILE).exists()
    assert "- readiness for reinforcement learning: not measured\n" in (bundle / "README.md").read_text()


def test_a_missing_card_refuses_and_names_the_command(found: Plan, tmp_path: Path) -> None:
    hint = f"readiness/export_short: {PROVE} has no finished readiness card of it; make it with: midtrain readiness {PROVE}"
    with pytest.raises(Refused, match=hint):
        make(found, tmp_path / "bundle")
    bundle = make(found, tmp_path / "bundle", allow=["readiness"])
    assert f"- readiness/export_short: {PROVE} has no finished readiness card of it" in (bundle / "README.md").read_text()
    assert verify_bundle(bundle)["unchanged"]


def test_the_card_of_another_export_is_stale(found: Plan, tmp_path: Path) -> None:
    card = prove(found)
    folder = stage_of(found, "export_short").folder
    (card.folder / "recipe.yaml").write_text(
        (card.folder / "recipe.yaml").read_text().replace(folder.name, "export_short-0123456789ab")
    )
    with pytest.raises(Refused, match=rf"; stale: {card.folder.name} is of export_short-0123456789ab; make it with"):
        make(found, tmp_path / "bundle")


def test_a_card_of_other_settings_is_stale(found: Plan, tmp_path: Path) -> None:
    for more in ("readiness.samples=3", "readiness.limits.min_stopped.fail=0.0", "seed=5"):
        card = prove(found, CHECKS, more)
        with pytest.raises(Refused, match="is of other settings or other problems than prove/demo has now"):
            make(found, tmp_path / "bundle")
        (card.folder / "manifest.json").unlink()


def test_an_easier_card_of_other_problems_replaces_no_failed_one(found: Plan, tmp_path: Path) -> None:
    problems = tmp_path / "problems.jsonl"
    problems.write_text('{"id": "1", "question": "1 + 1?", "answer": "2"}\n')
    easy = prove(found, CHECKS, f"readiness.problems={problems}")
    with pytest.raises(Refused, match=f"stale: {easy.folder.name} is of other settings or other problems than {PROVE} has now"):
        make(found, tmp_path / "bundle")
    prove(found, FAILED)
    os.utime(easy.folder / "manifest.json", (time.time() + 60,) * 2)
    with pytest.raises(Refused, match="checks of its readiness card failed"):
        make(found, tmp_path / "bundle")


def test_a_card_whose_answers_are_gone_counts_for_none(found: Plan, tmp_path: Path) -> None:
    shutil.rmtree(prove(found).input("answers"))
    with pytest.raises(Refused, match="has no finished readiness card of it"):
        make(found, tmp_path / "bundle")


def test_failed_checks_refuse_and_are_named(found: Plan, tmp_path: Path) -> None:
    prove(found, FAILED)
    with pytest.raises(Refused, match=r"checks of its readiness card failed: stopped \(0.25\), loads trl \(it broke\)"):
        make(found, tmp_path / "bundle")


def test_a_card_of_other_weights_refuses(found: Plan, tmp_path: Path) -> None:
    prove(found, files={"model.safetensors": "0" * 64})
    with pytest.raises(Refused, match=r"its readiness card is of other files: config\.json"):
        make(found, tmp_path / "bundle")


def test_a_card_that_was_rewritten_after_it_was_made_refuses(found: Plan, tmp_path: Path) -> None:
    card = prove(found, FAILED)
    content = orjson.loads((card.folder / "card.json").read_bytes())
    write_atomically(card.folder / "card.json", orjson.dumps(content | {"checks": CHECKS}))
    with pytest.raises(Refused, match="its readiness card is not as it was made"):
        make(found, tmp_path / "bundle")


def test_verify_finds_a_card_that_was_rewritten_in_the_bundle_and_sealed_again(found: Plan, tmp_path: Path) -> None:
    prove(found)
    bundle = make(found, tmp_path / "bundle")
    content = orjson.loads((bundle / FILE).read_bytes())
    (bundle / FILE).write_bytes(orjson.dumps(content | {"checks": {}}))
    assert verify_bundle(bundle)["changed"] == [f"{FILE} (content changed)"]
    reseal(bundle)
    assert verify_bundle(bundle)["wrong"] == ["readiness/export_short: its readiness card is not as it was made"]


@pytest.mark.parametrize(
    ("overrides", "what"),
    [
        (("+release.prove=curate/demo_web",), "it makes no readiness card; name a page of recipes/prove"),
        (("+release.prove=prove/nowhere",), "there is no page 'prove/nowhere'"),
    ],
)
def test_a_page_that_proves_nothing_is_a_mistake(found: Plan, tmp_path: Path, overrides: tuple[str, ...], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        release(planned(root_of(found), *overrides), BRANCH, tmp_path / "bundle")


def test_to_ask_for_readiness_without_a_page_that_proves_it_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"name the page that makes the card: prove: prove/NAME"):
        load(PAGE, (*OVERRIDES, "+release={certificates: [readiness]}"))
