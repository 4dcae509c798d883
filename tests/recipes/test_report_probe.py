"""What a report says of RL probes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from browser import assert_fits, open_at, scrolled
from report_files import HOSTILE, change
from report_page import Page

from pretrain.probe import judge
from recipes.manifest import publish
from recipes.report.make import render
from recipes.report.probe import read_probe
from recipes.report.record import read_records
from recipes.report.spread import Band, spread_svg
from recipes.stage import Stage, made, write_stage

BEFORE = {"long": 0.2, "short": 0.4}
AFTER = {("long", "answer"): 0.65, ("long", "random"): 0.25, ("short", "answer"): 0.5, ("short", "random"): 0.4}
STEPS, PROBLEMS = 12, 100


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two checkpoints, of which the one that is worse before is better after; one run of it fills its tokens."""
    root = tmp_path_factory.mktemp("probed")
    runs = {
        f"run/{name}/{arm}/{number}": probed(root, name, arm, number)
        for name in BEFORE
        for arm in ("answer", "random")
        for number in (1, 2)
    }
    params = {"seed": 1, "collapse": {}}
    inputs = {role: made(stage) for role, stage in runs.items()}
    verdict = Stage(
        "prove/demo", "probe_verdict", "pretrain", "probe_verdict", 1, params, inputs, {}, "v", root / "probe_verdict-v"
    )
    write_stage(verdict)
    judge.run(verdict)
    return [stage.folder for stage in runs.values()] + [verdict.folder]


def probed(root: Path, name: str, arm: str, number: int) -> Stage:
    """A finished run, as pretrain leaves it."""
    named = f"probe_{name}_{arm}_{number}"
    stage = Stage("prove/demo", named, "pretrain", "probe", 1, {"arm": arm}, {}, {}, "f", root / f"{named}-f")
    write_stage(stage)
    shares = {"before": BEFORE[name], "after": AFTER[name, arm]}
    answers = [
        {"when": when, "problem": problem, "right": problem < round(PROBLEMS * share)}
        for when, share in shares.items()
        for problem in range(PROBLEMS)
    ]
    cut = 1.0 if (name, arm, number) == ("long", "answer", 2) else 0.1
    steps = [row(step, shares["before"], shares["after"], cut, number) for step in range(1, STEPS + 1)]
    for file, rows in (("held_out.jsonl", answers), ("steps.jsonl", steps)):
        (stage.folder / file).write_text("".join(json.dumps(one) + "\n" for one in rows))
    held_out = {when: {"right": share} for when, share in shares.items()}
    details = {"arm": arm, "run": number, "device": "cpu", "held_out": held_out}
    publish(stage, counts={"steps": STEPS}, started=0.0, details={"probe": details})
    return stage


def row(step: int, first: float, last: float, cut: float, number: int) -> dict[str, Any]:
    at = (step - 1) / (STEPS - 1)
    right = first + at * (last - first)
    figures = {"right": right, "reward": right, "length": 300 + 40 * number * at, "truncated": 0.1 + at * (cut - 0.1)}
    figures |= {"no_gradient": 0.3, "entropy": 0.8, "groups_all_right": 0.1, "groups_all_wrong": 0.2}
    return {"step": step, "rollouts": 64, "loss": 0.0, "grad_norm": 0.1, **figures}


@pytest.fixture(scope="module")
def text(folders: list[Path]) -> str:
    return render("prove/demo", folders)


def test_a_verdict_stands_beside_base_scores_the_control_and_what_collapsed(text: str) -> None:
    page = Page(text)
    assert page.faults == []
    [long] = page.find_rows("long")
    assert long[1].startswith("learned collapsed: answer 2: truncated, 0.1")
    assert [cell.split()[0] for cell in long[2:4]] == ["+40.0", "+45.0"]
    assert [cell.split(" %")[0] for cell in long[4:7]] == ["20.0", "65.0", "25.0"]
    assert long[7:] == ["2", "100"]
    [short] = page.find_rows("short")
    assert short[1] == "learned"


def test_checkpoints_are_compared_in_pairs_and_base_scores_are_said_to_choose_none(text: str) -> None:
    [pair] = Page(text).find_rows("long over short")
    assert [cell.split()[0] for cell in pair[1:3]] == ["-20.0", "+15.0"]
    assert pair[3:] == ["long", "another than before"]
    assert "base scores choose no branch" in text
    assert "says nothing of the data" in text


def test_arms_stand_beside_each_other_on_the_same_axes_with_the_spread_over_seeds(folders: list[Path]) -> None:
    probe = read_probe(read_records(folders), {"long": 4, "short": 2})
    assert probe is not None
    length = next(figure for figure in probe.figures if figure.title == "Length of answers")
    (_, ours), (_, control) = length.plots
    assert ours.count('class="spread') == control.count('class="spread') == 2
    ticks = [part.split(">")[1].split("<")[0] for part in ours.split('class="tick end"')[1:]]
    assert ticks == [part.split(">")[1].split("<")[0] for part in control.split('class="tick end"')[1:]]
    assert probe.legend == [("long", 4), ("short", 2)]


def test_a_collapse_is_told_among_what_is_worth_knowing(text: str) -> None:
    assert "prove/demo/probe_long_answer_2" in text.split('id="concerns"')[1]
    assert "this run of the probe collapsed: truncated (0.1" in text


def test_equal_lines_are_dashed_in_turn_and_zeros_stand_on_an_axis_from_zero() -> None:
    zeros = [(1.0, 0.0, 0.0, 0.0), (2.0, 0.0, 0.0, 0.0)]
    drawn = spread_svg([Band("a", 1, zeros), Band("b", 2, zeros)], title="t", y_label="share", low=0.0, high=0.0)
    lines = [part.split("/>")[0] for part in drawn.split('<path class="line ')[1:]]
    assert [line.partition(" d=")[0] for line in lines] == [
        'c1" stroke-dasharray="7 7" stroke-dashoffset="0"',
        'c2" stroke-dasharray="7 7" stroke-dashoffset="-7"',
    ]
    ticks = [part.split(">")[1].split("<")[0] for part in drawn.split('class="tick end"')[1:]]
    assert (ticks[0], ticks[-1]) == ("0.0", "1.0")


def test_without_a_verdict_there_are_curves_and_no_words_of_one(folders: list[Path]) -> None:
    text = render("prove/demo", folders[:3], missing=["prove/demo/probe_verdict"])
    page = Page(text)
    assert page.faults == []
    assert "The verdict is not there yet" in text
    assert page.find_rows("long over short") == []
    assert 'class="line c1"' in text


def test_damaged_curves_and_hostile_names_do_not_break_the_page(folders: list[Path], tmp_path: Path) -> None:
    copies = [Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in folders]
    (copies[0] / "steps.jsonl").write_bytes(b'\xff\xfe\n[1]\n{"step": "x"}\n{"step": 1, "right": null}\n')
    (copies[1] / "steps.jsonl").unlink()
    verdict = json.loads((copies[-1] / "manifest.json").read_text())["details"]["probe"]
    verdict["warnings"] = [HOSTILE]
    verdict["checkpoints"] = {HOSTILE: {"verdict": HOSTILE, "before": {"mean": None}}}
    verdict["pairs"] = [{"first": HOSTILE}, 3]
    change(copies[-1], details={"probe": verdict})
    text = render("prove/demo", copies)
    assert Page(text).faults == []
    assert "<script>alert" not in text


@pytest.mark.parametrize("width", [1280, 400])
def test_the_section_fits_a_window(browser: Any, text: str, tmp_path: Path, width: int) -> None:
    file = tmp_path / "report.html"
    file.write_text(text)
    open_at(browser, file, width)
    assert_fits(browser, width)
    if width == 1280:
        assert scrolled(browser, "probe") == []
    assert browser.execute_script("return document.querySelectorAll('#probe svg').length") == 12
