"""How the learning rate goes over one training stage. Durations are steps or tokens on a page, and steps in a stage folder."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from recipes.schema.base import NotNegative, Positive, PositiveFloat, Strict, Tokens, whole_steps

Shape = Literal["cosine", "linear", "minus_sqrt", "exponential"]
_NEEDS = {"constant": (), "wsd": ("end", "shape", "decay_steps")}  # a decay over the whole stage needs its end alone


class LearningRate(Strict):
    """Warm-up, then the schedule: constant; wsd (constant, then a decay over the last `decay_steps`); or a decay by its shape,
    over all that is left."""

    schedule: Literal["constant", "wsd", "cosine", "linear", "minus_sqrt", "exponential"]
    peak: PositiveFloat
    end: Annotated[float, Field(ge=0.0)] | None = None
    shape: Shape | None = None  # of the decay of wsd
    warmup_steps: NotNegative = 0
    warmup_tokens: Tokens | None = None
    decay_steps: Positive | None = None
    decay_tokens: Tokens | None = None

    @model_validator(mode="after")
    def _keys_fit(self) -> Self:
        if self.warmup_tokens is not None and self.warmup_steps:
            raise ValueError("both lr.warmup_steps and lr.warmup_tokens are set; leave one out")
        if self.decay_tokens is not None and self.decay_steps is not None:
            raise ValueError("both lr.decay_steps and lr.decay_tokens are set; leave one out")
        given = {"end": self.end, "shape": self.shape, "decay_steps": self.decay_steps or self.decay_tokens}
        needed = _NEEDS.get(self.schedule, ("end",))
        for key, value in given.items():
            if (value is None) == (key in needed):
                raise ValueError(f"lr.{key}={value} does not fit schedule={self.schedule!r}: {_what_it_has(needed)}")
        if self.end is not None and self.end > self.peak:
            raise ValueError(f"lr.end={self.end} is above lr.peak={self.peak}")
        return self

    def in_steps(self, tokens_per_step: int) -> Self:
        """The same with durations in whole steps."""
        in_steps = {
            "warmup_steps": whole_steps(self.warmup_tokens, tokens_per_step) if self.warmup_tokens else self.warmup_steps,
            "decay_steps": whole_steps(self.decay_tokens, tokens_per_step) if self.decay_tokens else self.decay_steps,
        }
        return self.model_copy(update={**in_steps, "warmup_tokens": None, "decay_tokens": None})

    def check_fits(self, steps: int) -> None:
        """Of a learning rate in steps: raises ValueError where warm-up and decay are longer than the stage."""
        if self.warmup_steps >= steps:
            raise ValueError(f"lr.warmup_steps={self.warmup_steps} is not below steps={steps}")
        if self.decay_steps is not None and self.warmup_steps + self.decay_steps > steps:
            raise ValueError(
                f"lr.warmup_steps={self.warmup_steps} and lr.decay_steps={self.decay_steps} are more than steps={steps}; "
                "shorten one of them"
            )


def _what_it_has(needed: tuple[str, ...]) -> str:
    if not needed:
        return "a decay has an end, constant has none"
    if "shape" in needed:
        return "it has lr.end, lr.shape (cosine, linear, minus_sqrt or exponential) and lr.decay_steps or lr.decay_tokens"
    return "it has lr.end, and decays over the whole stage; a decay at the stage's end is schedule: wsd"
