"""Keys of the pages in recipes/train: a model family member and its stages."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from recipes.schema.average import Averaged, AverageParams, AverageStage, Member, members
from recipes.schema.base import Cadence, Model, Name, Parallelism, Positive, PositiveFloat, Strict, nearest, whole_steps
from recipes.schema.cluster import Cluster
from recipes.schema.guards import Guards
from recipes.schema.learning_rate import LearningRate
from recipes.schema.release import Release
from recipes.schema.train_stage import AnyStage, Blend, Branch, Documents, Optimizer, TrainStage


class Export(Strict):
    dtype: Literal["float32", "bfloat16"]
    max_logit_difference: PositiveFloat  # between the exported and the Megatron model, both in float32
    weights: Literal["trained", "ema"] = "trained"  # ema: those that the stage's `ema` kept; an average has one kind
    max_shard_gigabytes: PositiveFloat = 5.0  # of one safetensors file, in 10^9 bytes: transformers' own default was 5


class TrainParams(Strict):
    """What decides a training stage's output; the node's view of TrainRecipe."""

    seed: int
    model: Model
    sequence_length: Positive
    global_batch_size: Positive
    documents: Documents = "plain"
    eod_mask_loss: bool = False
    precision: Literal["fp32", "bf16", "fp8"]
    optimizer: Optimizer
    steps: Positive
    lr: LearningRate
    load_optimizer: bool
    init_from_stage: bool  # False: input `init` is a Hugging Face folder; True: a finished training stage
    init_step: Positive | None = None  # of that stage; None: its last
    continues_data: bool = False  # datasets that the init stage has seen go on where it stopped at init_step
    blend: Blend
    ema_decay: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None  # a step; None: no average is kept beside the weights
    guards: Guards = Guards()
    validation: dict[str, str]
    validation_sequences: Positive

    @property
    def num_batches(self) -> int:
        """That the data are ordered for: one a step, and those that guards may leave out."""
        return self.steps + self.guards.reserve_steps


class TrainRecipe(Strict):
    """A page of recipes/train: a model family member and its stages."""

    page: str
    root: Name = "runs"
    seed: int = 1234
    model: Model
    base: str  # Hugging Face folder of the base checkpoint: local, hf:// or made:
    tokenizer: str
    special_tokens: list[Name] = []  # new ones, after the base's vocabulary; their rows begin as the mean of all others
    vocab_multiple: Positive = 1  # the vocabulary is filled up to a multiple of this, with mean rows that no token uses
    sequence_length: Positive
    global_batch_size: Positive  # sequences
    documents: Documents = "plain"
    eod_mask_loss: bool = False  # the first token of a document, predicted from the end of the one before it, is not in the loss
    precision: Literal["fp32", "bf16", "fp8"]
    optimizer: Optimizer = Optimizer()
    stages: dict[str, AnyStage]
    branches: dict[str, Branch] = {}
    max_epochs: PositiveFloat | None = None  # how often, in all, a stage and those before it may see a dataset; None: no limit
    guards: Guards = Guards()  # what a step that looks wrong leads to
    validation: dict[str, str] = {}  # name: dataset whose held-out split measures a stage before its first step and at its end
    validation_sequences: Positive = 64
    export: Export
    release: Release = Release()
    cluster: Cluster
    parallelism: Parallelism = Parallelism()
    cadence: Cadence = Cadence()

    @property
    def trainings(self) -> dict[str, TrainStage]:
        """Of the stages those that train."""
        return {name: stage for name, stage in self.stages.items() if isinstance(stage, TrainStage)}

    @property
    def ends(self) -> list[str]:
        """What is exported: the stages, or branches of them, that no other stage begins from. To be averaged takes none away."""
        return [self.end_name(name, branch) for name in self._last_stages for branch in self.runs_of(name)]

    def runs_of(self, name: str) -> dict[str, str]:
        """What stage `name` is called as it is run, by branch: once by its own name, or with each branch's."""
        stage = self.stages[name]
        if isinstance(stage, AverageStage) or stage.blend is not None:
            return {name: name}
        return {branch: f"{name}_{branch}" for branch in self.branches}

    def blend_of(self, name: str, branch: str) -> Blend:
        return self.trainings[name].blend or self.branches[branch].blend

    def end_name(self, name: str, branch: str) -> str:
        """Of an export: the branch, with the stage before it where several stages are branched."""
        branched = [last for last in self._last_stages if last not in self.runs_of(last)]
        return f"{name}_{branch}" if name in branched and len(branched) > 1 else branch

    @property
    def _last_stages(self) -> list[str]:
        used = {stage.begins_from.stage for stage in self.trainings.values()}
        return [name for name in self.stages if name not in used]

    def params_of(self, name: str, blend: Blend) -> TrainParams:
        """What decides the output of stage `name` on this blend."""
        stage = self.trainings[name]
        return TrainParams(
            # Another order than those of the stages before it: a decay that drew the stable stage's would begin with what was
            # seen first. Not by the place on the page: a branch that is added must not remake those below it.
            seed=self.seed + len(self.stages_before(name)) if stage.seed is None else stage.seed,
            model=self.trained_model,
            sequence_length=self.sequence_length,
            global_batch_size=self.global_batch_size,
            documents=self.documents,
            eod_mask_loss=self.eod_mask_loss,
            precision=self.precision,
            optimizer=self.optimizer,
            steps=self.steps_of(name),
            lr=stage.lr.in_steps(self.tokens_per_step),
            load_optimizer=stage.load_optimizer,
            init_from_stage=stage.init != "base",
            init_step=self.init_step_of(name),
            continues_data=stage.continues_data,
            blend=blend,
            ema_decay=stage.ema.decay_a_step(self.tokens_per_step) if stage.ema else None,
            guards=self.guards,
            validation=self.validation,
            validation_sequences=self.validation_sequences,
        )

    @property
    def trained_model(self) -> Model:
        """`model` with the rows that special tokens and the multiple add to the base's vocabulary."""
        wanted = self.model.vocab_size + len(self.special_tokens)
        vocab_size = -(-wanted // self.vocab_multiple) * self.vocab_multiple
        return self.model.model_copy(update={"vocab_size": vocab_size, "added_rows": vocab_size - self.model.vocab_size})

    @property
    def tokens_per_step(self) -> int:
        return self.sequence_length * self.global_batch_size

    @property
    def export_params(self) -> "ExportParams":
        return ExportParams(model=self.trained_model, special_tokens=self.special_tokens, **self.export.model_dump())

    def stages_before(self, name: str) -> list[str]:
        """On the way from the base to stage `name`, the first one first. Behind an average, the way of its first member."""
        init = self.trainings[name].begins_from.stage
        while init not in ("base", *self.trainings):
            init = self.stage_of(self.members_of(init)[0].stage)
        return [] if init == "base" else [*self.stages_before(init), init]

    def steps_of(self, name: str) -> int:
        stage = self.trainings[name]
        if stage.steps is not None:
            return stage.steps
        assert stage.tokens is not None
        return whole_steps(stage.tokens, self.tokens_per_step)

    def init_step_of(self, name: str) -> int | None:
        """The step of its init stage that stage `name` begins after; None for the last one, and for the base."""
        init = self.trainings[name].begins_from
        step = whole_steps(init.tokens, self.tokens_per_step) if init.tokens else init.step
        return None if step is None or step == self.steps_of(init.stage) else step

    def branch_points(self, name: str) -> list[int]:
        """Steps on the way of stage `name` that others begin after, or average: their checkpoints stay for ever."""
        branches = [other for other, stage in self.trainings.items() if stage.begins_from.stage == name]
        averaged = [one for other in self.stages if other not in self.trainings for one in self.members_of(other)]
        steps = {self.init_step_of(other) for other in branches}
        steps |= {one.step for one in averaged if self.stage_of(one.stage) == name}
        return sorted(step for step in steps if step is not None)

    # ------------------------------------------------------------------------------------------------ averages

    def members_of(self, name: str) -> list[Member]:
        """The checkpoints that the average `name` is made of."""
        stage = self.stages[name]
        assert isinstance(stage, AverageStage)
        earlier: dict[str, Averaged] = {}
        for other in list(self.stages)[: list(self.stages).index(name)]:
            steps = self.steps_of(other) if other in self.trainings else None
            earlier |= {run: Averaged([run], steps) for run in self.runs_of(other).values()}
            earlier[other] = Averaged(list(self.runs_of(other).values()), steps)
        return members(stage, earlier, self.tokens_per_step)

    def average_params(self, name: str) -> AverageParams:
        return AverageParams(model=self.trained_model, members=self.members_of(name))

    def stage_of(self, run: str) -> str:
        return next(name for name in self.stages if run in self.runs_of(name).values())

    # ------------------------------------------------------------------------------------------------ checks

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for position, (name, stage) in enumerate(self.stages.items()):
            earlier = ["base", *list(self.stages)[:position]]
            if isinstance(stage, AverageStage):
                self._check_average(name)
                continue
            if stage.begins_from.stage not in earlier:
                hint = nearest(stage.begins_from.stage, earlier)
                raise ValueError(f"stages.{name}.init={stage.init!r} is no earlier stage; {hint}")
            if stage.blend is None and not self.branches:
                raise ValueError(f"stages.{name} has no blend and the page has no branches; add `blend:` or `branch=`")
            self._check_init(name, stage)
            try:
                stage.lr.in_steps(self.tokens_per_step).check_fits(self.steps_of(name))
            except ValueError as error:
                raise ValueError(f"stages.{name}: {error}") from None
        if self.sequence_length > self.model.max_position_embeddings:
            raise ValueError(
                f"sequence_length={self.sequence_length} is above model.max_position_embeddings="
                f"{self.model.max_position_embeddings}"
            )
        return self

    def _check_init(self, name: str, stage: TrainStage) -> None:
        init = stage.begins_from.stage
        if init in self.stages and init not in self.trainings:
            self._check_init_average(name, stage)
            return
        step = self.init_step_of(name)
        if init != "base" and self.trainings[init].blend is None:
            raise ValueError(f"stages.{name}.init={stage.init!r} is itself branched; only unbranched stages can be branched from")
        if step is not None and step > self.steps_of(init):
            raise ValueError(
                f"stages.{name}.init={stage.init!r} is step {step:,}, but {init} ends with step {self.steps_of(init):,}; name an "
                f"earlier moment, or lengthen stages.{init}"
            )

    def _check_init_average(self, name: str, stage: TrainStage) -> None:
        if stage.load_optimizer:
            raise ValueError(
                f"stages.{name}.init={stage.init!r} is an average, which has weights alone and no optimizer state; set "
                f"stages.{name}.load_optimizer=false"
            )
        if stage.continues_data:
            raise ValueError(f"stages.{name}: continue: true goes on with the data of one stage; {stage.init!r} is an average")
        if stage.init != stage.begins_from.stage:
            raise ValueError(f"stages.{name}.init={stage.init!r}: an average has no moments; write {stage.begins_from.stage}")

    def _check_average(self, name: str) -> None:
        try:
            self.members_of(name)
        except ValueError as error:
            raise ValueError(f"stages.{name}: {error}") from None

    @model_validator(mode="after")
    def _each_has_a_name_of_its_own(self) -> Self:
        owners = {"report": "the page's report"}
        for name in self.stages:
            for branch, run in self.runs_of(name).items():
                exports = [f"export_{self.end_name(name, branch)}"] if name in self._last_stages else []
                told = f"stages.{name}" if run == name else f"stages.{name} of branches.{branch}"
                for made in (run, *exports):
                    if owners.setdefault(made, told) != told:
                        raise ValueError(f"{owners[made]} and {told} would both make {made!r}; rename one of them")
        return self

    @model_validator(mode="after")
    def _export_has_its_weights(self) -> Self:
        without = [name for name in self._last_stages if name in self.trainings and self.trainings[name].ema is None]
        if self.export.weights == "ema" and without:
            raise ValueError(f"export.weights=ema, but stages.{without[0]} has no `ema`; give it one, or export.weights=trained")
        return self

    @model_validator(mode="after")
    def _vocabulary(self) -> Self:
        if self.model.added_rows:
            raise ValueError(
                f"model.added_rows={self.model.added_rows} is counted from special_tokens and vocab_multiple; leave it out: "
                "model.vocab_size is the base's"
            )
        twice = [token for token in self.special_tokens if self.special_tokens.count(token) > 1]
        if twice:
            raise ValueError(f"special_tokens names {twice[0]!r} twice")
        return self


class ExportParams(Export):
    model: Model
    special_tokens: list[Name] = []  # the first of the model's added rows
