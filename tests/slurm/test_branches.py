"""Stages of a train page that begin from moments of others, lengths in tokens, and the learning rates that a plan draws."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from demo_plan import planned, stage
from pydantic import TypeAdapter, ValidationError

from recipes.exits import INTERRUPTED
from recipes.load import load
from recipes.manifest import publish
from recipes.schema import TrainParams, TrainRecipe
from recipes.schema.base import Tokens
from recipes.stage import LOGS, read_stage, report_progress, try_lock, write_stage
from slurm.cli import main
from slurm.plan import Plan, plan
from slurm.run import Runner

TOKENS_PER_STEP = 256 * 8  # of train/demo; its stable stage has 220 steps, hence 450,560 tokens
EARLY = "+stages.early={init: stable@step:100, steps: 20, lr: {schedule: linear, peak: 3e-3, end: 0}}"


@pytest.fixture(autouse=True)
def nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finished demo beside the tests is no part of these plans."""
    monkeypatch.chdir(tmp_path)


def params(found: Plan, name: str) -> TrainParams:
    return TrainParams.model_validate(stage(found, name).params)


def fingerprints(found: Plan) -> dict[str, str]:
    return {entry.name: entry.fingerprint for entry in found.stages if entry.page == "train/demo"}


def recipe(*overrides: str) -> TrainRecipe:
    found = load("train/demo", overrides)
    assert isinstance(found, TrainRecipe)
    return found


# ---------------------------------------------------------------------------------------------------- lengths


def test_a_length_in_tokens_makes_the_same_stage_as_in_steps() -> None:
    tokens = f"{72 * TOKENS_PER_STEP / 1000}k"
    assert fingerprints(planned("stages.decay.steps=null", f"stages.decay.tokens={tokens}")) == fingerprints(planned())
    lr = "{schedule: wsd, shape: minus_sqrt, peak: 1e-3, end: 0, %s}"
    in_steps = recipe("stages.decay.lr=" + lr % "decay_steps: 50, warmup_steps: 2").params_of("decay", {"demo_web": 1.0})
    in_tokens = recipe("stages.decay.lr=" + lr % "decay_tokens: 102.4k, warmup_tokens: 4096").params_of(
        "decay", {"demo_web": 1.0}
    )
    assert in_steps == in_tokens
    assert (in_tokens.lr.decay_steps, in_tokens.lr.decay_tokens) == (50, None)


@pytest.mark.parametrize(
    ("written", "tokens"),
    [("20B", 20 * 10**9), ("1.5T", 15 * 10**11), ("512M", 512_000_000), ("0.3k", 300), ("4_096", 4096), (7, 7)],
)
def test_numbers_of_tokens_are_exact(written: str | int, tokens: int) -> None:
    assert TypeAdapter(Tokens).validate_python(written) == tokens


@pytest.mark.parametrize("written", ["20b", "B", "1.2345k", "-3", "0k", "", 1.5, 0])
def test_what_is_no_number_of_tokens_is_refused(written: str | float) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Tokens).validate_python(written)


def test_tokens_are_rounded_up_to_whole_steps_and_the_plan_says_so() -> None:
    found = planned("stages.decay.steps=null", "stages.decay.tokens=100k", "stages.decay.init=stable@300k")
    assert params(found, "decay_long").steps == 49
    assert params(found, "decay_long").init_step == 147
    notes = [
        "stages.decay.tokens: 100,000 tokens are rounded up to 49 whole steps, which are 100,352 tokens",
        "stages.decay.init: 300,000 tokens are rounded up to 147 whole steps, which are 301,056 tokens",
    ]
    assert [note for note in found.warnings if "rounded" in note] == notes


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("stages.decay.tokens=3B", "stages.decay: steps=72 and tokens=3000000000: a stage's length is one of them"),
        ("stages.decay.steps=null", "stages.decay: steps=None and tokens=None: a stage's length is one of them"),
        ("stages.decay.lr.warmup_tokens=2Q", "lr.warmup_tokens: '2Q' is no number of tokens; write it as 20B, 512M, 1.5T"),
        ("stages.decay.lr.warmup_tokens=0.5", "lr.warmup_tokens: Input should be a valid integer"),
        ("stages.stable.lr.warmup_tokens=1M", "both lr.warmup_steps and lr.warmup_tokens are set; leave one out"),
        ("stages.decay.lr.warmup_tokens=1M", "stages.decay: lr.warmup_steps=489 is not below steps=72"),
        ("stages.decay.lr.schedule=wsd", "lr.shape=None does not fit schedule='wsd': it has lr.end, lr.shape (cosine, linear"),
        ("stages.decay.lr.decay_steps=7", "lr.decay_steps=7 does not fit schedule='cosine': it has lr.end, and decays over the"),
        (
            "stages.decay.lr={schedule: wsd, shape: linear, peak: 1, end: 0, warmup_steps: 40, decay_steps: 40}",
            "stages.decay: lr.warmup_steps=40 and lr.decay_steps=40 are more than steps=72; shorten one of them",
        ),
        ("stages.decay.init=stable@1M", "init='stable@1M' is step 489, but stable ends with step 220; name an earlier moment"),
        ("stages.decay.init=stable@step:221", "is step 221, but stable ends with step 220"),
        ("stages.decay.init=stable@step:31.5", "'step:31.5' is no moment of a stage; write stable@130B or stable@step:31000"),
        ("stages.decay.init=base@1M", "'base@1M': base has no moments; write init: base"),
        ("stages.decay.init=stabel@1M", "stages.decay.init='stabel@1M' is no earlier stage; did you mean 'stable'?"),
        ("stages.stable.continue=true", "continue: true goes on with the data of the stage that init names; base has seen none"),
        ("stages.decay.continues_data=true", "unknown key 'continues_data'; did you mean 'continue'?"),
    ],
)
def test_a_mistake_is_named_with_the_way_out(override: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        recipe(override)
    assert message in str(caught.value)


# ---------------------------------------------------------------------------------------------------- branch points


def test_a_branch_point_is_kept_by_the_stage_and_does_not_remake_it() -> None:
    before, after = planned(), planned(EARLY)
    assert stage(before, "stable").run["branch_points"] == []
    assert stage(after, "stable").run["branch_points"] == [100]
    same = fingerprints(before).items() & fingerprints(after).items()
    assert {name for name, _ in same} >= {"stable", "decay_short", "decay_long", "decay_hybrid"}
    assert params(after, "early_long").init_step == 100
    assert params(after, "decay_long").init_step is None


def test_a_stage_draws_another_order_than_those_before_it_wherever_it_stands_on_the_page() -> None:
    chain = "+stages.more={init: stable, steps: 5, blend: {demo_web: 1.0}, lr: {schedule: constant, peak: 3e-3}}"
    end = "+stages.end={init: more, steps: 5, blend: {demo_web: 1.0}, lr: {schedule: constant, peak: 3e-3}}"
    found = recipe(EARLY, chain, end)
    assert found.stages_before("end") == ["stable", "more"]
    seeds = {name: found.params_of(name, {"demo_web": 1.0}).seed - found.seed for name in found.stages}
    assert seeds == {"stable": 0, "decay": 1, "early": 1, "more": 1, "end": 2}


def test_the_end_of_a_stage_is_no_branch_point() -> None:
    for end in ("stable@step:220", f"stable@{220 * TOKENS_PER_STEP}"):
        found = planned(f"stages.decay.init={end}")
        assert fingerprints(found) == fingerprints(planned())
        assert stage(found, "stable").run["branch_points"] == []


def test_stages_that_are_branched_at_several_moments_have_exports_of_their_own() -> None:
    assert recipe().ends == ["short", "long", "hybrid"]
    found = planned(EARLY)
    ends = [f"{name}_{branch}" for name in ("decay", "early") for branch in ("short", "long", "hybrid")]
    assert isinstance(found.recipe, TrainRecipe)
    assert found.recipe.ends == ends
    assert [entry.name for entry in found.stages if entry.do == "export"] == [f"export_{end}" for end in ends]


@pytest.mark.parametrize(
    ("kept", "is_finished", "problem"),
    [
        ([], False, None),
        ([40, 80], False, None),
        ([100, 120], False, None),
        ([100, 220], True, None),
        (
            [80, 120],
            False,
            "is at step 120 already and has not kept that checkpoint; kept: stable@step:80, stable@step:120; name",
        ),
        (
            [80, 220],
            True,
            "is finished and has not kept that checkpoint; kept: stable@step:80, stable@step:220; name one of these",
        ),
    ],
)
def test_a_moment_that_was_not_kept_is_a_problem_of_the_plan(
    tmp_path: Path, kept: list[int], is_finished: bool, problem: str | None
) -> None:
    overrides = (f"root={tmp_path}", EARLY, "branch=demo_long")
    stable = stage(plan("train/demo", overrides), "stable")
    for step in kept:
        (stable.folder / "checkpoints" / f"step_{step:08d}").mkdir(parents=True)
    if is_finished:
        write_stage(stable)
        publish(stable, counts={"steps": 220}, started=0.0)
    told = [text for text in plan("train/demo", overrides).problems if "early" in text]
    assert told == [] if problem is None else [text for text in told if problem in text]
    assert len(told) == (problem is not None)


def test_a_moment_that_training_has_passed_is_a_problem_before_its_next_checkpoint(tmp_path: Path) -> None:
    overrides = (f"root={tmp_path}", EARLY, "branch=demo_long")
    stable = stage(plan("train/demo", overrides), "stable")
    report_progress(stable.folder, 0, 99, 220, "steps")
    assert not [text for text in plan("train/demo", overrides).problems if "early" in text]
    report_progress(stable.folder, 0, 101, 220, "steps")
    assert [text for text in plan("train/demo", overrides).problems if "which is at step 101 already" in text]


def test_a_run_asks_the_one_that_trains_the_stage_for_what_it_branches_from(tmp_path: Path) -> None:
    overrides = (f"root={tmp_path}", "branch=demo_long")
    before = plan("train/demo", overrides)
    stable = stage(before, "stable")
    for entry in before.stages:
        write_stage(entry)
        if entry.page != "train/demo" or str(entry.folder) in {given.stage for given in stable.inputs.values()}:
            publish(entry, counts={"tokens": {"train": 10**6}}, started=0.0)
    held = try_lock(stable.folder / LOGS / "lock")
    assert held is not None
    runner = Runner(plan("train/demo", (*overrides, EARLY)), lambda kind, told, text: None)

    def stop() -> None:
        runner.interrupted = True

    assert runner.run(stop) == INTERRUPTED
    held.close()
    assert read_stage(stable.folder).run["branch_points"] == [100]


# ---------------------------------------------------------------------------------------------------- data that is seen again


def notes_of(found: Plan, name: str) -> list[str]:
    return [note for note in found.warnings if note.startswith((f"{name} ", f"{name}:"))]


def make_demo_web(overrides: tuple[str, ...], num_tokens: int) -> None:
    stages = plan("train/demo", overrides).stages
    tokenized = next(entry for entry in stages if entry.page == "curate/demo_web" and entry.do == "tokenize")
    write_stage(tokenized)
    publish(tokenized, counts={"tokens": {"train": num_tokens}}, started=0.0)


def test_data_that_will_be_seen_again_is_told_with_its_epochs(tmp_path: Path) -> None:
    overrides = (f"root={tmp_path}", EARLY, "branch=demo_long")
    make_demo_web(overrides, num_tokens=100_000)
    found = plan("train/demo", overrides)
    web = {"decay_long": (0.8 * 220 + 0.6 * 72) * 2048 / 1e5, "early_long": (0.8 * 100 + 0.6 * 20) * 2048 / 1e5}
    for name, init in (("decay_long", "stable"), ("early_long", "stable@step:100")):
        [note] = notes_of(found, name)
        assert note == (
            f"{name} draws anew from datasets that {init} has seen: demo_web ({web[name]:.2f} epochs in total), "
            "demo_instruction; `continue: true` goes on where it stopped"
        )


def test_a_stage_that_continues_its_data_is_another_one_and_sees_nothing_again() -> None:
    found = planned("stages.decay.continue=true")
    assert params(found, "decay_long").continues_data
    assert notes_of(found, "decay_long") == []
    differing = fingerprints(planned()).items() ^ fingerprints(found).items()
    assert {name for name, _ in differing} >= {"decay_short", "decay_long", "decay_hybrid"}
    assert "stable" not in {name for name, _ in differing}


def test_to_continue_where_too_little_is_left_is_told(tmp_path: Path) -> None:
    overrides = (f"root={tmp_path}", "stages.decay.continue=true", "branch=demo_long")
    make_demo_web(overrides, num_tokens=400_000)
    asked, left = 0.6 * 72 * TOKENS_PER_STEP, 400_000 - 0.8 * 220 * TOKENS_PER_STEP
    assert notes_of(plan("train/demo", overrides), "decay_long") == [
        f"decay_long asks for {asked:,.0f} tokens of demo_web, of which about {left:,.0f} are left: after these, documents that "
        "were seen come once more"
    ]


def test_to_continue_what_was_never_seen_is_told() -> None:
    found = planned("stages.decay.continue=true", "branches.long.blend={demo_long_cot: 1.0}")
    assert notes_of(found, "decay_long") == ["decay_long: `continue: true` changes nothing: stable has seen none of its datasets"]


def test_show_names_the_key_as_a_page_does() -> None:
    shown = CliRunner().invoke(main, ["show", "train/demo", "--json"]).output
    assert json.loads(shown)["stages"]["decay"]["continue"] is False


# ---------------------------------------------------------------------------------------------------- the plot


def told(*arguments: str) -> dict[str, Any]:
    answer = CliRunner().invoke(main, ["plan", "train/demo", *arguments, "--json"])
    assert answer.exit_code == 0, answer.output
    record: dict[str, Any] = json.loads(answer.output)
    return record


def test_a_plan_tells_each_curve_once_and_where_it_begins() -> None:
    stable, decay, early = told(EARLY)["learning_rates"]
    assert stable["stages"] == ["stable"]
    assert decay["stages"] == ["decay_short", "decay_long", "decay_hybrid"]
    assert [row["first_token"] for row in (stable, decay, early)] == [0, 220 * TOKENS_PER_STEP, 100 * TOKENS_PER_STEP]
    assert stable["in_words"] == "warm-up in 20 steps, 200 steps at 0.003"
    assert stable["points"][0] == [TOKENS_PER_STEP, 3e-3 / 20]
    assert decay["points"][-1] == [292 * TOKENS_PER_STEP, 3e-4]
    assert len(early["points"]) == 20


def test_a_plan_draws_the_learning_rate() -> None:
    lines = CliRunner().invoke(main, ["plan", "train/demo"]).output.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("Learning rate over 598k tokens"))
    assert lines[first + 1] == "stable: warm-up in 20 steps, 200 steps at 0.003"
    top, middle, bottom = lines[first + 2 : first + 5]
    assert len(top) == len(middle) == len(bottom) == 2 + round(98 * 220 / 292)
    assert bottom[2:] == "▁" + bottom[3] + "█" * 72
    assert lines[first + 5] == "decay_short, decay_long, decay_hybrid: cosine from 0.003 to 0.0003 in 72 steps"
    assert lines[first + 6].strip()[0] == "█"
    assert lines[first + 8].endswith("▂▂") or lines[first + 8].endswith("▃▂")
    assert "Learning rate" not in CliRunner().invoke(main, ["plan", "curate/demo_web"]).output
