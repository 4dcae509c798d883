"""Keys of a stage that averages checkpoints instead of training, and of the average that training may keep beside its weights."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, Self

from pydantic import Field, field_validator, model_validator

from recipes.schema.base import Model, Name, Positive, Strict, Tokens, nearest, whole_steps
from recipes.schema.init import read_init


class Ema(Strict):
    """An exponential moving average of the weights, in float32: after each step it goes 1 - decay of the way to the weights."""

    decay: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None  # a step
    half_life_tokens: Tokens | None = None  # instead of decay: after so many tokens a weight counts half

    @model_validator(mode="after")
    def _has_one_pace(self) -> Self:
        if (self.decay is None) == (self.half_life_tokens is None):
            raise ValueError(f"ema.decay={self.decay} and ema.half_life_tokens={self.half_life_tokens}: set one of them")
        return self

    def decay_a_step(self, tokens_per_step: int) -> float:
        return self.decay or 0.5 ** (tokens_per_step / (self.half_life_tokens or 1))


class AverageStage(Strict):
    """Trains nothing: the weighted mean of checkpoints, weights alone, so that a stage begins from it with load_optimizer: false.

    `average: [decay_a, decay_b]` gives all the same weight, `average: {decay_short: 0.9, stable@100B: 0.1}` its own to each. A
    branched stage stands for all its branches, which share its weight."""

    average: dict[str, Annotated[float, Field(gt=0.0, le=1.0)]]  # stage, branch of one (decay_short) or moment: weight
    last: Positive = 1  # of each stage: so many moments, the named one and those before it, which share its weight
    every_steps: Positive | None = None  # between these moments; the stage keeps their checkpoints for ever
    every_tokens: Tokens | None = None

    @field_validator("average", mode="before")
    @classmethod
    def _names_alone_weigh_the_same(cls, given: Any) -> Any:
        if isinstance(given, list):
            twice = [name for name in given if given.count(name) > 1]
            if twice:
                raise ValueError(f"average names {twice[0]!r} twice; give it a weight: {{{twice[0]}: …, …}}")
            return {name: 1.0 / len(given) for name in given}
        return given

    @field_validator("average")
    @classmethod
    def _weights_sum_to_one(cls, average: dict[str, float]) -> dict[str, float]:
        if not average:
            raise ValueError("average is empty: name the stages whose checkpoints it is made of")
        total = sum(average.values())
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"weights of the average sum to {total:.6g}, not 1: {average}")
        for name in average:
            read_init(name)
        return average

    @model_validator(mode="after")
    def _window_has_a_width(self) -> Self:
        if self.every_steps is not None and self.every_tokens is not None:
            raise ValueError("both every_steps and every_tokens are set; leave one out")
        if (self.last > 1) != (self.every_steps is not None or self.every_tokens is not None):
            raise ValueError(
                f"last={self.last} with every_steps={self.every_steps}, every_tokens={self.every_tokens}: an average over the "
                "last moments of a stage has both last (2 or more) and every_steps or every_tokens"
            )
        return self


class Member(Strict):
    """A checkpoint in an average."""

    stage: Name  # as it is run: a branched one with its branch
    step: Positive | None = None  # None: its last
    weight: Annotated[float, Field(gt=0.0, le=1.0)]


class AverageParams(Strict):
    """What decides an average's output, beside the stages that it is made of."""

    model: Model
    members: list[Member]


class Averaged(NamedTuple):
    """What a name in an average stands for: stages as they are run, each of `steps` steps; None: an average, which has none."""

    runs: list[str]
    steps: int | None


def members(stage: AverageStage, earlier: Mapping[str, Averaged], tokens_per_step: int) -> list[Member]:
    """In the page's order, moments from early to late. `earlier`: what may be named. ValueError names what may not."""
    found = []
    for text, weight in stage.average.items():
        named = read_init(text)
        if named.stage == "base":
            raise ValueError("average names base, which is no checkpoint of a stage; name stages of this page")
        if named.stage not in earlier:
            raise ValueError(f"average names {text!r}, which is no earlier stage; {nearest(named.stage, list(earlier))}")
        runs, steps = earlier[named.stage]
        moments = [None] if steps is None else _moments(stage, text, steps, tokens_per_step)
        if steps is None and (named.step or named.tokens or stage.last > 1):
            raise ValueError(f"average names moments of {named.stage!r}, which is an average itself: it has one checkpoint")
        share = weight / (len(runs) * len(moments))
        found += [Member(stage=run, step=step, weight=share) for run in runs for step in moments]
    checkpoints = [(member.stage, member.step) for member in found]
    for stage_name, step in checkpoints:
        if checkpoints.count((stage_name, step)) > 1:
            moment = "its end" if step is None else f"step {step:,}"
            raise ValueError(f"average counts the checkpoint of {stage_name} at {moment} twice; name it once, with one weight")
    return found


def _moments(stage: AverageStage, text: str, steps: int, tokens_per_step: int) -> list[int | None]:
    """Steps that the window ends with; None for the stage's last."""
    named = read_init(text)
    end = whole_steps(named.tokens, tokens_per_step) if named.tokens else named.step or steps
    if end > steps:
        raise ValueError(f"average names {text!r}, which is step {end:,}, but {named.stage} ends with step {steps:,}")
    every = whole_steps(stage.every_tokens, tokens_per_step) if stage.every_tokens else stage.every_steps or 0
    first = end - (stage.last - 1) * every
    if first < 1:
        raise ValueError(
            f"average of the last {stage.last} moments of {text}, {every:,} steps apart, would begin at step {first:,}: "
            "lower `last`, or bring them closer together"
        )
    return [None if step == steps else step for step in range(first, end + 1, every or 1)]
