"""python -m curation.benchmark STAGE [--documents N] [--json]: ours against stock in one run."""

import argparse
import importlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console

from curation.benchmark.measure import Comparison
from curation.benchmark.size import Size

STAGES = ("io", "extract", "filter", "classifier", "dedup", "decontaminate", "tokenize", "road")
ASKED_FOR = ("road_curve",)  # too long to be among all


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m curation.benchmark", description=__doc__)
    parser.add_argument("stage", choices=[*STAGES, *ASKED_FOR, "all"], help="all: every stage but road_curve")
    parser.add_argument("--documents", type=int, help="how many, generated or of real pages (default: a few minutes' worth)")
    parser.add_argument("--repeats", type=int, default=3, help="turns; the median counts")
    parser.add_argument("--data", type=Path, help="folder of real data (text/, web/, benchmarks/, peer-tests/ ...)")
    parser.add_argument("--scratch", type=Path, help="keeps generated corpora here, for the next run (default: thrown away)")
    parser.add_argument("--json", action="store_true", help="one JSON object a comparison")
    given = parser.parse_args()
    if (given.documents is not None and given.documents < 1) or given.repeats < 1:
        print("error: --documents and --repeats must be 1 or more", file=sys.stderr)
        return 2
    if given.data is not None and not given.data.is_dir():
        print(f"error: --data {given.data}: there is no such folder", file=sys.stderr)
        return 2
    stages = STAGES if given.stage == "all" else (given.stage,)
    with tempfile.TemporaryDirectory() as thrown_away:
        size = Size(given.documents, given.repeats, given.data, given.scratch or Path(thrown_away))
        comparisons = (comparison for stage in stages for comparison in _comparisons(stage)(size))
        try:
            if given.json:
                for comparison in comparisons:
                    print(json.dumps(comparison.describe()), flush=True)
            else:
                for comparison in comparisons:
                    _show(comparison)
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    return 0


def _comparisons(stage: str) -> Callable[[Size], Iterator[Comparison]]:
    found: Callable[[Size], Iterator[Comparison]] = importlib.import_module(f"curation.benchmark.{stage}").comparisons
    return found


def _show(c: Comparison) -> None:
    """What it took, and what was right."""
    console = Console(highlight=False)
    console.print(f"[bold]{c.stage}[/] against {c.against}: {c.documents:,} documents")
    console.print(
        f"    [bold]{c.ratio:.1f}x[/]   CPU {c.ours_seconds:.2f} s against {c.stock_seconds:.2f} s   "
        f"peak {c.peak_mb:,.0f} MB against {c.stock_peak_mb:,.0f} MB"
    )
    told = (f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in c.quality.items())
    if c.quality:
        console.print(f"    {', '.join(told)}")


if __name__ == "__main__":
    sys.exit(main())
