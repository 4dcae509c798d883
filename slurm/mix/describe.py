"""A fit and a proposal as records, for the console and for JSON."""

from typing import Any

from slurm.mix.fit import Fit
from slurm.mix.noise import Noise
from slurm.mix.proposal import Proposal
from slurm.mix.sought import Importance, better, in_words


def describe_fit(fitted: Fit) -> dict[str, Any]:
    table = fitted.table
    return {
        "runs": len(table.names),
        "blends": int(table.blend_of_run.max()) + 1,
        "sources": table.sources,
        "unfinished": table.unfinished,
        "targets": [
            {
                "name": target.name,
                "mean": float(target.values.mean()),
                "deviation": float(target.values.std(ddof=1)),
                "noise": describe_noise(target.noise),
                "is_noise": target.is_noise,
                "law": target.law_name,
                "scores": [
                    {"law": score.law, "error": score.error, "explained": score.explained, "rank": score.rank}
                    for score in target.scores
                ],
            }
            for target in fitted.targets
        ],
    }


def describe_noise(noise: Noise) -> dict[str, Any]:
    return {
        "deviation": noise.deviation,
        "degrees": noise.degrees,
        "share_of_variance": noise.share,
        "chance": noise.chance,
    }


def describe_proposal(fitted: Fit, proposal: Proposal, importance: Importance) -> dict[str, Any]:
    table = fitted.table
    return {
        "verdict": proposal.verdict,
        "why_noise": proposal.why_noise,
        "gain": proposal.gain,
        "low": proposal.low,
        "high": proposal.high,
        "promised": proposal.promised,
        "own": table.blend(proposal.own),
        "blend": table.blend(proposal.blend),
        "importance": importance,
        "sought": in_words(importance),
        "better": better(importance),
        "noise": describe_noise(proposal.noise),
        "effects": [
            {"source": e.source, "change": e.change, "low": e.low, "high": e.high, "is_noise": e.is_noise}
            for e in proposal.effects
        ],
        "remarks": proposal.remarks,
    }
