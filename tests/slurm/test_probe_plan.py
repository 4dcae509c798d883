"""How a page's probe becomes stages and jobs."""

import pytest

from recipes.stage import Stage
from slurm.plan import Plan, plan
from slurm.queue.dag import jobs

PAGE = "prove/demo"
ALONE = ("~evaluation", "~readiness")


def probes(planned: Plan) -> dict[str, Stage]:
    return {stage.name: stage for stage in planned.stages if stage.do == "probe"}


@pytest.fixture(scope="module")
def planned() -> Plan:
    return plan(PAGE, (*ALONE, "probe.checkpoints=[base,long]", "probe.seeds=2"))


def test_every_checkpoint_arm_and_seed_is_a_stage_and_all_are_judged_together(planned: Plan) -> None:
    names = [f"probe_{name}_{arm}_{run}" for name in ("base", "long") for arm in ("answer", "random") for run in (1, 2)]
    assert list(probes(planned)) == names
    [verdict] = [stage for stage in planned.stages if stage.do == "probe_verdict"]
    assert {role: entry.stage for role, entry in verdict.inputs.items()} == {
        f"run/{name.removeprefix('probe_').replace('_', '/')}": str(stage.folder) for name, stage in probes(planned).items()
    }


def test_runs_wait_for_their_checkpoint_and_not_for_each_other(planned: Plan) -> None:
    for name, stage in probes(planned).items():
        made_by = {entry.stage for entry in stage.inputs.values()}
        assert not made_by & {str(other.folder) for other in probes(planned).values()}
        assert ("export_long" in str(made_by)) == ("_long_" in name)


def test_more_seeds_and_another_limit_of_collapse_ask_no_run_anew(planned: Plan) -> None:
    overrides = ("probe.checkpoints=[base,long]", "probe.seeds=3", "probe.collapse.longer=2.0", "serving.batch_size=2")
    more = plan(PAGE, (*ALONE, *overrides))
    before, after = probes(planned), probes(more)
    assert len(after) == 12
    assert {name: after[name].fingerprint for name in before} == {name: stage.fingerprint for name, stage in before.items()}
    changed = probes(plan(PAGE, (*ALONE, "probe.checkpoints=[base,long]", "probe.seeds=2", "probe.rollouts=4")))
    assert not {stage.fingerprint for stage in changed.values()} & {stage.fingerprint for stage in before.values()}


def test_each_run_has_a_gpu_of_its_own_and_the_verdict_has_none() -> None:
    overrides = (*ALONE, "cluster=h100", "probe.checkpoints=[base]")
    made = {job.stage.name: job.num_gpus for job in jobs(plan(PAGE, overrides).stages) if job.stage.page == PAGE}
    assert made == {"probe_base_answer_1": 1, "probe_base_random_1": 1, "probe_verdict": 0, "report": 0}
