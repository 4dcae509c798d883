"""Whether the road from text costs each document the same, however many there are: 10,000, 100,000 and 1,000,000 of them.

`quality` tells CPU-microseconds of a document of the corpus, by stage; training the classifier is not among them, for its cost
does not depend on the corpus. Every stage runs in a fresh process, after the same stage of a road of 1,000 documents, so that
imports and compiled functions do not count. A million documents take half an hour and 20 GB of scratch.
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from curation.benchmark.corpus import SHARDS
from curation.benchmark.measure import Comparison, Way, measure
from curation.benchmark.road import STAGES, from_text, ours, plan
from curation.benchmark.size import Size
from recipes.stage import read_stage

SIZES = (10_000, 100_000, 1_000_000)
MOST = 100_000  # unless --documents asks for more
EXAMPLE = 1_000
COUNTED = (STAGES[0], "tidy", *STAGES[1:])


def comparisons(size: Size) -> Iterator[Comparison]:
    examples = plan(from_text(size, EXAMPLE, SHARDS))
    for number, folder in enumerate(examples, start=1):
        _say(EXAMPLE, folder, number, len(examples))
        measure(Way(ours, (folder, size.scratch / "road_warm", folder)))
    first: Comparison | None = None
    for documents in [few for few in SIZES if few <= size.or_else(MOST)] or [size.or_else(MOST)]:
        seconds, peak_mb = _walk(size, documents, examples)
        whole = sum(seconds.values())
        told = {name: round(spent / documents * 1e6, 1) for name, spent in [*seconds.items(), ("all", whole)]}
        comparison = Comparison(
            stage="road_curve",
            against=f"itself at {first.documents if first else documents:,} documents (1: cost per document is flat)",
            documents=documents,
            ours_seconds=whole,
            stock_seconds=first.ours_seconds * documents / first.documents if first else whole,
            peak_mb=peak_mb,
            stock_peak_mb=first.peak_mb if first else peak_mb,
            quality={"us_per_document": told},
        )
        first = first or comparison
        yield comparison


def _walk(size: Size, documents: int, examples: list[Path]) -> tuple[dict[str, float], float]:
    """CPU-seconds by stage, and the largest memory of any."""
    road = from_text(size, documents, SHARDS)
    seconds, peak_mb = dict.fromkeys(COUNTED, 0.0), 0.0
    for number, (folder, example) in enumerate(zip(plan(road), examples, strict=True), start=1):
        _say(documents, folder, number, len(examples))
        measured = measure(Way(ours, (folder, size.scratch / "road_warm", example)))
        name = read_stage(folder).name.split("_")[0]  # dedup_signatures is a part of dedup
        if name in seconds:
            seconds[name] += measured.seconds
            peak_mb = max(peak_mb, measured.peak_mb)
    shutil.rmtree(road.root)
    return seconds, peak_mb


def _say(documents: int, folder: Path, number: int, stages: int) -> None:
    """What is being measured: a stage of a million documents takes minutes."""
    print(f"{documents:,} documents: {read_stage(folder).name} ({number} of {stages} stages)", file=sys.stderr, flush=True)
