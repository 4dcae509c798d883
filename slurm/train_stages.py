"""A train page becomes stages: each training stage on its blend or once a branch, averages, and an export of every end."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from pretrain.checkpoint import files as checkpoints
from pretrain.convert import check_config, check_weights
from pretrain.memory import check_state_fits
from pretrain.parallel import check_layout, check_precision
from pretrain.special_tokens import extended
from pretrain.weights import has_weights
from recipes.load import pages
from recipes.manifest import read_summary
from recipes.schema import AverageStage, CurateRecipe, TokenizeStage, TrainParams, TrainRecipe, nearest, whole_steps
from recipes.stage import Input, Stage, is_finished, made
from slurm.epochs import beyond_limit
from slurm.forecast import FORECAST, foretell
from slurm.path_stages import misplaced_marks
from slurm.planner import Planner
from slurm.status.progress import progress_of


@dataclass
class Page:
    """A train page while it is expanded. `stages`: those so far, by name."""

    planner: Planner
    recipe: TrainRecipe
    stages: dict[str, Stage]

    def __post_init__(self) -> None:
        recipe = self.recipe
        self.runs = {"parallelism": recipe.parallelism.model_dump(mode="json"), "cadence": recipe.cadence.model_dump(mode="json")}

    def expand(self) -> Iterator[Stage]:
        """The planner adds each stage to `stages` before it asks for the next one."""
        recipe = self.recipe
        base = self.planner.locate(recipe.base, "base")
        tokenizer = self.planner.locate(recipe.tokenizer, "tokenizer")
        for text in _roundings(recipe):
            self.planner.outside.warn(text)
        for name, spec in recipe.stages.items():
            for branch in recipe.runs_of(name):
                is_average = isinstance(spec, AverageStage)
                stage = self._average(name) if is_average else self._train(name, branch, base, tokenizer)
                yield stage
                end = recipe.end_name(name, branch)
                if end in recipe.ends:
                    inputs = {"checkpoint": made(stage), "config": base, "tokenizer": tokenizer}
                    params = recipe.export_params.model_dump(mode="json")
                    yield self.planner.stage(recipe, f"export_{end}", "pretrain", "export", params, inputs, self.runs)
        self._check_held_out()
        for problem in misplaced_marks(recipe, self.planner.recipes, Path(tokenizer.location)):
            self.planner.outside.problem(problem)

    def _train(self, name: str, branch: str, base: Input, tokenizer: Input) -> Stage:
        recipe = self.recipe
        init, blend = recipe.trainings[name].begins_from, recipe.blend_of(name, branch)
        inputs = {"init": base if init.stage == "base" else made(self.stages[init.stage]), "tokenizer": tokenizer}
        datasets = dict.fromkeys([*blend, *recipe.validation.values()])
        inputs |= {f"dataset/{dataset}": self._dataset(dataset) for dataset in datasets}
        params = recipe.params_of(name, blend)
        # where others branch off is no part of the identity: a new branch must not remake the stage that it begins from
        runs: dict[str, Any] = {**self.runs, "branch_points": recipe.branch_points(name)}
        own = recipe.runs_of(name)[branch]
        stage = self.planner.stage(recipe, own, "pretrain", "train", params.model_dump(mode="json"), inputs, runs)
        stage = replace(stage, run=stage.run | {FORECAST: foretell(self.planner.root, stage)})
        if stage.run[FORECAST]["attended_length"] is None:
            self.planner.outside.warn(
                f"{stage.name}: hours count attention over whole sequences, as its documents' lengths are not known yet"
            )
        self._check(stage, params)
        if recipe.max_epochs is not None and not stage.is_finished:
            seen = _tokens_before(recipe, name)
            for problem in beyond_limit(stage, params, recipe.max_epochs, self.planner.recipes, seen):
                self.planner.outside.problem(problem)
        if init.stage != "base":
            told = f"init={recipe.trainings[name].init!r}"
            self._check_branch_point(stage, told, self.stages[init.stage], params.init_step)
            self._tell_what_was_seen(name, stage, params)
        return stage

    def _average(self, name: str) -> Stage:
        recipe, params = self.recipe, self.recipe.average_params(name)
        inputs = {f"checkpoint/{member.stage}": made(self.stages[member.stage]) for member in params.members}
        inputs |= {f"dataset/{dataset}": self._dataset(dataset) for dataset in dict.fromkeys(recipe.validation.values())}
        stage = self.planner.stage(recipe, name, "pretrain", "average", params.model_dump(mode="json"), inputs, self.runs)
        for member in params.members:
            self._check_branch_point(stage, "a checkpoint to average", self.stages[member.stage], member.step)
        return stage

    # ------------------------------------------------------------------------------------------------ checks

    def _check_held_out(self) -> None:
        """The pages of all datasets have been read when this is called."""
        for name, dataset in self.recipe.validation.items():
            page = self.planner.recipes[f"curate/{dataset}"]
            assert isinstance(page, CurateRecipe)
            *_, tokenize = (spec for spec in page.stages.values() if isinstance(spec, TokenizeStage))
            if not tokenize.validation_share:
                self.planner.outside.problem(
                    f"validation.{name}: dataset {dataset!r} holds no documents out (validation_share of its tokenize stage is "
                    f"0); set it above 0 on curate/{dataset}, or remove it from `validation`"
                )

    def _check(self, stage: Stage, params: TrainParams) -> None:
        """What training would refuse in its first second, so that it is refused before the queue."""
        recipe = self.recipe
        try:
            check_precision(params, recipe.cluster)
            data_size = check_layout(params, recipe.parallelism, recipe.cluster.num_processes)
            check_state_fits(params, recipe.parallelism, recipe.cluster, data_size)
            if not params.init_from_stage and (Path(stage.input("init")) / "config.json").is_file():
                check_config(Path(stage.input("init")), params.model)
                if has_weights(Path(stage.input("init"))):
                    check_weights(Path(stage.input("init")), params.model)
            if (Path(stage.input("tokenizer")) / "tokenizer.json").is_file():
                extended(Path(stage.input("tokenizer")), recipe.special_tokens, recipe.model.vocab_size)
        except ValueError as error:
            self.planner.outside.problem(f"{stage.name}: {error}")

    def _check_branch_point(self, stage: Stage, told: str, init: Stage, step: int | None) -> None:
        """A stage that is past the moment and did not keep it never will. One that is before it will, in training or not."""
        if step is None or stage.is_finished:
            return
        kept = sorted(checkpoints.step_of(path) for path in checkpoints.present(init.folder))
        newest = max([*kept, progress_of(init)["done"]])
        if step in kept or (newest < step and not init.is_finished):
            return
        where = "is finished" if init.is_finished else f"is at step {newest:,} already"
        way_out = "name one of these" if init.is_finished else "name one of these, or a moment to come"
        named = ", ".join(f"{init.name}@step:{number}" for number in kept) or "none"
        self.planner.outside.problem(
            f"{stage.name}: {told} is step {step:,} of {init.name}, which {where} and has not kept that checkpoint; "
            f"kept: {named}; {way_out}"
        )

    def _tell_what_was_seen(self, name: str, stage: Stage, params: TrainParams) -> None:
        """Documents that a stage will see again, unless it continues the data."""
        seen = _tokens_before(self.recipe, name)
        again = [dataset for dataset in params.blend if dataset in seen]
        spec = self.recipe.trainings[name]
        if params.continues_data and not again:
            self.planner.outside.warn(
                f"{stage.name}: `continue: true` changes nothing: {spec.init} has seen none of its datasets"
            )
        if not again:
            return
        tokens = params.steps * self.recipe.tokens_per_step
        if params.continues_data:
            for dataset in again:
                self._tell_what_is_left(stage, dataset, seen[dataset], params.blend[dataset] * tokens)
            return
        told = [
            dataset + _epochs(stage.inputs[f"dataset/{dataset}"], seen[dataset] + params.blend[dataset] * tokens)
            for dataset in again
        ]
        way_out = "; `continue: true` goes on where it stopped" if spec.begins_from.stage in self.recipe.trainings else ""
        self.planner.outside.warn(f"{stage.name} draws anew from datasets that {spec.init} has seen: {', '.join(told)}{way_out}")

    def _tell_what_is_left(self, stage: Stage, dataset: str, seen: float, asked: float) -> None:
        """A repeat that a stage which continues its data makes because too little is left."""
        whole = _train_tokens(stage.inputs[f"dataset/{dataset}"])
        left = whole - seen % whole if whole else asked
        if left < asked:
            self.planner.outside.warn(
                f"{stage.name} asks for {asked:,.0f} tokens of {dataset}, of which about {left:,.0f} are left: after these, "
                "documents that were seen come once more"
            )

    # ------------------------------------------------------------------------------------------------ datasets

    def _dataset(self, dataset: str) -> Input:
        """The last tokenize stage of the curate page of that name."""
        recipe = self.recipe
        datasets = [page.removeprefix("curate/") for page in pages() if page.startswith("curate/")]
        if dataset not in datasets:
            hint = nearest(dataset, datasets)
            raise ValueError(f"page {recipe.page}: there is no dataset {dataset!r} (a page curate/{dataset}); {hint}")
        stages = list(self.planner.stages_of(f"curate/{dataset}").values())
        tokenized = [stage for stage in stages if stage.do == "tokenize"]
        if not tokenized:
            raise ValueError(
                f"page {recipe.page}: curate/{dataset} makes no dataset: it ends with {stages[-1].do!r} and has no tokenize stage"
            )
        if not any(stage.do == "certificate" for stage in stages):
            self.planner.outside.warn(
                f"dataset {dataset!r} is not decontaminated, and has no certificate: curate/{dataset} has no decontaminate stage "
                "before tokenize"
            )
        page = self.planner.recipes[f"curate/{dataset}"]
        assert isinstance(page, CurateRecipe)
        if not _same_tokenizer(str(page.tokenizer), recipe.tokenizer):
            raise ValueError(
                f"page {recipe.page}: tokenizer={recipe.tokenizer!r}, but dataset {dataset!r} is tokenized with "
                f"{page.tokenizer!r}; set {dataset}:tokenizer=… or tokenizer=… to the same"
            )
        return made(tokenized[-1])


def _roundings(recipe: TrainRecipe) -> Iterator[str]:
    """Every duration in tokens that is no whole number of steps."""
    for name, stage in recipe.stages.items():
        if isinstance(stage, AverageStage):
            durations = {"every_tokens": stage.every_tokens}
        else:
            durations = {
                "tokens": stage.tokens,
                "lr.warmup_tokens": stage.lr.warmup_tokens,
                "lr.decay_tokens": stage.lr.decay_tokens,
                "init": stage.begins_from.tokens,
            }
        for key, tokens in durations.items():
            if tokens is not None and tokens % recipe.tokens_per_step:
                steps = whole_steps(tokens, recipe.tokens_per_step)
                yield (
                    f"stages.{name}.{key}: {tokens:,} tokens are rounded up to {steps:,} whole steps, which are "
                    f"{steps * recipe.tokens_per_step:,} tokens"
                )


def _tokens_before(recipe: TrainRecipe, name: str) -> dict[str, float]:
    """Tokens of each dataset that the weights which stage `name` begins from have seen, as the blends ask for them."""
    seen: dict[str, float] = {}
    way = [*recipe.stages_before(name), name]
    for before, after in pairwise(way):
        steps = recipe.init_step_of(after) or recipe.steps_of(before)
        for dataset, share in (recipe.trainings[before].blend or {}).items():
            seen[dataset] = seen.get(dataset, 0.0) + share * steps * recipe.tokens_per_step
    return seen


def _epochs(dataset: Input, tokens: float) -> str:
    whole = _train_tokens(dataset)
    return f" ({tokens / whole:.2f} epochs in total)" if whole else ""


def _train_tokens(dataset: Input) -> int:
    """0 while they are not made yet."""
    return int(read_summary(Path(dataset.location))["counts"]["tokens"]["train"]) if is_finished(dataset.location) else 0


def _same_tokenizer(one: str, other: str) -> bool:
    """Llama 3.1 and 3.2 share their tokenizer files; training compares the files' hashes again."""
    family = ("hf://meta-llama/Llama-3.1-", "hf://meta-llama/Llama-3.2-")
    return one == other or (one.startswith(family) and other.startswith(family))
