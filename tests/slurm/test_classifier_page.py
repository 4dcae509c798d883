"""What a page's train_classifier and score stages read: stages further up the page, or files; a mistyped name is told."""

from pathlib import Path

import pytest

from recipes.stage import Stage
from slurm.plan import plan

RECALL = "curate/crawl_math_recall"


def classifier(*overrides: str) -> Stage:
    return next(stage for stage in plan(RECALL, overrides).stages if (stage.page, stage.name) == (RECALL, "classifier"))


def test_a_recall_round_trains_on_the_seeds_and_on_its_new_grades() -> None:
    inputs = classifier().inputs
    assert list(inputs) == ["examples/0", "examples/1"]
    assert inputs["examples/0"].location.endswith("seeds/math_examples.jsonl.gz")
    assert Path(inputs["examples/1"].location).name == "examples.jsonl"
    assert Path(str(inputs["examples/1"].stage)).name.startswith("grades-")


def test_one_file_of_examples_is_the_same_with_and_without_brackets() -> None:
    one, listed = classifier("stages.classifier.examples=grades"), classifier("stages.classifier.examples=[grades]")
    assert list(one.inputs) == ["examples"]
    assert one.fingerprint == listed.fingerprint


def test_the_order_of_examples_is_part_of_the_identity() -> None:
    assert classifier().fingerprint != classifier("stages.classifier.examples=[grades,seeds/math_examples.jsonl.gz]").fingerprint


@pytest.mark.parametrize(
    ("page", "override", "problem"),
    [
        (
            "curate/demo_web",
            "+stages.scores={do: score, model: clasifier}",
            "stages.scores.model: nor is clasifier a train_classifier stage above it; did you mean 'classifier'?",
        ),
        (
            "curate/demo_web",
            "stages.math.filters.math_classifier.model=extract",
            "math_classifier.model: nor is extract a train_classifier stage above it; valid names: classifier",
        ),
        (RECALL, "stages.classifier.examples=[grade]", "examples: nor is grade a label stage above it; did you mean 'grades'?"),
        (RECALL, "stages.sample.sites=site", "sites: nor is site a discover_domains stage above it; did you mean 'sites'?"),
    ],
)
def test_a_mistyped_name_of_a_stage_names_the_stages_there_are(page: str, override: str, problem: str) -> None:
    problems = plan(page, (override,)).problems
    assert any(told.endswith(problem) for told in problems), problems


def test_of_a_path_that_is_missing_no_stage_is_told() -> None:
    problems = plan("curate/demo_web", ("+stages.scores={do: score, model: models/math.bin}",)).problems
    assert problems == ["stages.scores.model: no file matches models/math.bin"]
