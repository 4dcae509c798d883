"""datatrove's deduplication: its four MinHash stages, one after another in this process; 14 bands of 8, as FineWeb has them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def four_stages(reader: Any, writer: Any, scratch: Path, *, tasks: int) -> Callable[[], None]:
    """What runs them: from the documents of `reader` to those kept, in `writer`. Words are spaCy's, loaded here."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig

    config = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)
    signatures, buckets, removed = (str(scratch / name) for name in ("signatures", "buckets", "removed"))
    sign = MinhashDedupSignature(signatures, config)
    sign.word_tokenizer.word_tokenize("so that spaCy is loaded")
    stages: list[tuple[list[Any], int]] = [
        ([reader, sign], tasks),
        ([MinhashDedupBuckets(signatures, buckets, config=config)], config.num_buckets),
        ([MinhashDedupCluster(buckets, removed, config=config)], 1),
        ([reader, MinhashDedupFilter(removed), writer], tasks),
    ]

    def run() -> None:
        for number, (steps, num_tasks) in enumerate(stages):
            logs = str(scratch / "logs" / str(number))
            LocalPipelineExecutor(steps, tasks=num_tasks, workers=1, logging_dir=logs).run()

    return run
