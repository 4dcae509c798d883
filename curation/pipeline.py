"""A stage of a recipe becomes the list of datatrove steps that does it. As a module, runs ranks of one stage folder:

    python -m curation.pipeline FOLDER                 all ranks that have not finished, then publishes the stage
    python -m curation.pipeline FOLDER --rank 7        one rank (an element of a job array)
    python -m curation.pipeline FOLDER --publish       the manifest, when all ranks have finished

A rank leaves its files whole or not at all, and its record (counts, file hashes) last; a rank with a record is skipped.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from curation.book import Book, StageFailed, check_readable
from curation.steps import (
    DOCUMENTS,
    Begin,
    Close,
    CountMarked,
    Exclusions,
    Histogram,
    MinChars,
    Progress,
    ReadDocuments,
    Whole,
    WriteDocuments,
)
from recipes.manifest import (
    NUM_EXAMPLES,
    NUM_NAMES,
    merge_counts,
    merge_lists,
    publish,
    rank_file,
    read_ranks,
)
from recipes.schema import (
    FILTER_PARAMETERS,
    DecontaminateStage,
    DedupStage,
    ExtractStage,
    FormatStage,
    MathClassifierFilter,
    Model,
    Source,
    TokenizeStage,
    TrainClassifierStage,
)
from recipes.stage import LOGS, Stage, is_finished, lock, read_stage, report_progress


def num_ranks(stage: Stage) -> int:
    """Stages that see all documents at once run as one rank."""
    return int(stage.params.get("shards", 1))


def run_rank(folder: Path, rank: int) -> None:
    """Does one rank's work and leaves its record; nothing if the record is there."""
    stage = read_stage(folder)
    if stage.is_finished or rank_file(folder, rank).is_file():
        return
    if not 0 <= rank < num_ranks(stage):
        raise ValueError(f"rank {rank} is not in 0..{num_ranks(stage) - 1} of {stage.page}/{stage.name}")
    _check_inputs(stage)
    with lock(folder, f"rank_{rank:05d}"):  # another process may still be at it: a killed job's, or a job submitted twice
        if not rank_file(folder, rank).is_file():
            _run_rank(stage, rank)


def _run_rank(stage: Stage, rank: int) -> None:
    folder = stage.folder
    for leftover in folder.rglob(f".{rank:05d}.*tmp"):
        leftover.unlink()
    logs = folder / LOGS / "datatrove"
    (logs / "completions" / f"{rank:05d}").unlink(missing_ok=True)  # datatrove's empty marker proves nothing: ours does
    _RankExecutor(
        pipeline=_steps(stage),
        tasks=num_ranks(stage),
        workers=1,
        local_tasks=1,
        local_rank_offset=rank,
        logging_dir=str(logs),
    ).run()


class _RankExecutor(LocalPipelineExecutor):
    """datatrove's executor for one rank in this process. Its own `run` starts a manager process, which is left behind when this
    process is killed."""

    def run(self) -> None:
        self._run_for_rank(self.local_rank_offset)


def finish(folder: Path) -> dict[str, Any]:
    """Publishes a stage whose ranks have all finished. Fails when more could not be read than the page allows."""
    stage = read_stage(folder)
    records = read_ranks(folder, num_ranks(stage))
    counts = merge_counts(record.counts for record in records)
    names = merge_lists((record.names for record in records), NUM_NAMES)
    check_readable(stage, counts, names)
    files = [entry for record in records for entry in record.files]
    details: dict[str, Any] = next((record.examples.pop("details")[0] for record in records if "details" in record.examples), {})
    return publish(
        stage,
        counts=counts,
        started=min(record.started for record in records),
        files=sorted(files, key=lambda entry: str(entry["path"])),
        examples=merge_lists((record.examples for record in records), NUM_EXAMPLES),
        names=names,
        details=details,
    )


def _check_inputs(stage: Stage) -> None:
    """The stages that made the inputs must have finished: "the job before was fine" is never enough."""
    for role, entry in stage.inputs.items():
        if entry.stage is not None and not is_finished(entry.stage):
            raise ValueError(f"{stage.page}/{stage.name}: input {role!r} is not finished: {entry.stage}; run its page again")


# ---------------------------------------------------------------------------------------------------- what each kind does


def _steps(stage: Stage) -> list[Any]:
    book = Book(stage.folder)
    if stage.do in _WHOLE:
        work = _WHOLE[stage.do]
        return [Begin(book), Whole(lambda: work(stage), book), Close(stage.folder, book, None)]
    read = _sources(stage, book) if "sources" in stage.params else [ReadDocuments(Path(stage.input("documents")), book)]
    own, describe = _BY_RANK[stage.do](stage, book)
    write = [] if stage.do in ("dedup_signatures", "tokenize_shards") else [WriteDocuments(stage.folder, book)]
    progress = Progress(stage.folder, book)
    return [Begin(book), *read, progress, *own, *write, Close(stage.folder, book, describe)]


def _sources(stage: Stage, book: Book) -> list[PipelineStep]:
    from curation.sources import ReadSource

    return [
        ReadSource(
            Source(path="", **source),
            name=name,
            location=stage.input(f"source/{name}"),
            as_records=stage.do == "format",
            book=book,
        )
        for name, source in stage.params["sources"].items()
    ]


_Made = tuple[list[PipelineStep], Callable[[], dict[str, Any]] | None]


def _own(stage: Stage) -> dict[str, Any]:
    """The parameters of the stage's kind alone."""
    return {key: value for key, value in stage.params.items() if key not in ("shards", "sources", "seed")}


def _read(stage: Stage, book: Book) -> _Made:
    return [MinChars(stage.params["min_chars"], book)], None


def _extract(stage: Stage, book: Book) -> _Made:
    from curation.extract.step import ExtractHtml

    params = ExtractStage(do="extract", **_own(stage))
    return [ExtractHtml(drop=book.drop, min_chars=params.min_chars, max_html_chars=params.max_html_chars)], None


def _format(stage: Stage, book: Book) -> _Made:
    from curation.format import FormatRecords

    return [FormatRecords(FormatStage(do="format", **_own(stage)), drop=book.drop)], None


def _filter(stage: Stage, book: Book) -> _Made:
    from curation.filters import FILTERS

    steps: list[PipelineStep] = []
    for name, given in stage.params["filters"].items():
        params = FILTER_PARAMETERS[name].model_validate(given)
        if f"model/{name}" in stage.inputs:
            params = params.model_copy(update={"model": stage.input(f"model/{name}")})
        histogram = Histogram("math_score", book) if isinstance(params, MathClassifierFilter) else None
        steps.append(FILTERS[name](params, exclusion_writer=Exclusions(name, book, histogram)))
        if histogram is not None:
            steps.append(histogram)
    return steps, None


def _signatures(stage: Stage, book: Book) -> _Made:
    from curation.dedup import WriteSignatures

    return [WriteSignatures(DedupStage(do="dedup", **_own(stage)), stage.folder, stage.params["seed"])], None


def _drop_duplicates(stage: Stage, book: Book) -> _Made:
    from curation.dedup import DropDuplicates

    return [DropDuplicates(Path(stage.input("clusters")) / "clusters.parquet", book.drop)], None


def _decontaminate(stage: Stage, book: Book) -> _Made:
    from curation.decontaminate import Decontaminate

    files = {role.removeprefix("benchmarks/"): Path(stage.input(role)) for role in stage.inputs if role.startswith("benchmarks/")}
    params = DecontaminateStage(do="decontaminate", benchmarks={name: str(path) for name, path in files.items()}, **_own(stage))
    step = Decontaminate(params, files, book.drop)
    return [step, CountMarked("near_contamination", book)], step.describe


def _tokenize_shards(stage: Stage, book: Book) -> _Made:
    from curation.tokenize import WriteTokens

    params = TokenizeStage(do="tokenize", **_own(stage))
    return [WriteTokens(Path(stage.input("tokenizer")), stage.folder, params, book.count)], None


def _sample(stage: Stage) -> tuple[dict[str, Any], dict[str, Any]]:
    from curation.sample import make_sample

    model = Model.model_validate(stage.params["model"])
    counts = make_sample(
        stage.folder,
        seed=stage.params["seed"],
        num_pages=stage.params["num_pages"],
        num_problems=stage.params["num_problems"],
        vocab_size=model.vocab_size,
        model=model.model_dump(),
    )
    return counts, {}


def _train_classifier(stage: Stage) -> tuple[dict[str, Any], dict[str, Any]]:
    from curation.classifier import train

    params = TrainClassifierStage(do="train_classifier", examples="", **_own(stage))
    return {}, train(params, Path(stage.input("examples")), stage.folder, seed=stage.params["seed"])


def _clusters(stage: Stage) -> tuple[dict[str, Any], dict[str, Any]]:
    from curation.dedup import find_clusters

    signatures, documents = Path(stage.input("signatures")) / "signatures", Path(stage.input("documents")) / DOCUMENTS

    def progress(done: int, total: int) -> None:
        report_progress(stage.folder, 0, done, total, "bands")

    return find_clusters(signatures, documents, DedupStage(do="dedup", **_own(stage)), stage.folder, progress=progress), {}


def _merge_tokens(stage: Stage) -> tuple[dict[str, Any], dict[str, Any]]:
    from curation.tokenize import merge_tokens

    shards = Path(stage.input("shards")) / "shards"
    counts = merge_tokens(shards, stage.folder, stage.params["num_ranks"])
    return counts.pop("counts"), counts


_BY_RANK: dict[str, Callable[[Stage, Book], _Made]] = {
    "read": _read,
    "extract": _extract,
    "format": _format,
    "filter": _filter,
    "dedup_signatures": _signatures,
    "dedup": _drop_duplicates,
    "decontaminate": _decontaminate,
    "tokenize_shards": _tokenize_shards,
}
_WHOLE: dict[str, Callable[[Stage], tuple[dict[str, Any], dict[str, Any]]]] = {
    "sample": _sample,
    "train_classifier": _train_classifier,
    "dedup_clusters": _clusters,
    "tokenize": _merge_tokens,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m curation.pipeline", description="Runs ranks of one curation stage folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rank", type=int, help="only this rank, without publishing")
    parser.add_argument("--publish", action="store_true", help="only the manifest")
    arguments = parser.parse_args()
    folder = arguments.folder.absolute()
    try:
        if arguments.rank is not None:
            run_rank(folder, arguments.rank)
            return 0
        if not arguments.publish:
            for rank in range(num_ranks(read_stage(folder))):
                run_rank(folder, rank)
        if not read_stage(folder).is_finished:
            finish(folder)
    except (ValueError, StageFailed) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
