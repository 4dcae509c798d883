"""Points of a sweep are planned together: what they share is there once, and each finds its own page's stages."""

from functools import cache
from pathlib import Path

import pytest
from demo_plan import planned

from recipes.stage import Stage
from recipes.sweep import sweeps
from slurm.plan import Plan, plan
from slurm.sweep.describe import describe_sweep
from slurm.sweep.plan import SweepPlan, plan_sweep

ROOT = "root=/nowhere"  # the same wherever a test stands


@pytest.fixture(autouse=True)
def nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    monkeypatch.delenv("MIDTRAIN_BENCHMARKS", raising=False)


@cache
def six_decays() -> SweepPlan:
    return plan_sweep("train/demo", [ROOT, "branch=demo_short,demo_long", "stages.decay.lr.peak=1e-3,2e-3,3e-3"])


@cache
def six_alone() -> list[Plan]:
    return [plan("train/demo", one.point.overrides) for one in six_decays().points]


def own(found: SweepPlan, do: str) -> list[Stage]:
    return [stage for stage in found.merged.stages if stage.page == found.sweep.page and stage.do == do]


def test_what_points_share_is_made_once() -> None:
    found, alone = six_decays(), six_alone()
    assert len(found.points) == 6
    whole = len(alone[0].stages)
    assert found.num_stages_alone == sum(len(single.stages) for single in alone) == 6 * whole
    assert len(own(found, "train")) == 1 + 6  # one stable stage under six decays
    assert len(own(found, "export")) == len(own(found, "report")) == 6
    datasets = [stage for stage in found.merged.stages if stage.page.startswith("curate/")]
    assert len(datasets) == len([stage for stage in alone[0].stages if stage.page.startswith("curate/")])
    assert len({str(stage.folder) for stage in found.merged.stages}) == len(found.merged.stages) == whole - 4 + 6 * 3 + 1


def test_every_stage_is_that_of_its_points_own_plan_and_behind_what_it_reads() -> None:
    found = six_decays()
    there = {str(stage.folder): stage for stage in found.merged.stages}
    for single in six_alone():
        for stage in single.stages:
            assert there[str(stage.folder)].fingerprint == stage.fingerprint
    before: set[str] = set()
    for stage in found.merged.stages:
        assert {entry.stage for entry in stage.inputs.values() if entry.stage} <= before
        before.add(str(stage.folder))


def test_a_point_that_the_page_has_already_is_the_pages_own() -> None:
    [short, _] = plan_sweep("train/demo", ["branch=demo_short,demo_long"]).points
    page = {stage.fingerprint for stage in planned().stages}
    assert {stage.fingerprint for stage in short.work} <= page


def test_a_shared_stage_keeps_the_checkpoints_that_any_point_begins_from() -> None:
    found = plan_sweep("train/demo", ["stages.decay.init=stable@step:100,stable,stable@step:200"])
    [stable] = [stage for stage in own(found, "train") if stage.name == "stable"]
    assert stable.run["branch_points"] == [100, 200]


def test_a_dataset_is_swept_with_all_that_comes_behind_it_alone() -> None:
    found = plan_sweep("train/demo", ["demo_web:stages.math.filters.math_classifier.min_score=0.3,0.6", "branch=demo_short"])
    names = [stage.name for stage in found.merged.stages if stage.page == "curate/demo_web"]
    assert names.count("clean") == names.count("classifier") == 1
    assert names.count("math") == names.count("tokenize") == 2
    assert len(own(found, "train")) == 4


def test_every_bad_point_is_named_before_anything_runs() -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        plan_sweep("train/demo", ["stages.decay.lr.peak=1e-3,1e-6,1e-7", "branch=demo_short"])
    told = str(caught.value).splitlines()
    assert told[0] == "train/demo:"
    assert told[1] == "  peak=1e-06: page train/demo: stages.decay.lr: lr.end=0.0003 is above lr.peak=1e-06"
    assert told[2].startswith("  peak=1e-07: ")
    with pytest.raises(ValueError, match=r"^train/demo:\n  page train/demo: unknown key 'brnch'; did you mean 'branches'"):
        plan_sweep("train/demo", ["brnch=a,b"])


@pytest.mark.parametrize("override", ["cluster=local,cpu", "cadence.log_every_steps=1,2"])
def test_points_that_make_the_same_are_refused(override: str) -> None:
    with pytest.raises(ValueError, match="make the same, stage for stage"):
        plan_sweep("train/demo", ["branch=demo_short", override])


def test_points_in_several_places_are_refused() -> None:
    with pytest.raises(ValueError, match=r"differ in root, but a sweep is made in one place; set root=… for all"):
        plan_sweep("train/demo", ["branch=demo_short", "root=here,there"])


def test_problems_and_warnings_are_told_once_or_with_their_points() -> None:
    found = plan_sweep("train/demo", ["stages.decay.tokens=49152,50000", "~stages.decay.steps", "base=none", "branch=demo_short"])
    assert found.merged.problems == ["base: no file matches none"]
    [rounded] = [text for text in found.merged.warnings if "rounded up" in text]
    assert rounded.startswith("tokens=50000: stages.decay.tokens: 50,000 tokens are rounded up to 25 whole steps")
    [again] = [text for text in found.merged.warnings if "draws anew" in text]
    assert again.startswith("decay_short draws anew")


def test_an_end_that_no_point_has_is_named(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("page: train/demo\nends: [shrot]\ngrid: {stages.decay.steps: [5, 6]}\n")
    with pytest.raises(ValueError, match="ends names 'shrot'; did you mean 'short'"):
        plan_sweep("mine.yaml")
    (tmp_path / "mine.yaml").write_text("page: train/demo\nends: [short]\ngrid: {stages.decay.steps: [5, 6]}\n")
    assert [list(one.ends) for one in plan_sweep("mine.yaml").points] == [["short"], ["short"]]


PAPER = {  # points, and training stages that are made for them
    "sweep/budget_20_70_100": (3, 1),
    "sweep/corpus_swap": (3, 3),
    "sweep/decay_cot_ratio": (3, 4),
    "sweep/decay_lr_shape": (3, 4),
    "sweep/decay_qa_share": (12, 13),
    "sweep/demo": (6, 7),
    "sweep/fasttext_threshold": (10, 10),
    "sweep/instruction_89_10_1": (4, 4),
    "sweep/microanneal": (5, 5),
    "sweep/minhash_bands": (6, 6),
    "sweep/web_qa_9_1": (3, 3),
}


def test_every_sweep_page_is_known() -> None:
    assert sweeps() == sorted(PAPER)


shipped = cache(plan_sweep)


@pytest.mark.parametrize("name", PAPER)
def test_every_sweep_page_plans(name: str) -> None:
    found = shipped(name)
    assert (len(found.points), len(own(found, "train"))) == PAPER[name]
    assert all("not in the local hub cache" in text or "no file matches" in text for text in found.merged.problems)
    record = describe_sweep(found)
    assert record["stages"] == len(found.merged.stages) < record["stages_alone"]
    assert {row["point"] for row in record["results"]["rows"]} == {one.point.group for one in found.points}


def test_the_decays_of_the_paper_hang_on_the_stable_stage_of_its_page() -> None:
    """The sweeps and the page itself share it, and the three sweeps' checkpoints are kept by one union."""
    stable = {stage.fingerprint for stage in plan("train/octothinker_3b").stages if stage.name == "stable"}
    for name in ("sweep/decay_qa_share", "sweep/decay_cot_ratio", "sweep/decay_lr_shape"):
        found = shipped(name)
        assert {stage.fingerprint for stage in own(found, "train") if stage.name == "stable"} == stable
    shares = [next(iter(one.ends.values())).params["blend"] for one in shipped("sweep/decay_qa_share").points]
    assert [round(blend["megamath_web_pro"], 9) for blend in shares[:4]] == [0.75, 0.65, 0.55, 0.45]
    assert all(sum(blend.values()) == pytest.approx(1) for blend in shares)
