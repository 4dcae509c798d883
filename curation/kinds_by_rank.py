"""The kinds of stages that work by rank: the datatrove steps of each. Imports that are heavy stand in the functions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from datatrove.pipeline.base import PipelineStep

from curation.book import Book
from curation.stage_inputs import benchmarks, dedup_signatures, own
from curation.steps import DOCUMENTS, CountMarked, MinChars
from recipes.schema import (
    DECIDES_ANSWERS,
    FILTER_PARAMETERS,
    LISTS,
    CleanStage,
    DedupStage,
    DrawStage,
    Endpoint,
    ExtractStage,
    FormatStage,
    LabelStage,
    RewriteStage,
    Source,
    TokenizeStage,
)
from recipes.stage import Stage

Made = tuple[list[PipelineStep], Callable[[], dict[str, Any]] | None]  # steps, and what describes them once for all ranks


def sources(stage: Stage, book: Book) -> list[PipelineStep]:
    from curation.sources.read import ReadSource

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


def _read(stage: Stage, book: Book) -> Made:
    return [MinChars(stage.params["min_chars"], book)], None


def _extract(stage: Stage, book: Book) -> Made:
    from curation.extract.step import ExtractHtml

    params = ExtractStage(do="extract", **own(stage))
    step = ExtractHtml(drop=book.drop, count=book.count, min_chars=params.min_chars, max_html_chars=params.max_html_chars)
    return [step], None


def _format(stage: Stage, book: Book) -> Made:
    from curation.format import FormatRecords

    return [FormatRecords(FormatStage(do="format", **own(stage)), drop=book.drop)], None


def _features(stage: Stage, book: Book) -> Made:
    from curation.filters import FILTERS
    from curation.filters.steps import WriteFeatures

    filters = []
    for name, measured_by in stage.params["filters"].items():
        given: dict[str, Any] = {key: [stage.input(role) for role in roles] for key, roles in measured_by.items()}
        if f"model/{name}" in stage.inputs:
            given["model"] = stage.input(f"model/{name}")
        filters.append(FILTERS[name](FILTER_PARAMETERS[name].model_validate(given)))
    return [WriteFeatures(filters, book)], None


def _filter(stage: Stage, book: Book) -> Made:
    from curation.filters import FILTERS
    from curation.filters.steps import DropByFeatures

    filters = [FILTERS[name](FILTER_PARAMETERS[name].model_validate(given)) for name, given in stage.params["filters"].items()]
    return [DropByFeatures(filters, Path(stage.input("features")), book)], None


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

    return [WriteScores(Path(stage.input("model")), book)], None


def _signatures(stage: Stage, book: Book) -> PipelineStep:
    from curation.dedup import WriteSignatures

    params = DedupStage(do="dedup", **{key: value for key, value in own(stage).items() if key != "source_order"})
    documents = Path(stage.input("documents")) / DOCUMENTS
    seed, sources = stage.params["seed"], stage.params["source_order"]
    return WriteSignatures(params, documents, book, stage=stage.folder, seed=seed, sources=sources)


def _drop_duplicates(stage: Stage, book: Book) -> PipelineStep:
    from curation.dedup import DropDuplicates

    documents, clusters = Path(stage.input("documents")) / DOCUMENTS, Path(stage.input("clusters"))
    return DropDuplicates(documents, clusters, book, stage=stage.folder)


def _candidates(stage: Stage, book: Book) -> PipelineStep:
    from curation.dedup import FindCandidates

    return FindCandidates(dedup_signatures(stage), book)


def _pairs(stage: Stage, book: Book) -> PipelineStep:
    from curation.dedup import CheckPairs

    return CheckPairs(Path(stage.input("candidates")), dedup_signatures(stage), stage.params["min_jaccard"], book)


def _index(stage: Stage, book: Book) -> PipelineStep:
    from curation.dedup import Signatures, WriteIndex

    return WriteIndex(Signatures(Path(stage.input("signatures"))), Path(stage.input("clusters")), book)


def _decontaminate(stage: Stage, book: Book) -> Made:
    from curation.decontaminate.step import Decontaminate

    step = Decontaminate(*benchmarks(stage), book)
    return [step, CountMarked("near_contamination", book), CountMarked("masked_contamination", book)], step.describe


def _tokenize_shards(stage: Stage, book: Book) -> Made:
    from curation.tokens.write import WriteTokens

    params = TokenizeStage(do="tokenize", **own(stage))
    return [WriteTokens(Path(stage.input("tokenizer")), book.folder, params, book.count)], None


def _label_scores(stage: Stage, book: Book) -> Made:
    from curation.language_model.label import LabelDocuments

    params = LabelStage(do="label", endpoint=_endpoint(stage), **_without_model(stage))
    return [LabelDocuments(params, Path(stage.input("prompt")), _answers(stage), stage.params["seed"], book)], None


def _rewrite(stage: Stage, book: Book) -> Made:
    from curation.language_model.rewrite import RewriteDocuments

    params = RewriteStage(do="rewrite", endpoint=_endpoint(stage), **_without_model(stage))
    return [RewriteDocuments(params, Path(stage.input("prompt")), _answers(stage), stage.params["seed"], book)], None


def _endpoint(stage: Stage) -> Endpoint:
    return Endpoint(**stage.run["endpoint"], **{key: stage.params[key] for key in DECIDES_ANSWERS})


def _without_model(stage: Stage) -> dict[str, Any]:
    return {key: value for key, value in own(stage).items() if key not in DECIDES_ANSWERS}


def _answers(stage: Stage) -> Path:
    """Outside the stage's folder: one of this name with other parameters has much to ask that was answered before."""
    return stage.folder.parent / "answers" / stage.name / stage.fingerprint


BY_RANK: dict[str, Callable[[Stage, Book], Made]] = {
    "read": _read,
    "extract": _extract,
    "format": _format,
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
}
# One step that reads tables by itself: a shard, or what ranks share by keys. All of it is one part.
BY_TABLES: dict[str, Callable[[Stage, Book], PipelineStep]] = {
    "dedup_signatures": _signatures,
    "dedup_candidates": _candidates,
    "dedup_pairs": _pairs,
    "dedup_index": _index,
    "dedup": _drop_duplicates,
}
WRITE_NO_DOCUMENTS = ("features", "tokenize_shards", "draw_keys", "score")
