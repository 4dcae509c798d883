"""Blends are drawn within limits and leave as a sweep page; a proposal leaves as a page that a recipe takes."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner, Result
from mix_world import SOURCES, mixing_law, runs

from recipes import load as loading
from recipes.load import load
from recipes.manifest import publish
from recipes.schema import TrainRecipe
from recipes.stage import write_stage
from recipes.sweep import load_sweep, points_of
from slurm.cli import main
from slurm.mix.coverage import Truth, nothing
from slurm.mix.limits import limits, rounded, written
from slurm.mix.sample import draw
from slurm.sweep.plan import plan_sweep

HYBRID = {"demo_web": 0.6, "demo_instruction": 0.1, "demo_short_cot": 0.12, "demo_long_cot": 0.12, "demo_paths": 0.06}


@pytest.fixture(autouse=True)
def empty_folder_few_folds_and_few_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("slurm.mix.fit.TIMES", 1)  # seconds
    monkeypatch.setattr("slurm.mix.fit.REPLICATES", 30)


def say(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["mix", *arguments])


def write_runs(file: Path, truth: Truth, *, noise: float, seed: int = 3, repeats: int = 4) -> Path:
    table = runs(truth, noise=noise, seed=seed, repeats=repeats)
    with open(file, "w") as out:
        for i, name in enumerate(table.names):
            loss = {target: values[i] for target, values in table.targets.items()}
            out.write(json.dumps({"name": name, "blend": table.blend(table.shares[i]), "loss": loss}) + "\n")
    return file


# ---------------------------------------------------------------------------------------------------- sampling


def test_draws_have_the_own_blend_as_mean_and_keep_within_limits() -> None:
    own = np.array([0.5, 0.3, 0.2])
    free = draw(own, limits(["a", "b", "c"]), 400, concentration=20, seed=1)
    assert free.mean(axis=0) == pytest.approx(own, abs=0.02)
    assert free[:, 0].std() == pytest.approx(np.sqrt(0.25 / 21), rel=0.15)
    held = draw(own, limits(["a", "b", "c"], ["a=0.4:0.6", "c=:0.25"]), 100, concentration=20, seed=1)
    assert held[:, 0].min() >= 0.4
    assert held[:, 0].max() <= 0.6
    assert held[:, 2].max() <= 0.25
    assert np.abs(held.sum(axis=1) - 1).max() < 1e-9
    assert len(np.unique(held, axis=0)) == 100


def test_the_same_seed_draws_the_same_blends() -> None:
    own = np.array([0.5, 0.3, 0.2])
    one, same, other = (draw(own, limits(["a", "b", "c"]), 5, seed=seed) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_limits_that_draws_never_meet_are_told_with_the_way_out() -> None:
    own = np.array([0.5, 0.3, 0.2])
    with pytest.raises(ValueError, match=r"draws only \d+ are within the limits; .* a --concentration above 20"):
        draw(own, limits(["a", "b", "c"], ["a=0.4999:0.5001", "b=0.2999:0.3001"]), 3)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["a=0.5"], "--limit a=0.5: write it as NAME=LOW:HIGH"),
        (["a=0.9:0.2"], "--limit a=0.9:0.2: write it as NAME=LOW:HIGH"),
        (["d=:0.5"], "there is no source 'd'"),
        (["a=:0.1", "b=:0.1", "c=:0.1"], "no blend is within these limits: a 0 to 0.1 (--limit), b 0 to 0.1"),
    ],
)
def test_limits_that_cannot_be_are_refused(given: list[str], told: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        limits(["a", "b", "c"], given)
    assert told in str(error.value)


def test_shares_are_written_with_four_digits_that_sum_to_one() -> None:
    thirds = rounded(np.full(3, 1 / 3))
    assert sorted(thirds) == [0.3333, 0.3333, 0.3334]
    assert rounded(np.array([0.20004, 0.79996]), limits(["a", "b"], ["a=:0.2"])).tolist() == [0.2, 0.8]
    assert written({"a": 0.25, "b": 0.0, "c": 0.75}) == "{a:0.25,c:0.75}"


def test_sampled_blends_are_a_sweep_of_the_page_with_repeats_of_its_own_blend() -> None:
    answer = say("sample", "train/demo", "branch=demo_hybrid", "stages.decay.steps=8", "--points", "5", "--out", "proxies.yaml")
    assert answer.exit_code == 0, answer.stderr
    sampled = points_of(load_sweep("proxies.yaml"))
    points = {point.name: point.overrides for point in sampled}
    assert list(points) == ["own", "own_2", "own_3", "own_4", *(drawn := [f"drawn_{i:03d}" for i in range(1, 6)])]
    assert [point.group for point in sampled] == ["own"] * 4 + drawn  # one row of a sweep's table, with its spread
    recipes = {name: load("train/demo", list(overrides)) for name, overrides in points.items()}
    decays = {name: recipe.trainings["decay"] for name, recipe in recipes.items() if isinstance(recipe, TrainRecipe)}
    own = [decays[name] for name in list(points)[:4]]
    assert all(decay.blend == HYBRID for decay in own)
    assert [decay.seed for decay in own] == [None, 1236, 1237, 1238]
    assert all(set(decay.blend or {}) <= set(HYBRID) and decay.steps == 8 for decay in decays.values())
    assert len({str(decays[name].blend) for name in decays}) == 6


def test_a_page_with_several_branches_must_name_one() -> None:
    answer = say("sample", "train/demo")
    assert answer.exit_code == 2
    assert "train/demo ends with 3 branches; take one (branch=NAME), or name the run with --stage" in answer.stderr
    chosen = yaml.safe_load(say("sample", "train/demo", "--stage", "stable", "--points", "2").output)
    assert chosen["points"]["own_2"][1] == "stages.stable.seed=1235"


def test_an_own_blend_beyond_a_limit_is_refused() -> None:
    answer = say("sample", "train/demo", "branch=demo_hybrid", "--limit", "demo_web=:0.5")
    assert answer.exit_code == 2
    assert "the page's own blend is beyond the limits: demo_web=0.6 is outside 0 to 0.5 (--limit)" in answer.stderr


# ---------------------------------------------------------------------------------------------------- scores


def write_scores(file: Path) -> Path:
    """A loss that is to become low, and a benchmark's score that is to become high, of one law."""
    table = runs(mixing_law, noise=0.002, seed=3)
    columns = [*(f"blend.{source}" for source in table.sources), "loss", "gsm8k"]
    losses = table.targets["reasoning"]
    rows = [[*shares, loss, 10 * (4 - loss)] for shares, loss in zip(table.shares.tolist(), losses.tolist())]
    file.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n")
    return file


@pytest.mark.parametrize("command", ["propose", "plot"])
def test_a_file_does_not_say_whether_low_or_high_is_good(tmp_path: Path, command: str) -> None:
    write_scores(tmp_path / "scores.csv")
    refused = say(command, "scores.csv", "--law", "linear")
    assert refused.exit_code == 2
    assert "scores.csv has loss, gsm8k, and does not say what is to become low or high; say --target NAME" in refused.stderr
    assert "--target gsm8k=0: a weight of 0 seeks nothing" in say(command, "scores.csv", "--target", "gsm8k=0").stderr


def test_a_score_becomes_higher_and_its_effects_are_told_so(tmp_path: Path) -> None:
    write_scores(tmp_path / "scores.csv")
    low, high = (
        json.loads(say("propose", "scores.csv", "--law", "linear", "--target", target, "--json").output)
        for target in ("loss", "gsm8k=-1")
    )
    assert (low["better"], high["better"]) == ("lower", "higher")
    assert high["blend"] == low["blend"]
    for one, other in zip(low["effects"], high["effects"], strict=True):
        assert other["change"] == pytest.approx(-10 * one["change"])
        assert other["low"] < other["change"] < other["high"]
    shown = say("propose", "scores.csv", "--law", "linear", "--target", "gsm8k=-1", "--out", "blend/proposed.yaml").output
    assert "sought: high 1 × gsm8k\n" in shown
    assert "higher than the own blend is expected" in shown
    assert "they do not add up to the gain" in shown
    page = (tmp_path / "blend/proposed.yaml").read_text()
    assert "runs of scores.csv for high 1 × gsm8k\n# gain: " in page
    assert "higher than the own blend is expected" in page
    say("plot", "scores.csv", "--law", "linear", "--target", "gsm8k=-1", "--out", "mix.html")
    drawn = (tmp_path / "mix.html").read_text()
    assert "Sought: high 1 × gsm8k. A gain is a higher figure." in drawn
    assert "(right is better)" in drawn
    assert "lower is better" not in drawn


def test_runs_that_are_not_there_are_told_with_how_to_make_them() -> None:
    assert "there is no such file" in say("fit", "nothing.csv").stderr
    assert "no finished training run of that name under runs; make some with `midtrain mix sample train/demo`" in (
        say("fit", "train/demo/decay").stderr
    )


def test_the_finished_points_of_a_sampled_sweep_are_what_is_fitted(tmp_path: Path) -> None:
    """Stages as training leaves them; their losses are those of a law that is linear in the share of web."""
    blend = "{demo_web:rest,demo_instruction:0.4}"
    asked = ["train/demo", "branch=[]", f"branches={{pair:{{blend:{blend}}}}}", f"root={tmp_path}/runs"]
    sampled = say("sample", *asked, "--points", "5", "--repeats", "2", "--concentration", "5", "--out", "proxies.yaml")
    assert "make them with: midtrain sweep proxies.yaml --run" in sampled.output
    *planned, last = plan_sweep("proxies.yaml").points
    told = "proxies.yaml: no point is finished; make them with: midtrain sweep proxies.yaml --run"
    assert told in say("fit", "proxies.yaml").stderr
    for point in planned:
        [end] = point.ends.values()
        write_stage(end)
        loss = 3.0 - end.params["blend"]["demo_web"] + 1e-4 * (end.params["seed"] - 1234)
        publish(end, counts={"steps": 1, "tokens": 1}, started=0.0, details={"validation": {"web": loss}})
    shown = say("fit", "proxies.yaml").output
    assert "6 runs of 5 blends of demo_web, demo_instruction\n" in shown
    assert f"left out, not finished: {last.point.name}\n" in shown
    assert re.search(r"^web +linear ", shown, re.MULTILINE)


# ---------------------------------------------------------------------------------------------------- commands


@pytest.mark.parametrize("command", ["sample", "fit", "propose", "plot"])
def test_every_command_of_mix_has_help_with_an_example(command: str) -> None:
    assert f"midtrain mix {command}" in say(command, "--help").output


def test_fit_compares_laws_beside_the_noise_of_seeds(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs.jsonl", mixing_law, noise=0.005)
    record = json.loads(say("fit", "runs.jsonl", "--json").output)
    assert (record["runs"], record["blends"], record["sources"]) == (22, 19, SOURCES)
    prose = record["targets"][0]
    assert (prose["name"], prose["noise"]["degrees"], prose["is_noise"]) == ("loss.prose", 3, False)
    assert {score["law"] for score in prose["scores"]} == {"constant", "linear", "log_linear", "gaussian", "boosting"}


def test_fit_says_which_law_is_used_and_why(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs.jsonl", mixing_law, noise=0.005)
    compared, asked = (say("fit", "runs.jsonl", *law).output for law in ([], ["--law", "linear"]))
    assert "★ the law that is used, as its error is the lowest" in compared
    assert len(re.findall(r"(linear|log_linear|gaussian|constant|boosting) ★", compared)) == 2  # of each target
    assert "★ the law that --law asks for" in asked
    assert re.search(r"^loss.prose +linear ★", asked, re.MULTILINE)
    assert "gaussian" not in asked


def test_a_proposed_blend_is_a_page_that_recipes_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an option of the group `blend` and, as a branch, of the group `branch`; comments say from what and how sure."""
    write_runs(tmp_path / "runs.jsonl", mixing_law, noise=0.002)
    for group in ("blend", "branch"):
        answer = say("propose", "runs.jsonl", "--law", "log_linear", "--limit", "cot=:0.3", "--out", f"{group}/proposed.yaml")
        assert answer.exit_code == 0, answer.stderr
        assert "gain:" in answer.output
    text = (tmp_path / "blend/proposed.yaml").read_text()
    assert text.startswith("# Proposed from 22 runs of runs.jsonl for low 0.5 × loss.prose, 0.5 × loss.reasoning\n# gain: ")
    blend = yaml.safe_load(text)
    assert blend["cot"] <= 0.3
    assert sum(blend.values()) == pytest.approx(1.0, abs=1e-9)

    recipes = tmp_path / "recipes"
    for folder in ("train", "model", "parallelism", "cluster", "blend", "branch"):
        (recipes / folder).mkdir(parents=True)
        for page in (loading.RECIPES / folder).glob("*.yaml"):
            (recipes / folder / page.name).write_text(page.read_text())
    for group in ("blend", "branch"):
        (recipes / group / "proposed.yaml").write_text((tmp_path / group / "proposed.yaml").read_text())
    monkeypatch.setattr(loading, "RECIPES", recipes)
    stable = load("train/demo", ["blend@stages.stable.blend=proposed"])
    branch = load("train/demo", ["branch=proposed"])
    assert isinstance(stable, TrainRecipe)
    assert isinstance(branch, TrainRecipe)
    assert stable.trainings["stable"].blend == blend
    assert branch.branches["proposed"].blend == blend
    inline = load("train/demo", [f"stages.decay.blend={written(blend)}"])
    assert isinstance(inline, TrainRecipe)
    assert inline.trainings["decay"].blend == blend


def test_noise_is_called_noise_on_the_console_and_in_the_page(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs.jsonl", nothing, noise=0.01, seed=2)
    answer = say("propose", "runs.jsonl", "--law", "linear", "--out", "blend/proposed.yaml")
    assert "noise, because no law predicts a blend that it has not seen" in answer.output
    assert "# noise: no law predicts a blend" in (tmp_path / "blend/proposed.yaml").read_text()


def test_the_own_blend_can_be_named(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs.jsonl", mixing_law, noise=0.002)
    own = json.loads(say("propose", "runs.jsonl", "--law", "linear", "--against", "{web:0.7,cot:0.3}", "--json").output)["own"]
    assert own == {"web": 0.7, "qa": 0.0, "cot": 0.3}
    assert (
        "is no blend whose shares sum to 1" in say("propose", "runs.jsonl", "--law", "linear", "--against", "demo_stabel").stderr
    )
    write_runs(tmp_path / "once.jsonl", mixing_law, noise=0.002, repeats=1)
    assert "was run twice, which would make it the own one; name it with --against" in say("propose", "once.jsonl").stderr
    assert "the runs have no source 'demo_web'" in say("propose", "runs.jsonl", "--against", "demo_stable").stderr


def test_the_plot_is_one_page_without_scripts_that_is_always_the_same(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs.jsonl", mixing_law, noise=0.005)
    pages = []
    for name in ("one.html", "two.html"):
        assert say("plot", "runs.jsonl", "--law", "log_linear", "--out", name).exit_code == 0
        pages.append((tmp_path / name).read_text())
    assert pages[0] == pages[1]
    assert pages[0].count('<svg class="plot"') == 1 + len(SOURCES) + 2
    assert "<script" not in pages[0]
    for told in ("Verdict", "gain", "What a seed changes", "Effect of each source", "loss.reasoning: predicted and came"):
        assert told in pages[0]
