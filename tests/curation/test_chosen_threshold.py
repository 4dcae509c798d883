"""`min_score: chosen`: what a stage of the page chose is what a filter judges by, and a score is asked of the model once."""

import json
from pathlib import Path
from typing import Any

import pytest

from curation.classifier.thresholds import read_chosen
from recipes.manifest import read_manifest
from recipes.stage import Stage
from slurm.plan import plan
from tests.curation.classifier_texts import BAD, GOOD, texts, write_examples
from tests.curation.small_page import documents, run, stages

FILTER = {"do": "filter", "filters": {"math_classifier": {"model": "classifier", "min_score": "chosen"}}}
SCORES = {"do": "score", "model": "classifier"}
PER_YEAR = {"do": "choose_threshold", "scores": "scores", "token_budget": 100, "per_year": True}
DATES = ["2020-01-01", "2021-06-30", "2022-01-01", None]
ALL_TEXTS = texts(GOOD, 16, 8) + texts(BAD, 16, 9) + texts(GOOD + BAD, 16, 10)
WEB, RECALL = "curate/crawl_math_web", "curate/crawl_math_recall"
OF_WEB = "made:curate/crawl_math_web/classifier/model.bin"


def page(folder: Path, spec: dict[str, dict[str, Any]], shards: int = 1) -> dict[str, Stage]:
    """A page with a small classifier, over documents of three years and of none."""
    folder.mkdir(exist_ok=True)
    small = {"dim": 8, "buckets": 1_000, "min_count": 1, "epochs": 10, "learning_rate": 0.5}
    classifier = {"do": "train_classifier", "examples": str(write_examples(folder / "examples.json")), **small}
    return stages(folder, ALL_TEXTS, {"classifier": classifier} | spec, shards=shards, dates=DATES * 12)


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stage]:
    """By a budget for each year. The model is gone before the filter's stages begin."""
    planned = page(
        tmp_path_factory.mktemp("chosen") / "page", {"scores": SCORES, "threshold": PER_YEAR, "math": FILTER}, shards=2
    )
    run({name: stage for name, stage in planned.items() if not name.startswith("math")})
    (planned["classifier"].folder / "model.bin").unlink()
    run(planned)
    return planned


def test_each_document_is_judged_by_the_threshold_of_its_year(chosen: dict[str, Stage]) -> None:
    thresholds = json.loads((chosen["threshold"].folder / "thresholds.json").read_text())
    limits = {year: thresholds[year]["min_score"] for year in ("2020", "2021", "2022", "all")}
    assert len(set(limits.values())) > 1
    kept = documents(chosen["math"])
    dropped = documents_dropped(chosen["math"])
    assert len(kept) + len(dropped) == len(ALL_TEXTS)
    for doc in kept + dropped:
        limit = limits[doc["date"][:4] if doc["date"] else "all"]
        assert (doc["math_score"] >= limit) == (doc in kept)


def documents_dropped(stage: Stage) -> list[dict[str, Any]]:
    from curation.shards import read_shard

    files = sorted((stage.folder / "dropped" / "math_classifier").glob("*.parquet"))
    return [{"id": doc.id, "text": doc.text, **doc.metadata} for file in files for doc in read_shard(file)]


def test_thresholds_are_on_record_with_what_each_kept(chosen: dict[str, Stage]) -> None:
    manifest = read_manifest(chosen["math"].folder)
    assert manifest["details"]["chosen"]["math_classifier"]["min_score"] == read_chosen(chosen["threshold"].folder)
    thresholds = read_manifest(chosen["threshold"].folder)["details"]["thresholds"]
    judged = manifest["counts"]["judged_by"]["math_classifier"]
    assert judged.keys() == {"2020", "2021", "2022", "all"}
    assert {sum(counts.values()) for counts in judged.values()} == {12}
    assert [judged[year]["kept"] for year in ("2020", "2021", "2022")] == [thresholds[y]["documents"] for y in sorted(judged)[:3]]
    assert judged["all"]["kept"] == thresholds["unknown"]["documents"]  # of no year: by the threshold of all


def test_scores_of_a_filter_are_read_by_a_score_stage_behind_it(tmp_path: Path) -> None:
    measured = {
        "do": "filter",
        "filters": {"length": {"min_words": 1}, "math_classifier": {"model": "classifier", "min_score": 0.5}},
    }
    planned = page(tmp_path, {"math": measured, "dedup": {"do": "dedup"}, "scores": SCORES, "threshold": PER_YEAR})
    run({name: stage for name, stage in planned.items() if name not in ("scores", "threshold")})
    (planned["classifier"].folder / "model.bin").unlink()
    run(planned)
    scores = read_manifest(planned["scores"].folder)
    assert scores["inputs"]["scores"]["made_by"].split("/")[-1].startswith("math_features-")
    kept = read_manifest(planned["dedup"].folder)["counts"]["documents_out"]
    assert scores["counts"]["documents_in"] == sum(scores["counts"]["scores"]["math_score"].values()) == kept < len(ALL_TEXTS)


def test_texts_that_changed_since_are_scored_anew(tmp_path: Path) -> None:
    planned = page(tmp_path, {"scores": SCORES, "threshold": PER_YEAR, "tidy": {"do": "clean"}, "math": FILTER})
    assert "scores/math_classifier" not in planned["math_features"].inputs


def test_without_a_choice_on_the_page_the_classifiers_own_threshold_holds(tmp_path: Path) -> None:
    planned = page(tmp_path, {"math": FILTER})
    run(planned)
    limit = read_manifest(planned["classifier"].folder)["details"]["chosen"]["min_score"]
    manifest = read_manifest(planned["math"].folder)
    assert manifest["details"]["chosen"] == {"math_classifier": {"min_score": {"all": limit}}}
    assert min(doc["math_score"] for doc in documents(planned["math"])) >= limit
    assert "judged_by" not in manifest["counts"]


def test_another_choice_remakes_the_judgement_and_measures_nothing_again(tmp_path: Path) -> None:
    spec = {"scores": SCORES, "threshold": PER_YEAR, "math": FILTER}
    one, other = page(tmp_path, spec), page(tmp_path, spec | {"threshold": PER_YEAR | {"token_budget": 200}})
    assert {name for name in one if one[name].fingerprint != other[name].fingerprint} == {"threshold", "math"}


# ---------------------------------------------------------------------------------------------------- who chose


def choosers(*overrides: str, page: str = RECALL) -> list[str]:
    math = f"+stages.math={{do: filter, filters: {{math_classifier: {{model: '{OF_WEB}', min_score: chosen}}}}}}"
    planned = plan(page, (*overrides, math))
    inputs = next(stage.inputs for stage in planned.stages if stage.page == page and stage.name == "math")
    (note,) = (text for text in planned.warnings if text.startswith(f"{page}/math"))
    by = next(stage for stage in planned.stages if str(stage.folder) == inputs["chosen/math_classifier"].stage)
    return [note, f"{by.page}/{by.name}"]


def test_a_plan_names_the_stage_that_will_choose() -> None:
    assert choosers() == [f"{RECALL}/math: min_score is chosen by {RECALL}/threshold", f"{RECALL}/threshold"]


def test_where_the_page_does_not_choose_the_models_page_does() -> None:
    assert choosers("~stages.threshold")[1] == f"{WEB}/classifier"
    on_web = (
        "+crawl_math_web:stages.scores={do: score, model: classifier}",
        "+crawl_math_web:stages.limit={do: choose_threshold, scores: scores, token_budget: 1000}",
    )
    assert choosers("~stages.threshold", *on_web)[1] == f"{WEB}/limit"


def test_a_choice_that_nobody_or_several_make_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "own.bin").write_bytes(b"model")
    own = f"+stages.math={{do: filter, filters: {{math_classifier: {{model: {tmp_path}/own.bin, min_score: chosen}}}}}}"
    with pytest.raises(
        ValueError, match=r"stages.math: min_score=chosen, but nothing chose a threshold for .*own.bin: put a score"
    ):
        plan("curate/web_files", (own,))
    with pytest.raises(ValueError, match=r"several stages of curate/crawl_math_recall chose .*: threshold, second; leave one"):
        choosers("+stages.second={do: choose_threshold, scores: scores, token_budget: 5}")


@pytest.mark.parametrize(
    ("min_score", "problem"),
    [
        ("high", "'high' is no score from 0 to 1"),
        ("1.5", "1.5 is no score from 0 to 1"),
        ("{2024: 0.5}", "it has no score for `all` other documents"),
        ("{24: 0.5, all: 0.5}", "'24' is no year"),
        ("{2024: 2, all: 0.5}", "2 is no score from 0 to 1"),
    ],
)
def test_thresholds_that_are_none_are_refused(min_score: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"{problem}; set a number, chosen or"):
        plan("curate/demo_web", (f"stages.math.filters.math_classifier.min_score={min_score}",))


def test_thresholds_by_year_may_stand_on_the_page(tmp_path: Path) -> None:
    by_year: Any = {"2020": 0.0, "2021": 1.0, "all": 0.5}
    filters = {"math_classifier": {"model": "classifier", "min_score": by_year}}
    planned = page(tmp_path, {"math": {"do": "filter", "filters": filters}})
    run(planned)
    years = [doc["date"][:4] for doc in documents(planned["math"]) if doc["date"]]
    assert years.count("2020") == 12
    assert read_manifest(planned["math"].folder)["counts"]["judged_by"]["math_classifier"]["2020"] == {"kept": 12}


def test_a_classifier_without_good_examples_held_out_chose_nothing(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"details": {"chosen": None}}))
    with pytest.raises(ValueError, match="chose no threshold: no good example was held out; raise validation_share"):
        read_chosen(tmp_path)
