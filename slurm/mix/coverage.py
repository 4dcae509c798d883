"""How often mix search is right about itself: searches of runs made from laws that are known, with noise that is known.

    OMP_NUM_THREADS=1 python -m slurm.mix.coverage [--law best] [--truth log_linear] [--seeds 40] [--first 0] [--json]

A seed is one search as `midtrain mix propose` makes it: 24 runs of four sources, 4 of them of the own blend. A second or two of
one core each. Told are how often the interval holds the gain that the proposed blend truly has, how often that of the best blend
between those that were run, and how often a search says "gain" (where there is nothing to gain: falsely).
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
from rich.table import Table as ConsoleTable

from slurm.console import as_json, console, print_json
from slurm.mix.fit import fit
from slurm.mix.limits import limits
from slurm.mix.proposal import Proposal, propose
from slurm.mix.region import region
from slurm.mix.table import Table

Truth = Callable[[np.ndarray], dict[str, np.ndarray]]  # (blends, sources) -> a figure a blend, by target
SOURCES = ("web", "qa", "short_cot", "long_cot")
OWN = np.array([0.5, 0.2, 0.2, 0.1])
CONCENTRATION = 15.0
BLENDS, REPEATS = 20, 4
REPLICATES = 100  # of the bootstrap: half of what people get, who search once
NOISE = 0.01  # of one run; blends differ by two to four times that


def linear(shares: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "prose": 2.0 + shares @ np.array([0.0, 0.15, 0.2, 0.25]),
        "reasoning": 2.8 - shares @ np.array([0.0, 0.15, 0.25, 0.4]),
    }


def log_linear(shares: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "prose": 2.0 + 0.5 * np.exp(-shares @ np.array([2.5, 0.3, 0.2, 0.1])),
        "reasoning": 2.5 + 0.6 * np.exp(-shares @ np.array([0.2, 1.0, 2.0, 3.5])),
    }


def saturating(shares: np.ndarray) -> dict[str, np.ndarray]:
    """No law has this: each source is worth less the more there is of it, and two are worth more together."""
    web, qa, short, long = shares.T
    return {
        "prose": 2.4 - 0.5 * web / (web + 0.3),
        "reasoning": 2.9 - 0.3 * qa / (qa + 0.2) - 0.3 * long / (long + 0.15) - 1.5 * short * long,
    }


def nothing(shares: np.ndarray) -> dict[str, np.ndarray]:
    return {"prose": np.full(len(shares), 2.1), "reasoning": np.full(len(shares), 2.9)}


TRUTHS: dict[str, Truth] = {"linear": linear, "log_linear": log_linear, "saturating": saturating, "nothing": nothing}


def runs(
    truth: Truth,
    *,
    noise: float,
    seed: int,
    sources: Sequence[str] = SOURCES,
    own: np.ndarray = OWN,
    blends: int = BLENDS,
    repeats: int = REPEATS,
) -> Table:
    """The own blend `repeats` times and `blends` drawn around it; `noise` is the standard deviation of one run."""
    random = np.random.default_rng(seed)
    shares = np.vstack([np.tile(own, (repeats, 1)), random.dirichlet(CONCENTRATION * own, blends)])
    targets = {name: values + noise * random.normal(size=len(shares)) for name, values in truth(shares).items()}
    return Table([f"run {i}" for i in range(len(shares))], list(sources), shares, targets)


def mean(truth: Truth, shares: np.ndarray) -> np.ndarray:
    """(blends,) what is sought: all targets alike."""
    return np.asarray(np.mean(list(truth(shares).values()), axis=0))


@dataclass(frozen=True)
class Search:
    """`true_gain`: of the proposed blend. `best_gain`: of the best blend between those that were run."""

    proposal: Proposal
    laws: tuple[str, ...]
    true_gain: float
    best_gain: float

    @property
    def holds_true_gain(self) -> bool:
        return self.proposal.low <= self.true_gain <= self.proposal.high

    @property
    def holds_best_gain(self) -> bool:
        return self.proposal.low <= self.best_gain <= self.proposal.high


def search(truth: Truth, table: Table, own: np.ndarray, *, law: str, seed: int, replicates: int = REPLICATES) -> Search:
    targets = list(table.targets)
    fitted = fit(table, targets, law=law, replicates=replicates, seed=seed)
    between = region(table, limits(table.sources))
    found = propose(fitted, between, own, dict.fromkeys(targets, 1.0 / len(targets)))
    best = between.lowest(lambda shares: mean(truth, shares))
    before, after, lowest = mean(truth, np.stack([own, found.blend, best]))
    laws = tuple(target.law_name for target in fitted.targets)
    return Search(found, laws, float(before - after), float(before - lowest))


def measure(name: str, seeds: Sequence[int], *, law: str, noise: float = NOISE, replicates: int = REPLICATES) -> dict[str, Any]:
    """Shares of searches of one truth, and medians of gains; CPU seconds of one search."""
    truth, began = TRUTHS[name], time.process_time()
    tables = {seed: runs(truth, noise=noise, seed=seed) for seed in seeds}
    found = [search(truth, table, OWN, law=law, seed=seed, replicates=replicates) for seed, table in tables.items()]
    return {
        "truth": name,
        "seeds": len(found),
        "interval_holds_gain": float(np.mean([one.holds_true_gain for one in found])),
        "interval_holds_best_gain": float(np.mean([one.holds_best_gain for one in found])),
        "says_gain": float(np.mean([one.proposal.verdict == "gain" for one in found])),
        "gain_expected": float(np.median([one.proposal.gain for one in found])),
        "gain_true": float(np.median([one.true_gain for one in found])),
        "gain_best": float(np.median([one.best_gain for one in found])),
        "interval_width": float(np.median([one.proposal.high - one.proposal.low for one in found])),
        "laws": dict(Counter(law for one in found for law in one.laws).most_common()),
        "cpu_seconds": round((time.process_time() - began) / len(found), 2),
    }


@click.command()
@click.option("--truth", "truths", type=click.Choice(list(TRUTHS)), multiple=True, help="What runs are made from; all.")
@click.option("--law", default="best", show_default=True, help="As of `midtrain mix propose`.")
@click.option("--seeds", type=click.IntRange(min=1), default=40, show_default=True, help="Searches of each truth.")
@click.option("--first", default=0, show_default=True, help="The first seed.")
@click.option("--noise", default=NOISE, show_default=True, help="Standard deviation of one run.")
@click.option("--replicates", type=click.IntRange(min=10), default=REPLICATES, show_default=True, help="Draws of the bootstrap.")
@as_json
def main(truths: tuple[str, ...], law: str, seeds: int, first: int, noise: float, replicates: int, json_: bool) -> None:
    """Searches whose truth is known: how often the interval holds it, and how often noise is called a gain."""
    measured = [
        measure(name, range(first, first + seeds), law=law, noise=noise, replicates=replicates) for name in truths or TRUTHS
    ]
    asked = {"law": law, "first": first, "noise": noise, "replicates": replicates}
    record = {**asked, "runs": BLENDS + REPEATS, "sources": len(SOURCES), "truths": measured}
    if json_:
        print_json(record)
        return
    table = ConsoleTable(box=None, header_style="bold", pad_edge=False)
    for column in ("truth", "seeds", "holds gain", "holds best", "says gain", "expected", "true", "best", "width", "CPU s"):
        table.add_column(column, justify="left" if column == "truth" else "right")
    table.add_column("laws")
    for row in measured:
        shares = [f"{row[key]:.0%}" for key in ("interval_holds_gain", "interval_holds_best_gain", "says_gain")]
        gains = [f"{row[key]:.4f}" for key in ("gain_expected", "gain_true", "gain_best", "interval_width")]
        laws = ", ".join(f"{name} {number}" for name, number in row["laws"].items())
        table.add_row(row["truth"], str(row["seeds"]), *shares, *gains, f"{row['cpu_seconds']:.1f}", laws)
    console.print(table)


if __name__ == "__main__":
    main()
