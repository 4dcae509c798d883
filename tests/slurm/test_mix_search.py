"""Laws are fitted, the best blend found and its gain believed only as far as noise allows: on laws that are known."""

import json
from dataclasses import replace
from functools import cache

import mix_world
import numpy as np
import pytest
from click.testing import CliRunner
from mix_world import OWN, SOURCES, mixing_law, runs

from slurm.mix import coverage
from slurm.mix import fit as fitting
from slurm.mix.coverage import Search, Truth, nothing, search
from slurm.mix.fit import fit
from slurm.mix.laws import LAWS
from slurm.mix.limits import limits
from slurm.mix.noise import noise_of, runs_to_tell
from slurm.mix.proposal import Proposal, propose
from slurm.mix.region import region
from slurm.mix.sought import better, importances, in_words

SEEDS = 20
ALL = {"prose": 0.5, "reasoning": 0.5}


@pytest.fixture(autouse=True)
def folds_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "TIMES", 1)


def searched(truth: Truth, *, noise: float, seed: int, law: str, replicates: int = 40, **more: int) -> Search:
    return search(truth, runs(truth, noise=noise, seed=seed, **more), OWN, law=law, seed=seed, replicates=replicates)


def proposal(truth: Truth, *, noise: float, seed: int, law: str, replicates: int = 40, **more: int) -> Proposal:
    return searched(truth, noise=noise, seed=seed, law=law, replicates=replicates, **more).proposal


@cache
def searches() -> list[Search]:
    """With the law that is best by cross-validation, as people search."""
    return [searched(mixing_law, noise=0.01, seed=seed, law="best", replicates=20) for seed in range(SEEDS)]


def test_the_true_gain_lies_in_the_interval_in_nine_of_ten_searches() -> None:
    assert np.mean([found.holds_true_gain for found in searches()]) >= 0.9


def test_the_proposed_blend_is_nearly_as_good_as_the_best_between_those_that_were_run() -> None:
    reached = [found.true_gain / found.best_gain for found in searches()]
    assert np.median(reached) > 0.9
    assert np.quantile(reached, 0.1) > 0.5


def test_the_expected_gain_is_what_is_promised_less_the_luck_of_the_best() -> None:
    promised = [found.proposal.promised - found.true_gain for found in searches()]
    expected = [found.proposal.gain - found.true_gain for found in searches()]
    assert np.mean(expected) < np.mean(promised)
    assert np.mean(np.abs(expected)) < 1.5 * np.mean(np.abs(promised))


def test_noise_alone_is_called_noise_in_nine_of_ten_searches() -> None:
    def flat(shares: np.ndarray) -> dict[str, np.ndarray]:
        return {"loss": np.full(len(shares), 2.1)}

    verdicts = [proposal(flat, noise=0.01, seed=seed, law="best", replicates=20).verdict for seed in range(SEEDS)]
    assert verdicts.count("noise") >= 0.9 * SEEDS


def test_laws_between_which_the_runs_do_not_decide_share_the_draws() -> None:
    table = runs(mixing_law, noise=0.03, seed=1)
    [target] = fit(table, ["prose"], replicates=1).targets
    random = np.random.default_rng(0)
    chosen = {target.best_of(random.integers(len(table.names), size=len(table.names))) for _ in range(50)}
    assert len(chosen) > 1
    assert target.best_of(np.arange(len(table.names))) == target.law_name
    [alone] = fit(table, ["prose"], law="linear", replicates=1).targets
    assert alone.best_of(random.integers(len(table.names), size=5)) == "linear"


def test_where_no_law_is_better_than_the_mean_the_own_blend_stays() -> None:
    found = proposal(nothing, noise=0.01, seed=1, law="constant")
    assert found.blend.tolist() == OWN.tolist()
    assert (found.gain, found.low, found.high, found.verdict) == (0.0, 0.0, 0.0, "noise")


def test_how_often_search_is_right_about_itself_can_be_measured_again() -> None:
    asked = [
        "--truth",
        "linear",
        "--truth",
        "nothing",
        "--law",
        "linear",
        "--seeds",
        "3",
        "--first",
        "7",
        "--replicates",
        "20",
        "--json",
    ]
    record = json.loads(CliRunner().invoke(coverage.main, asked).stdout)
    assert (record["law"], record["first"], record["runs"], record["sources"]) == ("linear", 7, 24, 4)
    something, none = record["truths"]
    assert (something["truth"], something["laws"]) == ("linear", {"linear": 6})
    assert 0 < something["gain_true"] <= something["gain_best"] < something["gain_true"] + something["interval_width"]
    assert (none["truth"], none["gain_true"], none["says_gain"]) == ("nothing", 0.0, 0.0)
    shown = CliRunner().invoke(coverage.main, asked[2:-1])
    assert "nothing" in shown.stdout


def test_a_difference_far_above_the_noise_is_called_a_gain() -> None:
    found = proposal(mixing_law, noise=0.001, seed=5, law="log_linear")
    assert (found.verdict, found.why_noise) == ("gain", None)
    assert any("seeds of each of the two blends" in remark for remark in found.remarks)


def test_a_gain_that_is_smaller_than_what_a_seed_changes_is_noise() -> None:
    found = Proposal(OWN, OWN, 0.004, 0.001, 0.007, 0.005, noise_of(np.array([0.0, 0.01, 0.5]), np.array([0, 0, 1])), [], [])
    assert found.verdict == "noise"
    assert found.why_noise == "two runs of one blend differ by 0.01 (one standard deviation) by their seeds alone"


def test_the_best_law_is_the_one_that_predicts_unseen_blends_best() -> None:
    table = runs(mixing_law, noise=0.002, seed=1, blends=24)
    fitted = fit(table, ["reasoning"], replicates=2)
    errors = {score.law: score.error for score in fitted.targets[0].scores}
    assert set(errors) == set(LAWS)
    assert errors["log_linear"] == min(errors.values())
    assert fitted.targets[0].law_name == "log_linear"
    assert errors["log_linear"] < 0.5 * errors["constant"]


def test_repeats_of_a_blend_are_never_on_both_sides_of_a_fold() -> None:
    blends = runs(mixing_law, noise=0.01, seed=0).blend_of_run
    for left_out in fitting._folds(blends, np.random.default_rng(0)):
        assert not set(blends[left_out]) & set(blends[~left_out])


@pytest.mark.parametrize("law", [law for law in LAWS if law != "constant"])
def test_a_law_says_of_known_blends_what_came(law: str) -> None:
    table = runs(mixing_law, noise=0.0, seed=2, blends=30)
    fitted = LAWS[law](table.shares, table.targets["prose"], None)
    away = fitted(table.shares) - table.targets["prose"]
    assert np.sqrt(np.mean(away**2)) < 0.25 * table.targets["prose"].std()


def test_the_log_linear_law_finds_the_numbers_it_was_made_from() -> None:
    table = runs(mixing_law, noise=0.0, seed=3, blends=30)
    fitted = LAWS["log_linear"](table.shares, table.targets["reasoning"], None)
    corners = np.eye(3)
    assert fitted(corners) == pytest.approx(mixing_law(corners)["reasoning"], abs=0.01)


def test_one_broken_run_does_not_bend_the_log_linear_law() -> None:
    table = runs(mixing_law, noise=0.001, seed=4, blends=30)
    whole = LAWS["log_linear"](table.shares, table.targets["prose"], None)
    broken = table.targets["prose"].copy()
    broken[9] += 0.2
    bent = LAWS["log_linear"](table.shares, broken, None)(table.shares) - whole(table.shares)
    assert np.abs(np.delete(bent, 9)).mean() < 0.2 / 30


def test_the_noise_of_seeds_is_pooled_over_all_blends_that_were_repeated() -> None:
    found = noise_of(np.array([1.0, 3.0, 10.0, 10.0, 13.0, 20.0]), np.array([0, 0, 1, 1, 1, 2]))
    assert found.degrees == 3
    assert found.deviation == pytest.approx(np.sqrt((2.0 + 6.0) / 3))
    assert found.floor == pytest.approx(np.sqrt(2 * 8.0 / 3))
    assert noise_of(np.array([1.0, 2.0]), np.array([0, 1])).deviation is None
    assert runs_to_tell(0.01, 0.01) == 16


def test_targets_of_noise_are_told_apart_from_those_that_the_blend_decides() -> None:
    table = runs(mixing_law, noise=0.005, seed=6)
    table.targets["chance"] = np.random.default_rng(5).normal(size=len(table.names))
    fitted = {target.name: target for target in fit(table, list(table.targets), replicates=2).targets}
    assert fitted["chance"].is_noise
    assert not fitted["reasoning"].is_noise


def test_too_few_blends_are_refused_with_the_number_that_is_needed() -> None:
    with pytest.raises(ValueError, match="3 distinct blends of 3 sources: a law needs at least 6; run more"):
        fit(runs(mixing_law, noise=0.01, seed=0, blends=2), ["prose"])


def test_the_same_runs_give_the_same_proposal() -> None:
    one, two = (proposal(mixing_law, noise=0.01, seed=7, law="boosting", blends=10, replicates=4) for _ in range(2))
    assert (one.gain, one.low, one.high, one.blend.tolist()) == (two.gain, two.low, two.high, two.blend.tolist())


def test_limits_hold_for_what_is_proposed_and_are_told_where_they_bind() -> None:
    table = runs(mixing_law, noise=0.001, seed=8, blends=30)
    fitted = fit(table, list(table.targets), law="log_linear", replicates=10)
    free = propose(fitted, region(table, limits(SOURCES)), OWN, ALL)
    assert free.blend[2] > 0.24
    held = propose(fitted, region(table, limits(SOURCES, ["cot=:0.2", "web=0.5:"])), OWN, ALL)
    assert held.blend[2] <= 0.2
    assert held.blend[0] >= 0.5
    assert any(remark.startswith("cot is at its highest share, 0.2") for remark in held.remarks)


def test_a_proposal_stays_between_the_blends_that_were_run() -> None:
    table = runs(mixing_law, noise=0.001, seed=9)
    between = region(table, limits(SOURCES))
    fitted = fit(table, list(table.targets), law="linear", replicates=10)
    found = propose(fitted, between, OWN, ALL)
    assert between.is_border(found.blend)
    assert any("border of what the runs cover" in remark for remark in found.remarks)
    partial = propose(replace(fitted, table=replace(table, unfinished=["run 30", "run 31"])), between, OWN, ALL)
    assert "not finished and left out: run 30, run 31" in partial.remarks
    assert between.has(between.lowest(lambda shares: shares @ np.array([0.0, 1.0, -1.0])))
    assert not between.has(np.eye(3)[2])


def test_what_lies_well_inside_is_not_at_the_border() -> None:
    table = runs(mixing_law, noise=0.0, seed=9, blends=40)
    between = region(table, limits(SOURCES))
    assert not between.is_border(0.95 * table.shares.mean(axis=0) + 0.05 * OWN)
    sought = np.array([0.58, 0.26, 0.16])
    assert between.lowest(lambda shares: ((shares - sought) ** 2).sum(axis=1)) == pytest.approx(sought, abs=0.01)


def test_scores_are_raised_by_negative_weights() -> None:
    assert importances(["prose=2", "gsm8k=-1"]) == {"prose": 2.0, "gsm8k": -1.0}
    assert in_words({"prose": 2.0, "gsm8k": -1.0}) == "low 2 × prose and high 1 × gsm8k"
    assert [better(one) for one in ({"a": 1.0}, {"a": -1.0, "b": -2.0}, {"a": 1.0, "b": -1.0})] == ["lower", "higher", "better"]
    table = runs(mixing_law, noise=0.001, seed=3, blends=24)
    table.targets["score"] = -table.targets.pop("reasoning")
    fitted = fit(table, ["score"], law="log_linear", replicates=5)
    found = propose(fitted, region(table, limits(SOURCES)), OWN, {"score": -1.0})
    assert found.verdict == "gain"
    assert found.blend[2] > OWN[2]
    assert {effect.source: effect.change for effect in found.effects}["cot"] > 0  # of the score, which rises


def test_the_effect_of_a_source_has_an_interval() -> None:
    effects = {effect.source: effect for effect in proposal(mixing_law, noise=0.002, seed=1, law="log_linear").effects}
    assert list(effects) == mix_world.SOURCES
    assert effects["cot"].low <= effects["cot"].change <= effects["cot"].high < 0
    assert not effects["cot"].is_noise
