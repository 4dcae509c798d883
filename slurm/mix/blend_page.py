"""A proposal as a page of recipes/blend or recipes/branch, whose comments say from what it comes and how sure it is."""

from pathlib import Path

import yaml

from recipes.load import RECIPES
from slurm.mix.proposal import Proposal
from slurm.mix.sought import Importance, better, in_words
from slurm.mix.table import Table


def blend_page(table: Table, proposal: Proposal, told: str, importance: Importance, name: str, *, is_branch: bool) -> str:
    """`told`: what the runs are. A page of branches has the proposal as the branch `name`."""
    blend = {source: share for source, share in table.blend(proposal.blend).items() if share > 0}
    lines = [
        f"# Proposed from {len(table.names)} runs of {told} for {in_words(importance)}",
        f"# {sentence(proposal, better(importance))}",
        *([f"# {proposal.verdict}: {proposal.why_noise}"] if proposal.why_noise else []),
    ]
    content = {"branches": {name: {"blend": blend}}} if is_branch else blend
    head = ["# @package _global_"] if is_branch else []
    return "\n".join([*head, *lines, yaml.safe_dump(content, sort_keys=False, default_flow_style=False)])


def sentence(proposal: Proposal, better: str) -> str:
    """gain: 0.021 lower than the own blend is expected (95 %: 0.012 to 0.030)."""
    interval = f"95 %: {proposal.low:.4g} to {proposal.high:.4g}"
    return f"{proposal.verdict}: {proposal.gain:.4g} {better} than the own blend is expected ({interval})"


def how_to_use(path: Path, blend: str) -> str:
    """The override that takes a page, where it lies among the recipes; else the blend itself."""
    inside = path.absolute().parent
    if inside == RECIPES / "branch":
        return f"branch={path.stem}"
    if inside == RECIPES / "blend":
        return f"blend@stages.STAGE.blend={path.stem}"
    return f"stages.STAGE.blend={blend}"
