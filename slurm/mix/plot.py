"""The page of a mix search: verdict and blend, predictions beside what came, effects of sources, and noise."""

from recipes.report.sheet import sheet
from slurm.mix.charts import effects_svg, predicted_svg, slice_svg
from slurm.mix.describe import describe_fit, describe_proposal
from slurm.mix.fit import Fit
from slurm.mix.proposal import MOVE, Proposal
from slurm.mix.region import Region
from slurm.mix.sought import Importance, as_told, better


def render(told: str, fitted: Fit, importance: Importance, region: Region, proposal: Proposal) -> str:
    """`told`: what the runs are. The same runs give the same bytes."""
    return sheet(
        "mix.html.j2",
        told=told,
        fit=describe_fit(fitted),
        proposal=describe_proposal(fitted, proposal, importance),
        move=MOVE,
        predicted=[(target.name, predicted_svg(fitted, target, proposal.own)) for target in fitted.targets],
        effects=effects_svg(proposal.effects, better(importance)),
        slices=[
            (name, slice_svg(fitted, as_told(importance), region, proposal, name, better(importance)))
            for name in fitted.table.sources
        ],
    )
