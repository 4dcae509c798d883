"""What a training stage does when a step looks wrong."""

from typing import Annotated, Literal

from pydantic import Field

from recipes.schema.base import Positive, PositiveFloat, Strict

# stop: training ends. skip: the step counts, its update is not made. rewind: back to the weights `rewind_steps` before it; the
# batches since then are left out, and the next ones take their place.
Then = Literal["stop", "skip", "rewind"]


class LossSpike(Strict):
    """A loss that is above the mean of the last ones by so many of their standard deviations."""

    then: Then
    above_stds: PositiveFloat = 6.0
    of_last_steps: Annotated[int, Field(ge=2)] = 100  # whose updates were made; before there are as many, nothing is a spike


class GradNorm(Strict):
    """A gradient whose norm, before it is clipped, is above a bound."""

    then: Then
    above: PositiveFloat


class Guards(Strict):
    non_finite: Then = "stop"  # a loss or a gradient that is no number
    loss_spike: LossSpike | None = None
    grad_norm: GradNorm | None = None
    rewind_steps: Positive = 100  # as many as PaLM went back (arXiv 2204.02311, section 5.1)
    max_rewinds: Positive = 3  # in a stage; the next one stops it
    max_skips: Positive = 10  # one after the other; the next one stops it

    @property
    def rewinds(self) -> bool:
        """Whether any guard may go back."""
        policies = [self.non_finite, *(guard.then for guard in (self.loss_spike, self.grad_norm) if guard is not None)]
        return "rewind" in policies

    @property
    def reserve_steps(self) -> int:
        """Steps whose batches a stage may leave out: its data are ordered for as many more."""
        return self.max_rewinds * self.rewind_steps if self.rewinds else 0
