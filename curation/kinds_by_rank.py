"""The kinds of stages that work by rank: the datatrove steps of each. Imports that are heavy stand in the functions."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.kinds_paths import PATHS
from curation.kinds_sampling import SAMPLING
from curation.kinds_selection import SELECTION
from curation.ranks import parts_folder
from curation.stage_inputs import benchmarks, dedup_signatures, endpoint_of, own, without_model
from curation.steps import DOCUMENTS, CountMarked, MinChars
from recipes.schema import (
    FILTER_PARAMETERS,
    LISTS,
    CheckAnswersStage,
    CleanStage,
    DedupStage,
    DrawStage,
    ExtractStage,
    FormatStage,
    LabelStage,
    RewriteStage,
    Source,
    TokenizeStage,
)
from recipes.stage import Stage

if TYPE_CHECKING:
    from curation.classifier.scores import Score
    from curation.language_model.asker import Asker

Made = tuple[list[PipelineStep], Callable[[], dict[str, Any]] | None]  # steps, and what describes them once for all ranks
Tables = tuple[list[PipelineStep], PipelineStep]  # readers, and what works on their tables


def sources(stage: Stage, book: Book) -> list[PipelineStep]:
    from curation.sources.read import ReadSource

    return [
        ReadSource(
            Source(path="", **source),
            name=name,
            location=stage.input(f"source/{name}"),
            as_records=stage.do == "format",
            book=book,
            is_only=len(stage.params["sources"]) == 1,
        )
        for name, source in stage.params["sources"].items()
    ]


def _read(stage: Stage, book: Book) -> Made:
    return [MinChars(stage.params["min_chars"], book)], None


def _extract(stage: Stage, book: Book) -> Made:
    from curation.extract.step import ExtractHtml

    params = ExtractStage(do="extract", **own(stage))
    limits = params.model_dump(exclude={"do"})
    return [ExtractHtml(drop=book.drop, count=book.count, **limits)], None


def _format(stage: Stage, book: Book) -> Made:
    from curation.format import FormatRecords

    return [FormatRecords(FormatStage(do="format", **own(stage)), drop=book.drop)], None


def _check_answers(stage: Stage, book: Book) -> Made:
    from curation.check_answers import CheckAnswers

    return [CheckAnswers(CheckAnswersStage(do="check_answers", **own(stage)), book)], None


def _features(stage: Stage, book: Book) -> Made:
    from curation.filters import FILTERS
    from curation.filters.steps import WriteFeatures

    filters = []
    for name, measured_by in stage.params["filters"].items():
        given: dict[str, Any] = {key: [stage.input(role) for role in roles] for key, roles in measured_by.items()}
        if f"model/{name}" in stage.inputs:
            given["model"] = stage.input(f"model/{name}")
        needs: dict[str, Any] = {"score": _score_of(stage, f"/{name}", book)} if f"scores/{name}" in stage.inputs else {}
        if f"tokenizer/{name}" in stage.inputs:
            needs["tokenizer"] = Path(stage.input(f"tokenizer/{name}"))
        filters.append(FILTERS[name](FILTER_PARAMETERS[name].model_validate(given), **needs))
    return [WriteFeatures(filters, book)], None


def _filter(stage: Stage, book: Book) -> Made:
    from curation.filters import FILTERS
    from curation.filters.steps import DropByFeatures

    chosen = _chosen(stage)
    given = {name: params | chosen.get(name, {}) for name, params in stage.params["filters"].items()}
    filters = [FILTERS[name](FILTER_PARAMETERS[name].model_validate(params)) for name, params in given.items()]
    return [DropByFeatures(filters, Path(stage.input("features")), book)], (lambda: {"chosen": chosen}) if chosen else None


def _chosen(stage: Stage) -> dict[str, dict[str, Any]]:
    """The min_score of each filter for which another stage chooses it."""
    from curation.classifier.thresholds import read_chosen

    role = "chosen/"
    names = [name.removeprefix(role) for name in stage.inputs if name.startswith(role)]
    return {name: {"min_score": read_chosen(Path(stage.input(role + name)))} for name in names}


def _clean(stage: Stage, book: Book) -> Made:
    from curation.clean import CleanDocuments

    params = own(stage)
    given: dict[str, Any] = {key: [stage.input(role) for role in params[key]] if key in LISTS else params[key] for key in params}
    return [CleanDocuments(CleanStage(do="clean", **given), book)], None


def _draw_keys(stage: Stage, book: Book) -> Made:
    from curation.classifier.draw import WriteKeys

    sites = Path(stage.input("sites")) if "sites" in stage.inputs else None
    return [WriteKeys(DrawStage(do="draw", **own(stage)), sites, stage.params["seed"], book)], None


def _draw(stage: Stage, book: Book) -> Made:
    from curation.classifier.draw import CHOSEN, KeepDrawn

    return [KeepDrawn(Path(stage.input("choice")) / CHOSEN, book)], None


def _score(stage: Stage, book: Book) -> Made:
    from curation.classifier.scores import WriteScores

    return [WriteScores(_score_of(stage, "", book), book)], None


def _score_of(stage: Stage, of: str, book: Book) -> "Score":
    """What tells scores: an earlier stage that asked the model about the same documents, else the model."""
    from curation.classifier.scores import ScoredBefore, score_by

    if f"scores{of}" in stage.inputs:
        return ScoredBefore(Path(stage.input(f"scores{of}")), book)
    return score_by(Path(stage.input(f"model{of}")))


def _signatures(stage: Stage, book: Book) -> Tables:
    from curation.dedup import ReadShard, WriteSignatures

    params = DedupStage(do="dedup", **{key: value for key, value in own(stage).items() if key != "source_order"})
    shards = Path(stage.input("documents")) / DOCUMENTS
    write = WriteSignatures(shards, params, book, seed=stage.params["seed"], sources=stage.params["source_order"])
    return [ReadShard(shards, book, stage=stage.folder)], write


def _drop_duplicates(stage: Stage, book: Book) -> Tables:
    from curation.dedup import DropDuplicates, ReadShard, Signatures

    shards, signatures = Path(stage.input("documents")) / DOCUMENTS, Signatures(Path(stage.input("signatures")))
    read = ReadShard(shards, book, stage=stage.folder, texts=False)
    return [read], DropDuplicates(shards, signatures, Path(stage.input("clusters")), book)


def _candidates(stage: Stage, book: Book) -> Tables:
    from curation.dedup import FindCandidates, ReadRanges

    bands = [folder.files("bands") for folder in dedup_signatures(stage)]
    return [ReadRanges([file for files in bands for file in files], stage.folder)], FindCandidates(len(bands[0]), book)


def _pairs(stage: Stage, book: Book) -> Tables:
    from curation.dedup import CheckPairs, ReadRanges

    candidates = sorted((Path(stage.input("candidates")) / "candidates").glob("[0-9]*.parquet"))
    return [ReadRanges(candidates, stage.folder)], CheckPairs(dedup_signatures(stage), stage.params["min_jaccard"], book)


def _clusters(stage: Stage, book: Book) -> Tables:
    """One rank: a cluster may be anywhere."""
    from curation.dedup import DecideClusters, ReadClusters

    params, scratch = stage.params, parts_folder(stage.folder, 0) / "scratch"
    signatures, pairs = dedup_signatures(stage), Path(stage.input("pairs"))
    read = ReadClusters(signatures, pairs, scratch, book, urls=params["url"], stage=stage.folder)
    return [read], DecideClusters(params["keep"], params["source_order"], book)


def _index(stage: Stage, book: Book) -> Tables:
    from curation.dedup import ReadSignatures, Signatures, WriteIndex

    signatures = Signatures(Path(stage.input("signatures")))
    return [ReadSignatures(signatures, stage.folder)], WriteIndex(signatures, Path(stage.input("clusters")), book)


def _decontaminate(stage: Stage, book: Book) -> Made:
    from curation.decontaminate.step import Decontaminate

    step = Decontaminate(*benchmarks(stage), book)
    return [step, CountMarked("near_contamination", book), CountMarked("masked_contamination", book)], step.describe


def _tokenize_shards(stage: Stage, book: Book) -> Made:
    from curation.tokens.write import WriteTokens

    given = own(stage)
    marks = tuple(given.pop("special_tokens", ()))  # of paths: no key of the page, the plan puts it there
    params = TokenizeStage(do="tokenize", **given)
    return [WriteTokens(Path(stage.input("tokenizer")), book.folder, params, book.count, marks)], None


def _label_scores(stage: Stage, book: Book) -> Made:
    from curation.language_model.label import LabelDocuments

    params = LabelStage(do="label", endpoint=endpoint_of(stage), **without_model(stage))
    return [LabelDocuments(params, _asker(stage, params), book)], None


def _rewrite(stage: Stage, book: Book) -> Made:
    from curation.language_model.rewrite import RewriteDocuments

    params = RewriteStage(do="rewrite", endpoint=endpoint_of(stage), **without_model(stage))
    tokenizer = Path(stage.input("tokenizer")) if "tokenizer" in stage.inputs else None
    return [RewriteDocuments(params, _asker(stage, params), tokenizer, book)], None


def _asker(stage: Stage, params: LabelStage | RewriteStage) -> "Asker":
    """Answers lie outside the stage's folder: one of this name with other parameters has much to ask that was answered before."""
    from curation.language_model.asker import Asker

    answers = stage.folder.parent / "answers" / stage.name / stage.fingerprint
    return Asker(params, Path(stage.input("prompt")), answers, stage.params["seed"])


BY_RANK: dict[str, Callable[[Stage, Book], Made]] = {
    "read": _read,
    "extract": _extract,
    "format": _format,
    "check_answers": _check_answers,
    "features": _features,
    "filter": _filter,
    "clean": _clean,
    "label_scores": _label_scores,
    "rewrite": _rewrite,
    "draw_keys": _draw_keys,
    "draw": _draw,
    "score": _score,
    "decontaminate": _decontaminate,
    "tokenize_shards": _tokenize_shards,
    **PATHS,
    **SAMPLING,
    **SELECTION,
}
# Arrow tables instead of documents: of a shard, or of what ranks share by keys.
BY_TABLES: dict[str, Callable[[Stage, Book], Tables]] = {
    "dedup_signatures": _signatures,
    "dedup_candidates": _candidates,
    "dedup_pairs": _pairs,
    "dedup_clusters": _clusters,
    "dedup_index": _index,
    "dedup": _drop_duplicates,
}
WRITE_NO_DOCUMENTS = ("features", "tokenize_shards", "draw_keys", "select_keys", "score")
