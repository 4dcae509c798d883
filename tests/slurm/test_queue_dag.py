"""Which jobs stages become, and which waits for which."""

from pathlib import Path

from queue_stages import SLURM, stage

from slurm.queue.dag import Job, jobs

ROOT = Path("/results")


def test_ranks_become_an_array_and_a_job_that_finishes_it_whatever_became_of_them() -> None:
    ranks, finish = jobs([stage(ROOT, "a", shards=8)])
    assert (ranks.part, ranks.num_elements, ranks.num_at_once) == ("ranks", 8, 4)
    assert (finish.part, finish.needs, finish.condition) == ("finish", (ranks,), "afterany")


def test_ranks_beyond_the_limit_of_arrays_are_shared_by_its_elements_and_each_comes_once() -> None:
    slurm = SLURM | {"max_array_size": 1001, "cpu": {"processes": 8}}
    (ranks, _) = jobs([stage(ROOT, "a", shards=100_000, slurm=slurm)])
    assert ranks.num_elements == 1001
    done = sorted(rank for element in range(1001) for rank in ranks.ranks_of(element))
    assert done == list(range(100_000))


def test_an_element_has_as_many_ranks_as_it_works_on_at_the_same_time() -> None:
    slurm = SLURM | {"cpu": {"processes": 8}}
    (ranks, _) = jobs([stage(ROOT, "a", shards=30, slurm=slurm, curation_workers=32)])
    assert (ranks.num_elements, ranks.num_at_once) == (4, 4)


def test_one_rank_needs_no_array() -> None:
    (job,) = jobs([stage(ROOT, "a", shards=1)])
    assert (job.part, job.num_elements, job.needs) == ("main", 0, ())


def test_a_stage_waits_for_the_last_job_of_each_that_it_reads() -> None:
    first, other = stage(ROOT, "first", shards=3), stage(ROOT, "other")
    found = jobs([first, other, stage(ROOT, "last", first, other, shards=3)])
    assert [(job.stage.name, job.part, _needs(job)) for job in found] == [
        ("first", "ranks", []),
        ("first", "finish", ["first:ranks"]),
        ("other", "main", []),
        ("last", "ranks", ["first:finish", "other:main"]),
        ("last", "finish", ["last:ranks"]),
    ]
    assert {job.condition for job in found if job.part != "finish"} == {"afterok"}


def test_on_gpus_samples_are_decided_before_any_is_taken() -> None:
    slurm = SLURM | {"gpu": {"partition": "gpu", "time_limit": "24:00:00"}}
    index, main = jobs([stage(ROOT, "stable", do="train", device="cuda", nodes=4, slurm=slurm)])
    assert (index.part, index.resources) == ("index", "cpu")
    assert (main.part, main.resources, main.needs) == ("main", "gpu", (index,))


def test_a_stage_of_two_plans_becomes_jobs_once() -> None:
    shared = stage(ROOT, "shared")
    found = jobs([shared, stage(ROOT, "one", shared), shared, stage(ROOT, "two", shared)])
    assert [job.stage.name for job in found] == ["shared", "one", "two"]
    assert found[1].needs == found[2].needs == (found[0],)


def test_names_tell_root_page_stage_fingerprint_and_part() -> None:
    (here,), (there,) = jobs([stage(ROOT, "a")]), jobs([stage(Path("/elsewhere"), "a")])
    assert here.name.startswith("curate/page/a-000000000000@")
    assert here.name.endswith(":main")
    assert here.name != there.name


def _needs(job: Job) -> list[str]:
    return [f"{need.stage.name}:{need.part}" for need in job.needs]
