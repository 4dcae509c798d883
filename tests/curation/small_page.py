"""A page of a few stages over one jsonl file, planned and run in this process."""

import json
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from curation.pipeline import finish, num_ranks, run_rank
from curation.shards import read_shard
from recipes.manifest import read_manifest
from recipes.stage import Stage, write_stage
from slurm.plan import plan


def stages(
    folder: Path,
    texts: Iterable[str],
    spec: dict[str, dict[str, Any]],
    *,
    shards: int = 1,
    dates: Sequence[str | None] = (),
    tokenizer: str | None = None,
) -> dict[str, Stage]:
    """The planned stages of a page that reads these texts (ids doc0, doc1, …) and then does what `spec` says."""
    source = folder / "texts.jsonl"
    rows = [{"id": f"doc{n}", "text": text, "url": f"http://x/{n}"} for n, text in enumerate(texts)]
    rows = [row if date is None else row | {"date": date} for row, date in zip_longest(rows, dates)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    overrides = (
        f"root={folder}/runs",
        f"shards={shards}",
        f"tokenizer={json.dumps(tokenizer)}",
        f"sources={{texts: {{format: jsonl, path: {source}}}}}",
        f"stages={_hydra({'read': {'do': 'read'}} | spec)}",
    )
    return _planned(overrides)


def record_stages(
    folder: Path,
    rows: Iterable[dict[str, Any]],
    columns: dict[str, str],
    spec: dict[str, dict[str, Any]],
    *,
    tokenizer: str | None = None,
) -> dict[str, Stage]:
    """The planned stages of a page over records with these columns; `spec` begins with a format stage."""
    source = folder / "records.jsonl"
    source.write_text("".join(json.dumps({"id": f"doc{n}"} | row) + "\n" for n, row in enumerate(rows)))
    overrides = (
        f"root={folder}/runs",
        f"tokenizer={json.dumps(tokenizer)}",
        "shards=1",
        f"sources={{records: {{format: jsonl, path: {source}, columns: {_hydra(columns)}}}}}",
        f"stages={_hydra(spec)}",
    )
    return _planned(overrides)


def _planned(overrides: Sequence[str]) -> dict[str, Stage]:
    planned = plan("curate/web_files", overrides)
    assert not planned.problems
    return {stage.name: stage for stage in planned.stages if stage.do != "report"}


def run(planned: dict[str, Stage]) -> None:
    for stage in planned.values():
        if not stage.is_finished:
            write_stage(stage)
            for rank in range(num_ranks(stage)):
                run_rank(stage.folder, rank)
            finish(stage.folder)


def documents(stage: Stage) -> list[dict[str, Any]]:
    shards = sorted((stage.folder / "documents").glob("*.parquet"))
    return [{"id": doc.id, "text": doc.text, **doc.metadata} for shard in shards for doc in read_shard(shard)]


def outputs(stage: Stage) -> list[dict[str, Any]]:
    """Path, size and hash of each."""
    found: list[dict[str, Any]] = read_manifest(stage.folder)["outputs"]
    return found


def _hydra(value: Any) -> str:
    """A value in Hydra's grammar."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_hydra(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)
