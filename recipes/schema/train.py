"""Keys of the pages in recipes/train: a model family member and its stages."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from recipes.schema.base import (
    Cadence,
    Cluster,
    Model,
    Name,
    NotNegative,
    Parallelism,
    Positive,
    PositiveFloat,
    Share,
    Strict,
    nearest,
)


class LearningRate(Strict):
    schedule: Literal["constant", "cosine", "linear"]
    peak: PositiveFloat
    end: Annotated[float, Field(ge=0.0)] | None = None  # None only for constant
    warmup_steps: NotNegative = 0

    @model_validator(mode="after")
    def _end_fits(self) -> Self:
        if (self.schedule == "constant") != (self.end is None):
            hint = "a decay has an end, constant has none"
            raise ValueError(f"lr.end={self.end} does not fit schedule={self.schedule!r}: {hint}")
        if self.end is not None and self.end > self.peak:
            raise ValueError(f"lr.end={self.end} is above lr.peak={self.peak}")
        return self


class Optimizer(Strict):
    """AdamW."""

    beta1: Share = 0.9
    beta2: Share = 0.95
    eps: PositiveFloat = 1e-8
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.1
    grad_clip: PositiveFloat = 1.0


Blend = dict[str, Share]  # dataset: share of tokens


def check_blend(blend: Blend) -> Blend:
    if not blend:
        raise ValueError("blend is empty: name at least one dataset")
    total = sum(blend.values())
    if abs(total - 1.0) > 1e-6:
        raise ValueError(f"blend shares sum to {total:.6g}, not 1: {blend}")
    zero = [name for name, share in blend.items() if share == 0]
    if zero:
        raise ValueError(f"blend gives {zero[0]!r} a share of 0; leave it out")
    return blend


class Branch(Strict):
    blend: Blend

    _sums_to_one = field_validator("blend")(check_blend)


class TrainStage(Strict):
    """One training run. Without a blend of its own it runs once for every branch."""

    init: str  # "base" (the Hugging Face weights) or the name of another stage
    load_optimizer: bool = True  # of the init stage; the base has none
    steps: Positive
    lr: LearningRate
    blend: Blend | None = None

    @field_validator("blend")
    @classmethod
    def _sums_to_one(cls, blend: Blend | None) -> Blend | None:
        return blend if blend is None else check_blend(blend)

    @model_validator(mode="after")
    def _warmup_fits(self) -> Self:
        if self.lr.warmup_steps >= self.steps:
            raise ValueError(f"lr.warmup_steps={self.lr.warmup_steps} is not below steps={self.steps}")
        return self


class Export(Strict):
    dtype: Literal["float32", "bfloat16"]
    max_logit_difference: PositiveFloat  # between the exported and the Megatron model, both in float32


class TrainParams(Strict):
    """What decides a training stage's output; the node's view of TrainRecipe."""

    seed: int
    model: Model
    sequence_length: Positive
    global_batch_size: Positive
    precision: Literal["fp32", "bf16"]
    optimizer: Optimizer
    steps: Positive
    lr: LearningRate
    load_optimizer: bool
    init_from_stage: bool  # False: input `init` is a Hugging Face folder; True: a finished training stage
    blend: Blend
    validation: dict[str, str]
    validation_sequences: Positive


class TrainRecipe(Strict):
    """A page of recipes/train: a model family member and its stages."""

    page: str
    root: Name = "runs"
    seed: int = 1234
    model: Model
    base: str  # Hugging Face folder of the base checkpoint: local, hf:// or made:
    tokenizer: str
    sequence_length: Positive
    global_batch_size: Positive  # sequences
    precision: Literal["fp32", "bf16"]
    optimizer: Optimizer = Optimizer()
    stages: dict[str, TrainStage]
    branches: dict[str, Branch] = {}
    validation: dict[str, str] = {}  # name: dataset whose held-out split measures every stage at its end
    validation_sequences: Positive = 64
    export: Export
    cluster: Cluster
    parallelism: Parallelism = Parallelism()
    cadence: Cadence = Cadence()

    @property
    def ends(self) -> list[str]:
        """What is exported: the stages, or branches of them, that no other stage begins from."""
        used = {stage.init for stage in self.stages.values()}
        names: list[str] = []
        for name, stage in self.stages.items():
            if name not in used:
                names += [name] if stage.blend is not None else list(self.branches)
        return names

    def params_of(self, name: str, blend: Blend) -> TrainParams:
        """What decides the output of stage `name` on this blend."""
        stage = self.stages[name]
        return TrainParams(
            # Each stage draws an order of its own: a decay that drew the stable stage's would begin with what was seen first.
            seed=self.seed + list(self.stages).index(name),
            model=self.model,
            sequence_length=self.sequence_length,
            global_batch_size=self.global_batch_size,
            precision=self.precision,
            optimizer=self.optimizer,
            steps=stage.steps,
            lr=stage.lr,
            load_optimizer=stage.load_optimizer,
            init_from_stage=stage.init != "base",
            blend=blend,
            validation=self.validation,
            validation_sequences=self.validation_sequences,
        )

    @property
    def tokens_per_step(self) -> int:
        return self.sequence_length * self.global_batch_size

    @model_validator(mode="after")
    def _whole(self) -> Self:
        for position, (name, stage) in enumerate(self.stages.items()):
            earlier = ["base", *list(self.stages)[:position]]
            if stage.init not in earlier:
                raise ValueError(f"stages.{name}.init={stage.init!r} is no earlier stage; {nearest(stage.init, earlier)}")
            if stage.blend is None and not self.branches:
                raise ValueError(f"stages.{name} has no blend and the page has no branches; add `blend:` or `branch=`")
            if stage.init != "base" and self.stages[stage.init].blend is None:
                raise ValueError(
                    f"stages.{name}.init={stage.init!r} is itself branched; only unbranched stages can be branched from"
                )
        if self.sequence_length > self.model.max_position_embeddings:
            raise ValueError(
                f"sequence_length={self.sequence_length} is above model.max_position_embeddings="
                f"{self.model.max_position_embeddings}"
            )
        return self


class ExportParams(Strict):
    model: Model
    dtype: Literal["float32", "bfloat16"]
    max_logit_difference: PositiveFloat
