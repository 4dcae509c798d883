"""The kinds of stages that see everything at once: one function each, which returns counts and details for the manifest."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from curation.kinds_sampling import pass_at_k
from curation.stage_inputs import benchmarks, own
from curation.steps import DOCUMENTS
from recipes.schema import (
    ChooseThresholdStage,
    DiscoverDomainsStage,
    DrawStage,
    Model,
    SelectStage,
    TrainClassifierStage,
)
from recipes.stage import Reports, Stage

Done = tuple[dict[str, Any], dict[str, Any]]


def _certificate(stage: Stage) -> Done:
    from curation.decontaminate.certificate import certify

    documents, tokens = Path(stage.input("documents")), Path(stage.input("tokens"))
    return certify(*benchmarks(stage), documents, tokens, stage.folder, seed=stage.params["seed"])


def _sample(stage: Stage) -> Done:
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


def _train_classifier(stage: Stage) -> Done:
    from curation.classifier import train

    examples = tuple(stage.input(name) for name in stage.inputs if name.partition("/")[0] == "examples")
    params = TrainClassifierStage(do="train_classifier", examples=examples, **own(stage))
    role = "out_of_distribution/"
    others = {name.removeprefix(role): Path(stage.input(name)) for name in stage.inputs if name.startswith(role)}
    files, seed = [Path(file) for file in examples], stage.params["seed"]
    return {}, train(params, files, stage.folder, seed=seed, out_of_distribution=others)


def _choose_drawn(stage: Stage) -> Done:
    from curation.classifier.draw import choose

    return choose(_files_of_ranks(stage, "keys"), DrawStage(do="draw", **_without_ranks(stage)), stage.folder), {}


def _select(stage: Stage) -> Done:
    from curation.selection.select import choose

    params = SelectStage(do="select", **{key: value for key, value in _without_ranks(stage).items() if key != "seed"})
    return choose(_files_of_ranks(stage, "keys"), params, stage.folder, seed=stage.params["seed"])


def _discover_domains(stage: Stage) -> Done:
    from curation.classifier.domains import discover_domains

    params = DiscoverDomainsStage(do="discover_domains", scores="scores", **_without_ranks(stage))
    return discover_domains(_files_of_ranks(stage, "scores"), params, stage.folder, progress=_shards_done(stage))


def _choose_threshold(stage: Stage) -> Done:
    from curation.classifier.thresholds import choose_threshold

    params = ChooseThresholdStage(do="choose_threshold", scores="scores", **_without_ranks(stage))
    return {}, choose_threshold(_files_of_ranks(stage, "scores"), params, stage.folder, progress=_shards_done(stage))


def _without_ranks(stage: Stage) -> dict[str, Any]:
    return {key: value for key, value in stage.params.items() if key != "num_ranks"}


def _files_of_ranks(stage: Stage, role: str) -> list[Path]:
    """What each rank of the stage before left in a folder of the input's name."""
    return [Path(stage.input(role)) / role / f"{rank:05d}.parquet" for rank in range(stage.params["num_ranks"])]


def _shards_done(stage: Stage) -> Callable[[int, int], None]:
    return Reports(stage.folder, 0, "shards")


def _label(stage: Stage) -> Done:
    from curation.language_model.label import write_examples

    shards = [Path(stage.input("scores")) / DOCUMENTS / f"{rank:05d}.parquet" for rank in range(stage.params["num_ranks"])]
    return write_examples(shards, stage.folder, min_score=stage.params["min_score"], progress=_shards_done(stage)), {}


def _merge_tokens(stage: Stage) -> Done:
    from curation.tokens.write import merge_tokens

    shards = Path(stage.input("shards")) / "shards"
    counts = merge_tokens(shards, stage.folder, stage.params["num_ranks"])
    return counts.pop("counts"), counts


WHOLE: dict[str, Callable[[Stage], Done]] = {
    "sample": _sample,
    "label": _label,
    "pass_at_k": pass_at_k,
    "draw_choice": _choose_drawn,
    "select_choice": _select,
    "train_classifier": _train_classifier,
    "discover_domains": _discover_domains,
    "choose_threshold": _choose_threshold,
    "tokenize": _merge_tokens,
    "certificate": _certificate,
}
