"""Walks a plan on this machine with live bars, and tells how it ends."""

from collections.abc import Mapping

from recipes.exits import INTERRUPTED
from slurm.console import complain, console
from slurm.display import Live
from slurm.plan import Plan, refuse_problems
from slurm.run import Runner


def walk(planned: Plan, points: Mapping[str, str] | None = None) -> int:
    """Exit status: 0 all done, 1 something failed, 75 interrupted. `points`: of a sweep, by folder, whose a stage is."""
    refuse_problems(planned)
    done = sum(stage.is_finished for stage in planned.stages)
    if done:
        console.print(f"{done} of {len(planned.stages)} stages are done already")
    with Live(console, points) as live:
        runner = Runner(planned, live.on_event)
        live.runner = runner
        status = runner.run(live.tick)
    if status == INTERRUPTED:
        console.print("interrupted; the same command goes on from here")
    elif status == 1:
        complain(f"{len(runner.failures)} stage(s) failed;", "mend the cause and run the same command again")
    return status
