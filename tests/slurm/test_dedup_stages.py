"""What a dedup stage of a page becomes, and how a page is compared with another one's documents."""

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
