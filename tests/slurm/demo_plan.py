"""Plans of train/demo, which several tests look at."""

from functools import cache

from recipes.stage import Stage
from slurm.plan import Plan, plan


@cache
def planned(*overrides: str) -> Plan:
    return plan("train/demo", overrides)


def stage(found: Plan, name: str) -> Stage:
    return next(entry for entry in found.stages if entry.name == name and entry.page == "train/demo")
