"""Readiness cards in the report: a verdict a check and checkpoint, the figures behind them, and no card that breaks a page."""

from pathlib import Path
from typing import Any

import pytest
from browser import assert_fits, open_at, scrolled, unfold
from report_files import HOSTILE, change
from report_page import Page

from pretrain.readiness.card import card
from recipes.manifest import publish, read_manifest
from recipes.report.make import render
from recipes.schema.readiness import Limits
from recipes.stage import Input, Stage, write_stage


def figure(mean: float, wide: float = 0.1) -> dict[str, Any]:
    return {"mean": mean, "low": mean - wide, "high": mean + wide, "problems": 40}


def shown(right: float, stopped: float) -> dict[str, Any]:
    """What a stage of answers leaves."""
    shares = {"right": right, "stopped": stopped, "truncated": 1 - stopped, "mixed_groups": 0.5, "loops": 0.0, "boxed": 0.6}
    figures = {name: figure(share) for name, share in shares.items()} | {"tokens": figure(200.5, 20), "entropy": figure(0.9)}
    by_k = {str(k): figure(min(0.9, right * k)) for k in (1, 2, 4)}
    completed = {"benchmark": figure(0.3), "control": figure(0.25), "difference": figure(0.05)}
    return {
        "checkpoint": {"config.json": "0" * 64},
        "checks": {
            "template": {"verdict": "concern", "told": f"its chat template writes {HOSTILE}"},
            "loads_vllm": {"verdict": "not measured", "told": "not installed"},
        },
        "counts": {"problems": 40, "answers": 160},
        "figures": figures,
        "pass_at_k": by_k,
        "forced": {"figures": figures, "pass_at_k": by_k},
        "lengths": {"bins": [[64, 128, 10, 50], [128, 256, 40, 60]], "quantiles": {"0.5": 140}},
        "contamination": {"completed": completed, "longest_match": completed},
    }


def made(root: Path, name: str, found: dict[str, Any]) -> Path:
    stage = Stage(
        "prove/demo", f"readiness_{name}", "pretrain", "readiness", 1, {}, {"checkpoint": Input("hf", "of")}, {}, "f", root / name
    )
    write_stage(stage)
    content = card(stage, found, Limits())
    publish(stage, counts=found["counts"], started=0.0, details={"readiness": content})
    return stage.folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("cards")
    return [made(root, "short", shown(0.2, 0.95)), made(root, "long", shown(0.1, 0.2))]


@pytest.fixture(scope="module")
def page(folders: list[Path]) -> Page:
    return Page(render("prove/demo", folders))


def test_a_row_a_check_has_a_verdict_a_checkpoint(page: Page) -> None:
    rows = {row[0]: [" ".join(cell.split()) for cell in row[1:]] for row in page.rows if row}
    assert rows["stops by itself concern below 90.0 %, fail below 50.0 %"] == [
        "concern 95.0 % 85.0 % – 105.0 %",
        "fail 20.0 % 10.0 % – 30.0 %",
    ]
    assert rows["loads in vllm"] == ["not measured", "not measured"]
    assert rows["entropy, nats a token concern below 0.10, fail below 0.02"][0] == "pass 0.90 0.80 – 1.00"
    assert [told for told in rows["template"] if "its chat template writes <script>" in told] == rows["template"]


def test_figures_of_answers_and_of_the_contamination_probe_are_told(page: Page) -> None:
    assert page.find_rows("tokens an answer") == [["tokens an answer", "200.5 180.5 – 220.5", "200.5 180.5 – 220.5"]]
    assert page.find_rows("groups: all wrong") == [["groups: all wrong", "–", "–"]]
    (first, _) = page.find_rows("short")
    assert first == [
        "short", "all, word for word", "30.0 % 20.0 % – 40.0 %", "25.0 % 15.0 % – 35.0 %", "5.0 % -5.0 % – 15.0 %",
    ]  # fmt: skip
    assert page.faults == []
    assert not [tag for tag, _ in page.elements if tag in ("script", "img")]


def test_pass_at_k_and_lengths_are_drawn(folders: list[Path]) -> None:
    text = render("prove/demo", folders)
    plot = text.split('aria-label="A right answer among k, asked plainly"')[1].split("</svg>")[0]
    assert plot.count('<path class="line') == 2
    assert "128 to 255 tokens: 40 right, 60 wrong" in text
    assert text.count('aria-label="Lengths of answers of ') == 2


@pytest.mark.parametrize(
    "spoilt",
    [
        {"figures": None, "pass_at_k": {"1": {}, "x": 3}, "lengths": {"bins": [3], "quantiles": []}},
        {
            "checks": {"stopped": {"verdict": None, "figure": {"mean": "much"}, "limit": {"fail": "x"}}},
            "contamination": {"completed": 3},
        },
        {"checks": {}},
        {"pass_at_k": {"1": figure(0.5)}, "forced": None, "budgets": 7},
    ],
)
def test_a_card_that_lacks_or_mistypes_things_breaks_no_page(tmp_path: Path, spoilt: dict[str, Any]) -> None:
    folder = made(tmp_path, "odd", shown(0.2, 0.95))
    content = card_of(folder) | spoilt
    change(folder, details={"readiness": content})
    assert Page(render("prove/demo", [folder])).faults == []


def card_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_manifest(folder)["details"]["readiness"]
    return found


def test_four_checkpoints_stand_beside_each_other_in_a_window(browser: Any, tmp_path: Path) -> None:
    folders = [made(tmp_path, name, shown(0.2, 0.2)) for name in ("base", "short", "long", "hybrid")]
    file = tmp_path / "report.html"
    file.write_text(render("prove/demo", folders))
    open_at(browser, file, 1280)
    assert scrolled(browser, "readiness") == []


def test_failed_checks_are_told_first_and_among_what_is_worth_knowing(folders: list[Path]) -> None:
    text = render("prove/demo", folders)
    assert '<dt>Checkpoints asked</dt><dd>2</dd><dd class="note">1 failed a check of readiness</dd>' in text
    concerns = text.split('id="concerns"')[1]
    assert "2 checks of readiness for reinforcement learning failed: stops by itself (20.0\u00a0%), cut off at" in concerns
    assert text.index('id="readiness"') < text.index('id="concerns"')
    assert "prove/demo/readiness_short" not in concerns.split("</section>")[0]


@pytest.mark.parametrize("width", [1280, 400])
def test_the_cards_fit_a_window(browser: Any, folders: list[Path], tmp_path: Path, width: int) -> None:
    file = tmp_path / "report.html"
    file.write_text(render("prove/demo", folders))
    open_at(browser, file, width)
    unfold(browser)
    assert_fits(browser, width)
    assert browser.get_log("browser") == []
