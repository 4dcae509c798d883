"""Measured once, judged as often as thresholds change: the two stages of a filter, planned and run."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datatrove.data import Document

from curation.filters import FILTERS
from curation.pipeline import finish, run_rank
from curation.shards import read_shard
from recipes.schema import FILTER_PARAMETERS
from recipes.stage import Stage, write_stage
from slurm.plan import plan

WEB = "curate/demo_web"
PROSE = "We begin with the definition of the derivative, and then we prove the rules that make it possible to compute with it."
TEXTS = {
    "kept": PROSE,
    "blocked": PROSE,
    "short": "the definition of it",
    "german": "Wir beginnen mit der Definition der Ableitung, und dann beweisen wir die Regeln, mit denen man sie berechnet.",
    "repeated": "\n".join([PROSE] * 9),
}
FILTERS_ON_PAGE = "{url: {}, length: {min_words: 10}, language: {}, repetition: {}}"


def stages(*overrides: str, page: str = WEB) -> dict[str, Stage]:
    return {stage.name: stage for stage in plan(page, overrides).stages if stage.page == page}


def changed(*overrides: str) -> set[str]:
    before, after = stages(), stages(*overrides)
    return {name for name in before if before[name].fingerprint != after[name].fingerprint}


# ---------------------------------------------------------------------------------------------------- identity


@pytest.mark.parametrize(
    "override",
    [
        "stages.clean.filters.words.min_stop_words=3",
        "stages.clean.filters.language.min_score=0.8",
        "stages.clean.filters.language.languages=[en,de]",
        "stages.clean.filters.repetition.max_top_ngram_share={2: 0.3}",
        "stages.clean.filters.boilerplate.max_line_share=0.5",
    ],
)
def test_a_changed_threshold_leaves_the_measurements_as_they_are(override):
    remade = changed(override)
    assert "clean" in remade
    assert "clean_features" not in remade


def test_the_order_of_filters_changes_decisions_alone():
    remade = changed("~stages.clean.filters.length", "+stages.clean.filters.length={}")
    assert "clean" in remade
    assert "clean_features" not in remade


def test_another_list_and_another_content_of_a_list_are_measured_anew(tmp_path):
    def features(content: str) -> str:
        (tmp_path / "own.txt").write_text(content)
        own = f"stages.clean.filters.url.domain_lists=[{tmp_path}/own.txt]"
        return stages(own, f"root={tmp_path}")["clean_features"].fingerprint

    one = features("# own, 2026-01\na.example\n")
    assert one != features("# own, 2026-01\nb.example\n") != stages()["clean_features"].fingerprint
    assert one == features("# own, 2026-01\na.example\n")


def test_a_list_that_is_not_there_is_a_problem_of_the_plan():
    problems = plan(WEB, ("stages.clean.filters.url.domain_lists=[blocked_domain]",)).problems
    assert "stages.clean.filters.url.domain_lists.0: no file matches blocked_domain" in problems


def test_a_score_is_measured_by_the_model_and_judged_by_the_threshold():
    assert changed("stages.classifier.epochs=11") >= {"classifier", "math_features", "math"}
    assert not changed("stages.math.filters.math_classifier.min_score=0.7") & {"classifier", "math_features"}


@pytest.mark.parametrize("shares", ["max_top_ngram_share={5: 0.1}", "max_duplicate_ngram_share={4: 0.1}"])
def test_ngrams_that_are_not_measured_are_refused(shares):
    with pytest.raises(ValueError, match="ngram_share"):
        plan(WEB, (f"stages.clean.filters.repetition.{shares}",))


# ---------------------------------------------------------------------------------------------------- running


def run(root: Path, *overrides: str, texts: dict[str, str] | None = None, filters: str = FILTERS_ON_PAGE) -> dict[str, Stage]:
    """Both stages over the texts as one shard; stages that are finished stay as they are."""
    rows = [
        {"id": name, "text": text, "url": f"https://{'pornhub.com' if name == 'blocked' else 'a.example'}/{name}"}
        for name, text in (TEXTS if texts is None else texts).items()
    ]
    root.mkdir(exist_ok=True)
    (root / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = stages(
        f"root={root}/runs",
        "shards=1",
        f"sources.megamath_web_pro={{format: jsonl, path: {root}/texts.jsonl}}",
        "~stages.decontaminate",
        "~stages.tokenize",
        f"+stages.clean={{do: filter, filters: {filters}}}",
        *overrides,
        page="curate/megamath_web_pro",
    )
    for stage in made.values():
        if stage.room == "curation" and not stage.is_finished:
            write_stage(stage)
            run_rank(stage.folder, 0)
            finish(stage.folder)
    return made


def outcome(stage: Stage) -> dict[str, str]:
    kept = {doc.id: "kept" for doc in read_shard(stage.folder / "documents" / "00000.parquet")}
    for file in sorted((stage.folder / "dropped").rglob("*.parquet")):
        kept |= {doc.id: f"{file.parent.name}/{doc.metadata['dropped_because']}" for doc in read_shard(file)}
    return kept


def test_the_first_filter_that_says_no_names_the_reason(tmp_path):
    made = run(tmp_path)
    assert outcome(made["clean"]) == {
        "kept": "kept",
        "blocked": "url/blocked_domain",
        "short": "length/too_short",
        "german": "language/other_language",
        "repeated": "repetition/duplicate_lines",
    }
    manifest = json.loads((made["clean"].folder / "manifest.json").read_text())
    assert manifest["counts"]["documents_in"] == 5
    assert manifest["counts"]["documents_out"] == 1
    assert manifest["counts"]["dropped"]["length"] == {"documents": 1, "characters": len(TEXTS["short"])}
    assert manifest["counts"]["details"] == {
        "language": {"other_language": 1},
        "length": {"too_short": 1},
        "repetition": {"duplicate_lines": 1},
        "url": {"blocked_domain": 1},
    }


def test_documents_carry_what_was_measured_up_to_their_decision(tmp_path):
    made = run(tmp_path)
    (kept,) = read_shard(made["clean"].folder / "documents" / "00000.parquet")
    assert kept.metadata["num_words"] == 22
    assert kept.metadata["language"] == "en"
    assert kept.metadata["repetition"]["top_2gram"] == 0
    (short,) = read_shard(made["clean"].folder / "dropped" / "length" / "00000.parquet")
    assert short.metadata["num_words"] == 4
    assert "language" not in short.metadata


def test_a_lower_threshold_keeps_more_and_measures_nothing_again(tmp_path):
    before = run(tmp_path)
    written = (before["clean_features"].folder / "manifest.json").stat().st_mtime_ns
    after = run(tmp_path, "stages.clean.filters.length.min_words=3")
    assert after["clean"].folder != before["clean"].folder
    assert after["clean_features"].folder == before["clean_features"].folder
    assert (after["clean_features"].folder / "manifest.json").stat().st_mtime_ns == written
    assert outcome(after["clean"])["short"] == "kept"


def test_features_hold_every_measure_of_every_document_and_no_text(tmp_path):
    made = run(tmp_path)
    table = pq.read_table(made["clean_features"].folder / "features" / "00000.parquet")
    assert table["id"].to_pylist() == list(TEXTS)
    assert table["num_words"].to_pylist() == [22, 22, 4, 18, 198]
    assert table["language"].to_pylist() == ["en", "en", "en", "de", "en"]
    assert table["url_rule"].to_pylist() == ["", "blocked_domain", "", "", ""]
    assert "text" not in table.column_names
    columns = [name for kind in ("url", "length", "language", "repetition") for name in FILTERS[kind].columns]
    assert sorted(table.column_names) == sorted(["id", *columns])


def test_a_shard_without_documents_has_features_of_the_same_kind(tmp_path):
    empty, full = run(tmp_path / "a", "max_unreadable_records=1", texts={"empty": ""}), run(tmp_path / "b")
    schemas = [pq.read_schema(made["clean_features"].folder / "features" / "00000.parquet") for made in (empty, full)]
    assert schemas[0] == schemas[1]
    assert outcome(empty["clean"]) == {}


def test_features_of_other_documents_are_an_error(tmp_path):
    made = run(tmp_path)
    features, clean = (made[name].folder for name in ("clean_features", "clean"))
    path = features / "features" / "00000.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    (clean / "manifest.json").unlink()
    for record in (clean / "logs" / "ranks").iterdir():
        record.unlink()
    with pytest.raises(ValueError, match="does not hold the documents of its shard in their order"):
        run_rank(clean, 0)


def test_a_large_shard_is_judged_as_each_document_alone(tmp_path):
    """More documents than a batch, so that rows and documents meet across batches."""
    texts = {f"d{i}": " ".join([PROSE] * (i % 3) + ["word"] * (i % 17)) or "-" for i in range(1_300)}
    made = run(tmp_path, texts=texts, filters="{length: {min_words: 10}, words: {}, repetition: {}}")
    alone = [FILTERS[name](FILTER_PARAMETERS[name].model_validate(given)) for name, given in _filters(made["clean"]).items()]

    def decide(name: str, text: str) -> str:
        for step in alone:
            answer = step.filter(Document(text=text, id=name))
            if answer is not True:
                return f"{step.name}/{answer[1]}"
        return "kept"

    assert outcome(made["clean"]) == {name: decide(name, text) for name, text in texts.items()}


def _filters(stage: Stage) -> dict[str, Any]:
    filters: dict[str, Any] = stage.params["filters"]
    return filters
