"""A curate page becomes stages. A kind with a step over all documents at once is several stages in a row (`_EXPANDED`)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from recipes.schema import CurateRecipe, FilterStage, Strict
from recipes.stage import Input, Stage

_READS_SOURCES = ("read", "extract", "format")
_PASSES_NOTHING_ON = (
    "sample",
    "train_classifier",
)  # they read no documents of their page, and the stage behind them neither theirs


class Planner(Protocol):
    """What expanding a page needs of the planner."""

    def locate(self, path: str, key: str) -> Input: ...

    def stage(
        self,
        recipe: CurateRecipe,
        name: str,
        room: str,
        do: str,
        params: dict[str, Any],
        inputs: dict[str, Input],
        run: dict[str, Any] | None = None,
    ) -> Stage: ...


@dataclass
class Page:
    """A curate page while it is expanded: the stages so far, and the one whose documents the next one reads."""

    planner: Planner
    recipe: CurateRecipe
    stages: dict[str, Stage] = field(default_factory=dict)
    documents: Stage | None = None

    def stage(self, name: str, do: str, params: dict[str, Any], inputs: dict[str, Input], **run: Any) -> Stage:
        return self.planner.stage(self.recipe, name, "curation", do, params, inputs, run)

    def expand(self) -> Iterator[Stage]:
        for name, spec in self.recipe.stages.items():
            for stage in self._expand(name, spec):
                self.stages[stage.name] = stage
                yield stage
            if spec.do not in _PASSES_NOTHING_ON:
                self.documents = self.stages[name]

    def _expand(self, name: str, spec: Any) -> Iterator[Stage]:
        """The stages of one name on the page; the last one carries the name."""
        params, inputs = params_of(spec), self._inputs(name, spec)
        if spec.do in _PASSES_NOTHING_ON:
            yield self.stage(name, spec.do, params | {"seed": self.recipe.seed}, inputs)
            return
        if spec.do in _READS_SOURCES and self.documents is None:
            params["sources"] = {key: {"format": s.format, "columns": s.columns} for key, s in self.recipe.sources.items()}
        if spec.do in _EXPANDED:
            yield from _EXPANDED[spec.do](self, name, params, inputs)
            return
        yield self.stage(name, spec.do, params | self.sharded, inputs, **self.limits)

    def _inputs(self, name: str, spec: Any) -> dict[str, Input]:
        inputs: dict[str, Input] = {}
        if spec.do not in _PASSES_NOTHING_ON and self.documents is not None:
            inputs["documents"] = made(self.documents)
        elif spec.do in _READS_SOURCES:
            found = self.recipe.sources.items()
            inputs |= {f"source/{key}": self.planner.locate(s.path, f"sources.{key}.path") for key, s in found}
        if isinstance(spec, FilterStage):
            inputs |= self._models(spec, name)
        for key in ("examples", "benchmarks"):
            given = getattr(spec, key, {})
            paths = given.items() if isinstance(given, dict) else [("", given)]
            inputs |= {f"{key}/{k}".rstrip("/"): self.planner.locate(p, f"stages.{name}.{key}.{k}") for k, p in paths}
        return inputs

    def _models(self, spec: FilterStage, name: str) -> dict[str, Input]:
        """Models that filters name: a classifier stage of the same page, or a file."""
        inputs = {}
        for filter_name, parameters in spec.filters.items():
            model = getattr(parameters, "model", None)
            if model in self.stages:
                inputs[f"model/{filter_name}"] = made(self.stages[model], "model.bin")
            elif model is not None:
                inputs[f"model/{filter_name}"] = self.planner.locate(model, f"stages.{name}.filters.{filter_name}.model")
        return inputs

    @property
    def sharded(self) -> dict[str, Any]:
        return {"shards": self.recipe.shards}

    @property
    def limits(self) -> dict[str, Any]:
        return {key: getattr(self.recipe, key) for key in ("max_unreadable_records", "max_unreadable_files")}


def _dedup(page: Page, name: str, params: dict[str, Any], inputs: dict[str, Input]) -> Iterator[Stage]:
    """Signatures by rank, then clusters over all of them; what is left is for the ranks that drop documents."""
    banding = {key: params[key] for key in ("ngram", "num_bands", "rows_per_band")}
    banding |= {"seed": page.recipe.seed} | page.sharded
    signatures = page.stage(f"{name}_signatures", "dedup_signatures", banding, inputs)
    yield signatures
    clusters = page.stage(f"{name}_clusters", "dedup_clusters", params, {**inputs, "signatures": made(signatures)})
    yield clusters
    yield page.stage(name, "dedup", page.sharded, {**inputs, "clusters": made(clusters)}, **page.limits)


def _tokenize(page: Page, name: str, params: dict[str, Any], inputs: dict[str, Input]) -> Iterator[Stage]:
    """Token files by rank, then one process joins them."""
    inputs["tokenizer"] = page.planner.locate(str(page.recipe.tokenizer), "tokenizer")
    shards = page.stage(f"{name}_shards", "tokenize_shards", params | page.sharded, inputs)
    yield shards
    yield page.stage(name, "tokenize", {"num_ranks": page.recipe.shards}, {"shards": made(shards)}, **page.limits)


_EXPANDED: dict[str, Callable[[Page, str, dict[str, Any], dict[str, Input]], Iterator[Stage]]] = {
    "dedup": _dedup,
    "tokenize": _tokenize,
}


def made(stage: Stage, inside: str = "") -> Input:
    """What a planned stage will leave in its folder, as another one's input."""
    location = stage.folder / inside if inside else stage.folder
    return Input(str(location), f"{stage.fingerprint}/{inside}".rstrip("/"), str(stage.folder))


def params_of(spec: Strict) -> dict[str, Any]:
    """What a stage's kind asks for; its input files are inputs."""
    return {key: value for key, value in spec.model_dump(mode="json").items() if key not in ("do", "examples", "benchmarks")}
