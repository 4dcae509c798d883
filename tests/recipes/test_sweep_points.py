"""Sweep pages and Hydra's sweep grammar become points; mistakes are named before anything is planned."""

from pathlib import Path

import pytest

from recipes.load import load
from recipes.schema import TrainRecipe
from recipes.sweep import Point, load_sweep, points_of


def points(name: str | Path, *overrides: str) -> list[Point]:
    return points_of(load_sweep(str(name), overrides))


def page(folder: Path, text: str) -> Path:
    (folder / "mine.yaml").write_text(text)
    return folder / "mine.yaml"


def test_hydras_sweep_grammar_on_the_command_line_is_a_grid() -> None:
    found = points("train/demo", "branch=demo_short,demo_long", "stages.decay.lr.peak=choice(1e-3,2e-3)", "root=here")
    assert [point.name for point in found] == [
        "branch=demo_short peak=0.001",
        "branch=demo_short peak=0.002",
        "branch=demo_long peak=0.001",
        "branch=demo_long peak=0.002",
    ]
    assert found[-1].overrides == ("root=here", "branch=demo_long", "stages.decay.lr.peak=0.002")
    assert found[-1].values == {"branch": "demo_long", "peak": "0.002"}
    assert [point.values["steps"] for point in points("train/demo", "stages.decay.steps=range(8,17,4)")] == ["8", "12", "16"]


def test_a_list_that_is_one_value_is_no_sweep() -> None:
    [both, one] = points("train/demo", "branch=[demo_short,demo_long],[demo_hybrid]")
    assert both.overrides == ("branch=[demo_short,demo_long]",)
    assert one.name == "branch=[demo_hybrid]"


def test_keys_of_another_page_are_swept_with_their_page() -> None:
    found = points("train/demo", "demo_web:stages.math.filters.math_classifier.min_score=0.3,0.6")
    assert [point.name for point in found] == ["min_score=0.3", "min_score=0.6"]
    assert found[0].overrides == ("demo_web:stages.math.filters.math_classifier.min_score=0.3",)


def test_axes_are_called_by_the_ends_of_their_keys_as_short_as_they_differ() -> None:
    [first, *_] = points("train/demo", "stages.decay.lr.peak=1e-3,2e-3", "stages.stable.lr.peak=1e-3,3e-3", "precision=fp32,bf16")
    assert list(first.values) == ["decay.lr.peak", "stable.lr.peak", "precision"]


def test_a_seed_repeats_a_point_under_the_same_name() -> None:
    found = points("train/demo", "branch=demo_short,demo_long", "stages.decay.seed=1,2")
    assert [point.group for point in found] == ["branch=demo_short"] * 2 + ["branch=demo_long"] * 2
    assert [point.seeds for point in found[:2]] == [{"seed": "1"}, {"seed": "2"}]
    assert len({point.name for point in found}) == 4


def test_a_page_has_points_and_a_grid_which_are_multiplied(tmp_path: Path) -> None:
    mine = page(
        tmp_path,
        "page: train/demo\noverrides: [root=here]\npoints: {web: [], qa: ['branch=demo_short', 'stages.decay.steps=9']}\n"
        "grid: {stages.decay.lr.peak: [1.0e-3, 2.0e-3]}\n",
    )
    found = points(mine)
    assert [point.name for point in found] == ["web peak=0.001", "web peak=0.002", "qa peak=0.001", "qa peak=0.002"]
    assert found[2].overrides == ("root=here", "branch=demo_short", "stages.decay.steps=9", "stages.decay.lr.peak=0.001")
    assert found[2].values == {"point": "qa", "peak": "0.001"}


def test_a_list_of_grids_is_their_union(tmp_path: Path) -> None:
    mine = page(
        tmp_path, "page: train/demo\ngrid:\n  - {stages.decay.steps: [8, 9]}\n  - {seed: 'range(1,3)', branch: [demo_short]}\n"
    )
    assert [point.name for point in points(mine)] == [
        "steps=8",
        "steps=9",
        "branch=demo_short seed=1",
        "branch=demo_short seed=2",
    ]


def test_yaml_values_become_hydras_grammar(tmp_path: Path) -> None:
    mine = page(tmp_path, "page: train/demo\ngrid: {a.b: [true, 1.0e-5, [x, 2], {c: 0.5, d: [1]}]}\n")
    assert [point.overrides[-1] for point in points(mine)] == ["a.b=true", "a.b=1e-05", "a.b=[x,2]", "a.b={c:0.5,d:[1]}"]


def test_the_command_line_takes_the_place_of_a_pages_axis(tmp_path: Path) -> None:
    mine = page(tmp_path, "page: train/demo\ngrid: {branch: [demo_short, demo_long], stages.decay.steps: [8, 9]}\n")
    assert len(points(mine)) == 4
    assert [point.name for point in points(mine, "stages.decay.steps=7", "seed=1")] == ["branch=demo_short", "branch=demo_long"]
    assert len(points(mine, "stages.decay.steps=5,6,7")) == 6
    assert len(points(mine, "stages.stable.steps=20,30")) == 8


def test_the_share_rest_is_what_the_others_leave() -> None:
    recipe = load("train/demo", ["branches={qa:{blend:{demo_web:rest,demo_instruction:0.1}}}", "branches.qa.blend.demo_qa=0.3"])
    assert isinstance(recipe, TrainRecipe)
    assert recipe.branches["qa"].blend == {"demo_web": 0.6, "demo_instruction": 0.1, "demo_qa": 0.3}
    alone = load("train/demo", ["stages.stable.blend={demo_web:rest}"])
    assert isinstance(alone, TrainRecipe)
    assert alone.trainings["stable"].blend == {"demo_web": 1.0}


@pytest.mark.parametrize(
    ("blend", "message"),
    [
        ("{demo_web:rest,demo_qa:rest}", "demo_web, demo_qa have the share `rest`; one dataset may have it"),
        ("{demo_web:rest,demo_qa:1.0}", "demo_web has the share `rest`, but the others leave 0; lower demo_qa"),
        ("{demo_web:rest,demo_qa:much}", "demo_qa has the share 'much'; one dataset may have it, the others numbers"),
    ],
)
def test_a_rest_that_is_none_is_refused(blend: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        load("train/demo", [f"stages.stable.blend={blend}"])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("sweep/dmeo", [], "there is no sweep, page or .yaml file 'sweep/dmeo'; did you mean 'sweep/demo'?"),
        ("train/demo", [], "train/demo sweeps nothing: give an override several values (key=1,2), or write points or a grid"),
        ("train/demo", ["branch=demo_short"], "train/demo sweeps nothing"),
        ("train/demo", ["branch=glob(*)"], "glob_choice_sweep is not for sweeps; write a,b or choice(a,b) or range(1,5)"),
        ("train/demo", ["seed=interval(0,1)"], "interval_sweep is not for sweeps"),
        ("train/demo", ["seed=range(3,3)"], "there is no value in this range"),
        ("train/demo", ["branch=demo_short,demo_short"], "the point 'branch=demo_short' is there twice"),
        ("train/demo", ["branch=[a"], "cannot read the override 'branch=[a'; write it as key=value"),
        ("train/demo", ["seed=range(0,5000)"], "more than 1,000 points"),
        ("sweep/demo", ["branch=demo_short,,"], "cannot read the override"),
    ],
)
def test_what_is_no_sweep_is_named(name: str, overrides: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        points(name, *overrides)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("page: train/demo\ngird: {a: [1]}\n", [], "unknown key 'gird'; did you mean 'grid'?"),
        ("page: train/demo\ngrid: {a: '5'}\n", [], "grid.a=5 is one value; write a list, range(…) or choice(…)"),
        ("page: train/demo\ngrid: {a: ['1,2']}\n", [], "grid.a: '1,2' is several values; put each into the list by itself"),
        ("page: train/demo\npoints: {one: ['a=1,2']}\n", [], "points.one: a=1,2 is several values; a point has one"),
        ("page: train/demo\npoints: {one: ['a=1']}\ncontrol: oen\n", [], "control='oen' is no point; did you mean 'one'?"),
        ("page: train/demo\npoints: {one: ['a=1']}\n", ["a=2"], "a=2: the points of this sweep differ in a, which 'one' sets"),
        ("page: train/demo\nmetrics: [score]\ngrid: {a: [1]}\n", [], "metrics.0: Input should be 'validation', 'bits_per_byte'"),
        ("- page\n", [], "is no sweep page: write `page:` and a `grid:` or `points:`"),
        ("page: [\n", [], "is no YAML"),
    ],
)
def test_a_mistake_on_a_page_is_named(tmp_path: Path, text: str, overrides: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as caught:
        points(page(tmp_path, text), *overrides)
    assert message in str(caught.value)
