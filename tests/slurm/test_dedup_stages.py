"""What a dedup stage of a page becomes, and how a page is compared with another one's documents."""

from dataclasses import replace
from pathlib import Path

import pytest

from curation.banding import HASHES, banding
from curation.dedup.signatures import SignatureWriter
from recipes.schema import DedupStage
from recipes.stage import MANIFEST, write_stage
from slurm.plan import Plan, plan
from tests.slurm.test_plan import fingerprints

AGAINST = (
    "stages.dedup.against={web: made:curate/demo_web/dedup_index}",
    "demo_web:stages.dedup.index=true",
)


def stages(planned: Plan, page: str) -> dict[str, dict[str, str]]:
    """The inputs of each stage of deduplication, by name."""
    found = [stage for stage in planned.stages if stage.page == page and stage.name.startswith("dedup")]
    return {stage.name: {role: entry.location.rsplit("/", 1)[-1] for role, entry in stage.inputs.items()} for stage in found}


def test_ranks_share_by_shards_then_by_keys_and_an_index_only_if_asked() -> None:
    found = stages(plan("curate/demo_web"), "curate/demo_web")
    assert list(found) == ["dedup_signatures", "dedup_candidates", "dedup_pairs", "dedup_clusters", "dedup"]
    with_index = stages(plan("curate/demo_web", ("stages.dedup.index=true",)), "curate/demo_web")
    assert set(with_index) - set(found) == {"dedup_index"}
    assert with_index["dedup"] == found["dedup"]  # an index changes nothing of what is kept


def test_all_stages_that_compare_read_the_index_of_the_other_page() -> None:
    planned = plan("curate/demo_short_cot", AGAINST)
    found = stages(planned, "curate/demo_short_cot")
    index = next(stage for stage in planned.stages if stage.name == "dedup_index")
    readers = {name for name, inputs in found.items() if "against/web" in inputs}
    assert readers == {"dedup_candidates", "dedup_pairs", "dedup_clusters"}
    assert found["dedup_pairs"]["against/web"] == index.folder.name
    names = [f"{stage.page}/{stage.name}" for stage in planned.stages]
    assert names.index("curate/demo_web/dedup_index") < names.index("curate/demo_short_cot/dedup_candidates")


def test_the_rule_remakes_signatures_and_the_order_of_sources_counts_only_if_it_names_them() -> None:
    before = fingerprints(page="curate/demo_web")
    for keep, same in (("[math_score,length,id]", True), ("[length,id]", False), ("[source,id]", False)):
        after = fingerprints(f"stages.dedup.keep={keep}", page="curate/demo_web")
        assert (before["curate/demo_web/dedup_signatures"] == after["curate/demo_web/dedup_signatures"]) is same


def refusals(*overrides: str) -> list[str]:
    return [problem for problem in plan("curate/demo_short_cot", overrides).problems if ".against." in problem]


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("stages.dedup.ngram=6", "ngram 5, where this page has ngram 6"),
        ("stages.dedup.num_bands=11", "num_bands 20, where this page has num_bands 11"),
        ("stages.dedup.rows_per_band=8", "rows_per_band 6, where this page has rows_per_band 8"),
        ("stages.dedup.url=true", "url 0, where this page has url 1"),
        ("seed=3", "seed 1, where this page has seed 3"),
    ],
)
def test_an_index_of_another_page_that_does_not_fit_is_a_problem_of_the_plan(override: str, told: str) -> None:
    assert refusals(*AGAINST) == []
    assert refusals(*AGAINST, "stages.dedup.keep=[length,id]", "stages.dedup.min_jaccard=0.9") == []
    (problem,) = refusals(*AGAINST, override)
    told = f"stages.dedup.against.web: made:curate/demo_web/dedup_index was made with {told}"
    assert problem == f"{told}; set both alike, and make again what is changed"


@pytest.mark.parametrize("stage", ["dedup_signatures", "dedup", "dedup_index/bands"])
def test_only_an_index_is_compared_with(stage: str) -> None:
    (problem,) = refusals(f"stages.dedup.against={{web: made:curate/demo_web/{stage}}}", AGAINST[1])
    assert problem.startswith(
        f"stages.dedup.against.web: made:curate/demo_web/{stage} is no index of documents that are kept; name"
    )
    assert "with `index: true` in the dedup stage of that page" in problem


def index_in(folder: Path, **changed: int) -> str:
    """An index without documents, as a dedup_index stage of the demo's parameters leaves it."""
    params = {**DedupStage(do="dedup").model_dump(), "seed": 1}
    SignatureWriter(folder, 0, {**banding(params), **changed}, urls=False).close()
    return f"stages.dedup.against={{old: {folder}}}"


def test_an_index_from_outside_is_read_by_the_plan(tmp_path: Path) -> None:
    assert refusals(index_in(tmp_path / "fits")) == []
    (problem,) = refusals(index_in(tmp_path / "bands", num_bands=11))
    assert f"{tmp_path}/bands was made with num_bands 11, where this page has num_bands 20; set both alike" in problem
    (problem,) = refusals(index_in(tmp_path / "hashes", hashes=1))
    assert f"by another version of midtrain, with hashes 1 where this one has hashes {HASHES}; make the index again" in problem


def test_a_folder_from_outside_that_holds_no_index_is_a_problem_of_the_plan(tmp_path: Path) -> None:
    (tmp_path / "no" / "bands").mkdir(parents=True)
    given = f"stages.dedup.against={{old: {tmp_path}/no}}"
    (problem,) = refusals(given)
    assert problem.startswith(f"stages.dedup.against.old: {tmp_path}/no holds no index; name made:curate/PAGE/dedup_index")
    (tmp_path / "no" / "bands" / "00000.parquet").write_bytes(b"torn")
    (problem,) = refusals(given)
    assert "no/bands/00000.parquet cannot be read" in problem
    assert problem.endswith("; make it again")
    (problem,) = refusals(f"stages.dedup.against={{old: {tmp_path}/nothing}}")
    assert problem == f"stages.dedup.against.old: no file matches {tmp_path}/nothing"


def test_a_stage_folder_from_outside_must_be_a_finished_index(tmp_path: Path) -> None:
    planned = plan("curate/demo_web", ("stages.dedup.index=true",))
    for name, told in (
        ("dedup_signatures", "is a stage of kind dedup_signatures"),
        ("dedup_index", "is not finished; finish it"),
    ):
        stage = next(stage for stage in planned.stages if stage.name == name)
        write_stage(replace(stage, folder=tmp_path / name))
        (problem,) = refusals(index_in(tmp_path / name))
        assert told in problem
    (tmp_path / "dedup_index" / MANIFEST).write_text("{}")
    assert refusals(index_in(tmp_path / "dedup_index")) == []
