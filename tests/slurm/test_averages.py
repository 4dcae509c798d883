"""Averages on a train page: what their members are, what is kept for them, what may begin from them."""

from pathlib import Path
from typing import Any

import pytest
from demo_plan import planned, stage

from recipes.load import load
from recipes.manifest import publish
from recipes.schema import AverageParams, TrainParams, TrainRecipe
from recipes.stage import write_stage
from slurm.learning_rates import learning_rates
from slurm.plan import Plan, plan

FURTHER = "{init: %s, load_optimizer: false, steps: 3, lr: {schedule: constant, peak: 1e-3}, blend: {demo_web: 1.0}}"


def recipe(*overrides: str) -> TrainRecipe:
    found = load("train/demo", overrides)
    assert isinstance(found, TrainRecipe)
    return found


def members(found: Plan, name: str) -> list[tuple[str, int | None, float]]:
    params = AverageParams.model_validate(stage(found, name).params)
    return [(member.stage, member.step, round(member.weight, 4)) for member in params.members]


def test_a_branched_stage_stands_for_all_its_branches() -> None:
    found = planned("+stages.soup={average: [decay]}")
    assert members(found, "soup") == [("decay_short", None, 0.3333), ("decay_long", None, 0.3333), ("decay_hybrid", None, 0.3333)]
    assert stage(found, "soup").inputs["checkpoint/decay_long"].stage == str(stage(found, "decay_long").folder)
    merge = planned("+stages.merge={average: {decay_short: 0.9, decay_long: 0.1}}")
    assert members(merge, "merge") == [("decay_short", None, 0.9), ("decay_long", None, 0.1)]


def test_an_average_changes_no_other_stage_and_is_exported_beside_them() -> None:
    """But for what the stage keeps, which is no part of its identity."""
    found = planned("+stages.soup={average: {decay_short: 0.5, decay_long@143360: 0.5}}")
    before = {entry.name: entry.fingerprint for entry in planned().stages if entry.do in ("train", "export")}
    after = {entry.name: entry.fingerprint for entry in found.stages if entry.do in ("train", "export")}
    assert after == {**before, "export_soup": after["export_soup"]}
    assert stage(found, "decay_short").run["branch_points"] == [70]
    assert recipe("+stages.soup={average: [decay]}").ends == ["short", "long", "hybrid", "soup"]


def test_a_window_over_the_last_moments_of_a_stage_is_kept_by_it() -> None:
    tokens_per_step = 256 * 8
    found = planned(f"+stages.tail={{average: [stable], last: 3, every_tokens: {10 * tokens_per_step}}}")
    assert members(found, "tail") == [("stable", 200, 0.3333), ("stable", 210, 0.3333), ("stable", None, 0.3333)]
    assert stage(found, "stable").run["branch_points"] == [200, 210]
    earlier = planned("+stages.tail={average: [stable@step:100], last: 2, every_steps: 20}")
    assert members(earlier, "tail") == [("stable", 80, 0.5), ("stable", 100, 0.5)]
    rounded = planned("+stages.tail={average: [stable], last: 2, every_tokens: 2049}")
    assert any("stages.tail.every_tokens: 2,049 tokens are rounded up to 2 whole steps" in text for text in rounded.warnings)


def test_a_stage_begins_from_an_average() -> None:
    found = planned("+stages.soup={average: [decay]}", f"+stages.more={FURTHER % 'soup'}")
    more = stage(found, "more")
    assert more.inputs["init"].stage == str(stage(found, "soup").folder)
    assert TrainParams.model_validate(more.params).init_from_stage
    assert "export_soup" not in {entry.name for entry in found.stages}
    [first] = [row["first_token"] for row in learning_rates(found) if row["stages"] == ["more"]]
    assert first == (220 + 72) * 2048
    assert not any("more" in text and "continue: true" in text for text in found.warnings)


def test_the_seed_of_a_stage_makes_another_run_of_it() -> None:
    spec = "{init: stable, steps: 72, blend: {demo_web: 1.0}, lr: {schedule: linear, peak: 1e-3, end: 0}%s}"
    found = planned(f"+stages.a={spec % ''}", f"+stages.b={spec % ', seed: 7'}", "+stages.soup={average: [a, b]}")
    assert TrainParams.model_validate(stage(found, "b").params).seed == 7
    assert stage(found, "a").fingerprint != stage(found, "b").fingerprint


def test_a_half_life_in_tokens_is_a_decay_a_step() -> None:
    half = planned("+stages.decay.ema={half_life_tokens: 20480}")  # ten steps
    assert TrainParams.model_validate(stage(half, "decay_long").params).ema_decay == pytest.approx(0.5 ** (1 / 10))
    assert planned().recipe.trainings["decay"].ema is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("+stages.soup={average: {decay_short: 0.9, decay_long: 0.2}}", "weights of the average sum to 1.1, not 1"),
        ("+stages.soup={average: [decay, decay]}", "average names 'decay' twice; give it a weight"),
        ("+stages.soup={average: [decay, decay_long]}", "counts the checkpoint of decay_long at its end twice; name it once"),
        ("+stages.soup={average: []}", "average is empty: name the stages whose checkpoints it is made of"),
        ("+stages.soup={average: [base]}", "average names base, which is no checkpoint of a stage"),
        (
            "+stages.soup={average: [decay_lnog]}",
            "average names 'decay_lnog', which is no earlier stage; did you mean 'decay_long'",
        ),
        ("+stages.soup={average: [stable@step:221]}", "is step 221, but stable ends with step 220"),
        (
            "+stages.soup={average: [stable], last: 4}",
            "last=4 with every_steps=None, every_tokens=None: an average over the last",
        ),
        ("+stages.soup={average: [stable], every_steps: 4}", "last=1 with every_steps=4"),
        (
            "+stages.soup={average: [stable], last: 2, every_steps: 1, every_tokens: 9}",
            "both every_steps and every_tokens are set",
        ),
        (
            "+stages.soup={average: [stable], last: 12, every_steps: 20}",
            "12 moments of stable, 20 steps apart, would begin at step 0",
        ),
        ("+stages.soup={average: [decay], lats: 2}", "unknown key 'lats'; did you mean 'last'?"),
        (
            "+stages.decay.ema={decay: 0.9, half_life_tokens: 1M}",
            "ema.decay=0.9 and ema.half_life_tokens=1000000: set one of them",
        ),
        ("+stages.decay.ema={decay: 1.0}", "stages.decay.ema.decay: Input should be less than 1 (got 1.0)"),
        ("+export.weights=ema", "export.weights=ema, but stages.decay has no `ema`; give it one, or export.weights=trained"),
    ],
)
def test_a_mistake_is_named_with_the_way_out(overrides: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        recipe(overrides)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("further", "message"),
    [
        (FURTHER.replace("false", "true") % "soup", "has weights alone and no optimizer state; set stages.more.load"),
        (FURTHER % "soup@step:3", "stages.more.init='soup@step:3': an average has no moments; write soup"),
        (FURTHER.replace("steps", "continue: true, steps") % "soup", "goes on with the data of one stage; 'soup' is"),
        ("{average: [soup@step:3]}", "average names moments of 'soup', which is an average itself: it has one checkpoint"),
    ],
)
def test_what_an_average_lacks_is_not_asked_of_it(further: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        recipe("+stages.soup={average: [decay]}", f"+stages.more={further}")
    assert message in str(caught.value)


def test_a_checkpoint_that_a_finished_stage_has_not_kept_is_a_problem_that_names_the_kept_ones(tmp_path: Path) -> None:
    overrides = (f"root={tmp_path}", "+stages.tail={average: [stable], last: 3, every_steps: 10}")
    stable: Any = stage(plan("train/demo", overrides), "stable")
    write_stage(stable)
    for step in (210, 220):
        (stable.folder / "checkpoints" / f"step_{step:08d}").mkdir(parents=True)
    publish(stable, counts={"steps": 220, "tokens": 1}, started=0.0)
    problems = [text for text in plan("train/demo", overrides).problems if text.startswith("tail")]
    assert problems == [
        "tail: a checkpoint to average is step 200 of stable, which is finished and has not kept that checkpoint; kept: "
        "stable@step:210, stable@step:220; name one of these"
    ]
