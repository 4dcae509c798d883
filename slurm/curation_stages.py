"""A curate page becomes stages. A kind with a step over all documents at once is several stages in a row (`_EXPANDED`)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import curation
from curation.language_model.prompt import find_prompt, read_prompt
from recipes.schema import (
    DECIDES_ANSWERS,
    LISTS,
    CurateRecipe,
    DecontaminateStage,
    FilterStage,
    Source,
    Strict,
    nearest,
)
from recipes.stage import Input, Stage, made
from slurm.classifier_stages import chosen_by, draw, reads_scores, score, scored_before
from slurm.dedup_stages import dedup
from slurm.path_stages import marks_of, resume_traces, sample_paths
from slurm.planner import Planner
from slurm.sampling_stages import asks, keep_verified
from slurm.selection_stages import drop_solved, label_topic, select

_READS_SOURCES = ("read", "extract", "format")
_READS_NO_DOCUMENTS = ("sample", "train_classifier", "discover_domains", "choose_threshold")
_PASSES_NOTHING_ON = (*_READS_NO_DOCUMENTS, "draw", "label", "score")  # the stage behind reads the documents of the one before
CLASSIFIER = "math_classifier"


@dataclass
class Page:
    """A curate page while it is expanded: the stages so far, and the one whose documents the next one reads."""

    planner: Planner
    recipe: CurateRecipe
    stages: dict[str, Stage] = field(default_factory=dict)
    documents: Stage | None = None
    drawn: Stage | None = None  # a sample of documents, for the label stages behind it

    def stage(self, name: str, do: str, params: dict[str, Any], inputs: dict[str, Input], **run: Any) -> Stage:
        return self.planner.stage(self.recipe, name, "curation", do, params, inputs, run)

    def expand(self) -> Iterator[Stage]:
        for name, spec in self.recipe.stages.items():
            for stage in self._expand(name, spec):
                self.stages[stage.name] = stage
                yield stage
            if spec.do not in _PASSES_NOTHING_ON:
                self.documents = self.stages[name]
            if spec.do == "draw":
                self.drawn = self.stages[name]

    def _expand(self, name: str, spec: Any) -> Iterator[Stage]:
        """The stages of one name on the page; the last one carries the name."""
        params, inputs = params_of(spec), self._inputs(name, spec)
        if spec.do in _READS_SOURCES and self.documents is None:
            params["sources"] = {key: _how_to_read(source) for key, source in self.recipe.sources.items()}
        if spec.do in _EXPANDED:
            yield from _EXPANDED[spec.do](self, name, params, inputs)
            return
        if spec.do in _READS_NO_DOCUMENTS:
            yield self.stage(name, spec.do, params | {"seed": self.recipe.seed}, inputs)
            return
        yield self.stage(name, spec.do, params | self.sharded, inputs, **self.limits)

    def _inputs(self, name: str, spec: Any) -> dict[str, Input]:
        inputs: dict[str, Input] = {}
        if spec.do not in _READS_NO_DOCUMENTS and self.documents is not None:
            inputs["documents"] = made(self.drawn if spec.do == "label" and self.drawn else self.documents)
        elif spec.do in _READS_SOURCES:
            found = self.recipe.sources.items()
            inputs |= {f"source/{key}": self.planner.locate(s.path, f"sources.{key}.path") for key, s in found}
        if isinstance(spec, FilterStage):
            inputs |= self._models(spec, name)
        for key in ("examples", "out_of_distribution", "benchmarks"):
            given = _by_name(getattr(spec, key, {}))
            inputs |= {f"{key}/{k}".rstrip("/"): self._file(p, f"stages.{name}.{key}.{k}".rstrip(".")) for k, p in given.items()}
        if hasattr(spec, "prompt"):
            inputs["prompt"] = self.prompt(spec.prompt, f"stages.{name}.prompt")
        return inputs

    def prompt(self, name: str, key: str) -> Input:
        file = find_prompt(name)
        if Path(file).is_file():
            read_prompt(Path(file))  # what is wrong with it is said now, not in the queue
        return self.planner.locate(file, key)

    def _file(self, path: str, key: str) -> Input:
        return self._made_or_file(path, key, "label", "examples.jsonl")

    def _models(self, spec: FilterStage, name: str) -> dict[str, Input]:
        """Models that filters name: a classifier stage of the same page, or a file."""
        inputs = {}
        for filter_name, parameters in spec.filters.items():
            model = getattr(parameters, "model", None)
            if model is not None:
                inputs[f"model/{filter_name}"] = self.model(model, f"stages.{name}.filters.{filter_name}.model")
        return inputs

    def model(self, model: str, key: str) -> Input:
        return self._made_or_file(model, key, "train_classifier", getattr(self.recipe.stages.get(model), "file_name", ""))

    def sites(self, path: str, key: str) -> Input:
        return self._made_or_file(path, key, "discover_domains", "sites.tsv")

    def _made_or_file(self, path: str, key: str, do: str, inside: str) -> Input:
        """What a stage of this kind further up the page leaves, or a file."""
        named = {name: stage for name, stage in self.stages.items() if stage.do == do}
        if path in named:
            return made(named[path], inside)
        found = self.planner.locate(path, key)
        if found.identity == f"missing:{path}" and not set("/.") & set(path):  # a name, not a path
            self.planner.outside.problem(f"{key}: nor is {path} a {do} stage above it; {nearest(path, list(named))}")
        return found

    @property
    def sharded(self) -> dict[str, Any]:
        return {"shards": self.recipe.shards}

    @property
    def limits(self) -> dict[str, Any]:
        return {key: getattr(self.recipe, key) for key in ("max_unreadable_records", "max_unreadable_files")}


def _by_name(given: dict[str, str] | tuple[str, ...]) -> dict[str, str]:
    """Of several files without names each is known by its number; one alone has none."""
    if isinstance(given, dict):
        return given
    return {str(number) if len(given) > 1 else "": path for number, path in enumerate(given)}


def _how_to_read(source: Source) -> dict[str, Any]:
    """`where` stands there only where it chooses."""
    given = source.model_dump(mode="json", include={"format", "columns", "where"})
    return {key: value for key, value in given.items() if key != "where" or value}


def _filter(page: Page, name: str, params: dict[str, Any], inputs: dict[str, Input]) -> Iterator[Stage]:
    """Documents are measured, then judged: thresholds are no part of the first stage's identity, nor is the order of filters."""
    documents = inputs.pop("documents")
    measured_by = {}
    for filter_name in sorted(params["filters"]):
        lists = _lists(page, params["filters"][filter_name], inputs, f"filters.{filter_name}", name)
        measured_by[filter_name] = lists
        params["filters"][filter_name] = {k: v for k, v in params["filters"][filter_name].items() if k not in lists}
    judged = {"documents": documents}
    if CLASSIFIER in params["filters"]:
        model = inputs[f"model/{CLASSIFIER}"]
        inputs |= scored_before(page, documents, model, f"scores/{CLASSIFIER}")
        if params["filters"][CLASSIFIER]["min_score"] == "chosen":
            judged[f"chosen/{CLASSIFIER}"] = chosen_by(page, name, model)
    if "tokens" in params["filters"]:
        inputs["tokenizer/tokens"] = page.planner.locate(str(page.recipe.tokenizer), "tokenizer")
    inputs = {"documents": documents, **dict(sorted(inputs.items()))}
    features = page.stage(f"{name}_features", "features", {"filters": measured_by} | page.sharded, inputs)
    yield features
    judged["features"] = made(features)
    yield page.stage(name, "filter", params | page.sharded, judged, **page.limits)


def _clean(page: Page, name: str, params: dict[str, Any], inputs: dict[str, Input]) -> Iterator[Stage]:
    params |= _lists(page, params, inputs, "", name)
    yield page.stage(name, "clean", params | page.sharded, inputs, **page.limits)


def _lists(page: Page, given: dict[str, Any], inputs: dict[str, Input], where: str, name: str) -> dict[str, list[str]]:
    """Word lists are inputs, known by their content. Adds them, and returns their roles by the keys that name them."""
    roles: dict[str, list[str]] = {}
    for key in (key for key in LISTS if key in given):
        path = f"{where}.{key}".lstrip(".")
        roles[key] = [f"list.{path}.{number}" for number in range(len(given[key]))]
        for number, listed in enumerate(given[key]):
            inputs[roles[key][number]] = page.planner.locate(_list_file(listed), f"stages.{name}.{path}.{number}")
    return roles


def _list_file(name: str) -> str:
    """A shipped list's file; any other name is a path."""
    shipped = Path(curation.__file__).parent / "filters" / "lists" / f"{name}.txt"
    return str(shipped) if shipped.is_file() else name


def _decontaminate(page: Page, name: str, params: dict[str, Any], inputs: dict[str, Input]) -> Iterator[Stage]:
    for role, entry in inputs.items():
        benchmark = role.removeprefix("benchmarks/")
        if benchmark != role and entry.stage is None:
            page.planner.outside.look_into_items(benchmark, entry, f"stages.{name}.benchmarks.{benchmark}")
    del params["canaries"]  # the certificate's
    yield page.stage(name, "decontaminate", params | page.sharded, inputs, **page.limits)


def _tokenize(page: Page, name: str, params: dict[str, Any], inputs: dict[str, Input]) -> Iterator[Stage]:
    """Token files by rank, then one process joins them."""
    inputs["tokenizer"] = page.planner.locate(str(page.recipe.tokenizer), "tokenizer")
    params |= marks_of(page.recipe)
    shards = page.stage(f"{name}_shards", "tokenize_shards", params | page.sharded, inputs)
    yield shards
    tokens = page.stage(name, "tokenize", {"num_ranks": page.recipe.shards}, {"shards": made(shards)}, **page.limits)
    yield tokens
    yield from _certificate(page, tokens)


def _certificate(page: Page, tokens: Stage) -> Iterator[Stage]:
    """Of the tokens, if their documents were decontaminated: a page has one such stage at most, before them."""
    for name, spec in page.recipe.stages.items():
        if not isinstance(spec, DecontaminateStage) or name not in page.stages:
            continue
        files = {role: entry for role, entry in page.stages[name].inputs.items() if role.startswith("benchmarks/")}
        inputs = {"documents": made(page.stages[name]), "tokens": made(tokens), **files}
        yield page.stage("certificate", "certificate", params_of(spec) | {"seed": page.recipe.seed}, inputs)


def _label(page: Page, name: str, params: dict[str, Any], inputs: dict[str, Input]) -> Iterator[Stage]:
    """Scores by rank, then one process joins them to examples: another threshold asks nobody again."""
    threshold = {"min_score": params.pop("min_score"), "num_ranks": page.recipe.shards}
    run = _take_endpoint(params) | page.limits
    scores = page.stage(f"{name}_scores", "label_scores", params | {"seed": page.recipe.seed} | page.sharded, inputs, **run)
    yield scores
    yield page.stage(name, "label", threshold, {"scores": made(scores)})


def _rewrite(page: Page, name: str, params: dict[str, Any], inputs: dict[str, Input]) -> Iterator[Stage]:
    run = _take_endpoint(params) | page.limits
    if page.recipe.tokenizer is not None:
        inputs["tokenizer"] = page.planner.locate(page.recipe.tokenizer, "tokenizer")
    yield page.stage(name, "rewrite", params | {"seed": page.recipe.seed} | page.sharded, inputs, **run)


def _take_endpoint(params: dict[str, Any]) -> dict[str, Any]:
    """Which model answers stays among the parameters; where it runs is returned: it is no part of a stage's identity."""
    endpoint = params.pop("endpoint")
    params |= {key: endpoint.pop(key) for key in DECIDES_ANSWERS}
    return {"endpoint": endpoint}


_EXPANDED: dict[str, Callable[[Page, str, dict[str, Any], dict[str, Input]], Iterator[Stage]]] = {
    "filter": _filter,
    "clean": _clean,
    "check_summaries": partial(asks, "check_summaries"),
    "choose_threshold": partial(reads_scores, "choose_threshold"),
    "decontaminate": _decontaminate,
    "dedup": dedup,
    "discover_domains": partial(reads_scores, "discover_domains"),
    "draw": draw,
    "drop_solved": drop_solved,
    "keep_verified": keep_verified,
    "label": _label,
    "label_topic": label_topic,
    "resume_traces": resume_traces,
    "rewrite": _rewrite,
    "sample_answers": partial(asks, "sample_answers"),
    "sample_paths": sample_paths,
    "score": score,
    "select": select,
    "tokenize": _tokenize,
}


def params_of(spec: Strict) -> dict[str, Any]:
    """What a stage's kind asks for; its input files are inputs."""
    files = ("examples", "out_of_distribution", "benchmarks", "prompt")
    return {key: value for key, value in spec.model_dump(mode="json").items() if key != "do" and key not in files}
