import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datatrove.data import Document

from curation.book import Book
from curation.classifier import load_model, score, train
from curation.classifier.domains import discover_domains
from curation.classifier.scores import SCHEMA, WriteScores, score_by
from curation.classifier.thresholds import choose_threshold
from curation.pipeline import finish, num_ranks, run_rank
from recipes.manifest import read_manifest
from recipes.schema import ChooseThresholdStage, DiscoverDomainsStage, TrainClassifierStage
from recipes.stage import Stage, write_stage
from slurm.plan import plan
from tests.curation.classifier_texts import BAD, GOOD, texts, write_examples, write_rows


def quiet(done: int, total: int) -> None:
    pass


def scored(path: Path, rows: list[tuple[str | None, int | None, int, float]]) -> Path:
    """Rows of site, year, characters, score."""
    columns = list(zip(*[(f"d{number}", *row) for number, row in enumerate(rows)], strict=True)) or [()] * len(SCHEMA)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, SCHEMA.types, strict=True)]
    pq.write_table(pa.table(arrays, schema=SCHEMA), path)
    return path


# ---------------------------------------------------------------------------------------------------- sites


def test_sites_with_enough_good_pages_are_found_the_most_hits_first(tmp_path: Path) -> None:
    first = [("good.example", None, 1, 0.9)] * 6 + [("poor.example", None, 1, 0.2)] * 20 + [(None, None, 1, 0.9)] * 3
    second = [("good.example", None, 1, 0.1)] * 4 + [("poor.example", None, 1, 0.5)] * 2 + [("tiny.example", None, 1, 1.0)] * 9
    second += [("best.example", None, 1, 0.6)] * 12
    files = [scored(tmp_path / "0.parquet", first), scored(tmp_path / "1.parquet", second), scored(tmp_path / "2.parquet", [])]
    params = DiscoverDomainsStage(do="discover_domains", scores="scores")
    counts, details = discover_domains(files, params, tmp_path / "out", progress=quiet)
    lines = (tmp_path / "out" / "sites.tsv").read_text().splitlines()
    # poor.example: 2 of 22 pages; tiny.example has 9 pages, of the 10 that it would need
    assert lines == ["# site\tpages\thits\tshare", "best.example\t12\t12\t1.0000", "good.example\t10\t6\t0.6000"]
    assert counts == {
        "documents": 56,
        "documents_without_site": 3,
        "sites": 4,
        "sites_found": 2,
        "pages_of_sites_found": 22,
        "hits_of_sites_found": 18,
    }
    assert details["sites"][1] == {"site": "good.example", "pages": 10, "hits": 6, "share": 0.6}
    loose = params.model_copy(update={"min_share": 0.05, "min_pages": 9})
    assert discover_domains(files, loose, tmp_path / "out", progress=quiet)[0]["sites_found"] == 4


def test_without_sites_the_list_is_empty(tmp_path: Path) -> None:
    files = [scored(tmp_path / "0.parquet", [(None, None, 1, 0.9)])]
    counts, details = discover_domains(files, DiscoverDomainsStage(do="discover_domains", scores="s"), tmp_path, progress=quiet)
    assert (counts["documents_without_site"], counts["sites_found"], details["sites"]) == (1, 0, [])
    assert (tmp_path / "sites.tsv").read_text() == "# site\tpages\thits\tshare\n"


# ---------------------------------------------------------------------------------------------------- thresholds


def params(**given: Any) -> ChooseThresholdStage:
    return ChooseThresholdStage.model_validate({"do": "choose_threshold", "scores": "s", "characters_per_token": 4, **given})


def test_the_threshold_is_the_highest_that_fills_the_budget(tmp_path: Path) -> None:
    rows = [(None, 2020 + number % 2, 400, number / 100) for number in range(100)]
    files = [scored(tmp_path / "0.parquet", [*rows[:50]]), scored(tmp_path / "1.parquet", [*rows[50:]])]
    found = choose_threshold(files, params(token_budget=1_000), tmp_path / "out", progress=quiet)["thresholds"]
    assert list(found) == ["all"]
    assert {key: found["all"][key] for key in ("min_score", "is_full", "documents", "tokens")} == {
        "min_score": 0.9,
        "is_full": True,
        "documents": 10,
        "tokens": 1_000,
    }
    assert found["all"]["at_thresholds"][5] == {"threshold": 0.5, "documents": 50, "tokens": 5_000}
    assert json.loads((tmp_path / "out" / "thresholds.json").read_text()) == found
    above = choose_threshold(files, params(token_budget=1_001), tmp_path, progress=quiet)["thresholds"]["all"]
    assert (above["min_score"], above["documents"]) == (0.89, 11)


def test_each_year_has_a_threshold_of_its_own(tmp_path: Path) -> None:
    rows = [
        (None, year, 400, score) for year, scores in ((2020, (0.9, 0.8)), (2021, (0.4, 0.3)), (None, (0.7,))) for score in scores
    ]
    found = choose_threshold(
        [scored(tmp_path / "0.parquet", [*rows])], params(token_budget=100, per_year=True), tmp_path, progress=quiet
    )["thresholds"]
    assert {year: row["min_score"] for year, row in found.items()} == {"2020": 0.9, "2021": 0.4, "all": 0.8, "unknown": 0.8}
    assert (found["all"]["documents"], found["unknown"]["documents"]) == (2, 0)  # two years, two budgets


def test_a_budget_that_is_never_full_keeps_all_and_says_so(tmp_path: Path) -> None:
    files = [scored(tmp_path / "0.parquet", [(None, None, 400, 0.0), (None, None, 400, 1.0)])]
    found = choose_threshold(files, params(token_budget=201), tmp_path, progress=quiet)["thresholds"]["all"]
    assert (found["min_score"], found["is_full"], found["documents"], found["tokens"]) == (0.0, False, 2, 200)


# ---------------------------------------------------------------------------------------------------- the loop


def test_scores_are_those_of_the_classifier_and_pass_nothing_on(tmp_path: Path) -> None:
    small = {"dim": 8, "buckets": 1_000, "min_count": 1, "epochs": 10, "learning_rate": 0.5}
    stage = TrainClassifierStage.model_validate({"do": "train_classifier", "examples": "", **small})
    train(stage, [write_examples(tmp_path / "examples.jsonl")], tmp_path, seed=1)
    docs = [Document(text=text, id=str(i), metadata={"url": f"http://a.example/{i}"}) for i, text in enumerate(texts(GOOD, 5, 9))]
    docs.append(Document(text="", id="empty", metadata={"date": "2019-05-01"}))
    book = Book(tmp_path)
    assert WriteScores(score_by(tmp_path / "model.bin"), book).run(iter(docs), 0, 1) is None
    rows = pq.read_table(tmp_path / "scores" / "00000.parquet").to_pylist()
    expected = score(load_model(tmp_path / "model.bin"), [doc.text for doc in docs])
    assert [row["score"] for row in rows] == [round(value, 4) for value in expected]
    assert rows[0] | {"score": 0} == {"id": "0", "site": "a.example", "year": None, "characters": len(docs[0].text), "score": 0}
    assert rows[-1] == {"id": "empty", "site": None, "year": 2019, "characters": 0, "score": 0.0}
    assert sum(book.counts["scores"]["math_score"].values()) == 6


STAGES = (
    "~stages.decontaminate",
    "~stages.tokenize",
    "+stages.drawn={do: draw, per_stratum: 20, max_per_site: 4}",
    "+stages.classifier={do: train_classifier, examples: [FOLDER/1.json, FOLDER/2.json], "
    "out_of_distribution: {elsewhere: FOLDER/3.json}, "
    "dim: 8, buckets: 1000, min_count: 1, epochs: 10, learning_rate: 0.5, quantize: true}",
    "+stages.scores={do: score, model: classifier}",
    "+stages.domains={do: discover_domains, scores: scores}",
    "+stages.threshold={do: choose_threshold, scores: scores, token_budget: 1000}",
    "+stages.math={do: filter, filters: {math_classifier: {model: classifier, min_score: 0.5}}}",
)


def walk(folder: Path, shards: int) -> dict[str, Stage]:
    """All stages of a page with the classifier's loop, over 200 good and 200 other documents of 20 sites in four files."""
    pages = [(f"http://good{i % 10}.example/{i}", text) for i, text in enumerate(texts(GOOD, 200, 8))]
    pages += [(f"http://shop{i % 10}.example/{i}", text) for i, text in enumerate(texts(BAD, 200, 9))]
    folder.mkdir()
    for part in range(4):
        rows: list[object] = [{"id": url, "url": url, "text": text, "date": "2024-01-01"} for url, text in pages[part::4]]
        write_rows(folder / f"{part}.jsonl", rows)
    for number in (1, 2, 3):
        write_examples(folder / f"{number}.json", num_good=100, num_bad=150, seed=10 * number)
    given = [stage.replace("FOLDER", str(folder)) for stage in STAGES]
    sources = "sources.dclm_baseline.path=" + str(folder / "*.jsonl")
    planned = plan("curate/dclm_baseline", (f"root={folder}/runs", f"shards={shards}", sources, *given))
    assert planned.problems == []
    stages = {stage.name: stage for stage in planned.stages if stage.room == "curation"}
    for stage in stages.values():
        write_stage(stage)
        for rank in range(num_ranks(stage)):
            run_rank(stage.folder, rank)
        finish(stage.folder)
    return stages


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Stage]]:
    """The same page in one shard, and in three."""
    return [walk(tmp_path_factory.mktemp("loop") / "page", shards) for shards in (1, 3)]


def drawn_ids(stages: dict[str, Stage]) -> list[str]:
    shards = sorted((stages["drawn"].folder / "documents").glob("*.parquet"))
    return sorted(name for shard in shards for name in pq.read_table(shard)["id"].to_pylist())


@pytest.mark.parametrize("number", [0, 1], ids=["one_shard", "three_shards"])
def test_the_loop_runs_from_a_page(loops: list[dict[str, Stage]], number: int) -> None:
    loop = loops[number]
    drawing = ["drawn_keys", "drawn_choice", "drawn"]
    assert list(loop) == ["read", *drawing, "classifier", "scores", "domains", "threshold", "math_features", "math"]
    manifests = {name: read_manifest(stage.folder) for name, stage in loop.items()}
    assert manifests["drawn_choice"]["counts"]["drawn"] == manifests["drawn"]["counts"]["documents_out"] == 20
    details = manifests["classifier"]["details"]
    assert (details["counts"]["rows"], details["counts"]["positive"]) == (500, 200)
    assert details["out_of_distribution"]["elsewhere"]["average_precision"] > 0.99
    assert [file["path"] for file in manifests["classifier"]["outputs"]] == ["model.ftz"]
    assert manifests["domains"]["counts"]["sites_found"] == 10
    assert {row["site"][:4] for row in manifests["domains"]["details"]["sites"]} == {"good"}
    found = manifests["threshold"]["details"]["thresholds"]["all"]
    assert found["is_full"]
    assert found["tokens"] >= 1_000
    # what was drawn is for labelling: the filter read all documents
    assert manifests["math"]["counts"]["documents_in"] == 400
    assert manifests["math"]["counts"]["documents_out"] == 200


def test_shards_change_nothing_of_what_is_drawn_found_and_chosen(loops: list[dict[str, Stage]]) -> None:
    one, three = loops
    assert drawn_ids(one) == drawn_ids(three)
    for name, file in (("domains", "sites.tsv"), ("threshold", "thresholds.json")):
        assert (one[name].folder / file).read_bytes() == (three[name].folder / file).read_bytes()


def test_the_next_round_draws_from_the_sites_that_were_found() -> None:
    draw = "+stages.more={do: draw, per_stratum: 5, sites: domains}"
    stages = {stage.name: stage for stage in plan("curate/dclm_baseline", (*STAGES[3:6], draw)).stages}
    assert stages["more_keys"].inputs["sites"].location == str(stages["domains"].folder / "sites.tsv")


def test_a_label_stage_reads_what_was_drawn() -> None:
    label = "+stages.labels={do: label, endpoint: {model: m}}"
    stages = {stage.name: stage for stage in plan("curate/dclm_baseline", (STAGES[2], label)).stages}
    assert stages["labels_scores"].inputs["documents"].stage == str(stages["drawn"].folder)
    assert stages["decontaminate"].inputs["documents"].stage == str(stages["read"].folder)


def test_stages_that_need_scores_name_a_score_stage() -> None:
    with pytest.raises(
        ValueError, match=r"stages.domains.scores=score: no score stage above it has this name; did you mean 'scores'"
    ):
        plan("curate/dclm_baseline", (STAGES[4], "+stages.domains={do: discover_domains, scores: score}"))
