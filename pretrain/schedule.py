"""The learning rate as a pure function of the step, hence of the tokens seen: a step is always the same number of tokens.

The values are those of megatron-core 0.16.1's OptimizerParamScheduler.get_lr (optimizer_param_scheduler.py:215-279) for its
constant, linear, cosine and WSD styles, one step earlier: there the rate is set after each step, so that step s runs with
get_lr(s - 1), the first step of a warm-up does nothing, and the last of a decay never reaches its end. Here step s runs with
get_lr(s). No torch: plans draw it.
"""

import math

from recipes.schema import LearningRate


def learning_rate(lr: LearningRate, step: int, steps: int) -> float:
    """Of step 1..steps of a stage. The last step of a warm-up has `peak`, the last of a decay `end`. A stage of the schedule wsd
    is the same as a constant one and a decay of the same shape after it."""
    if step <= lr.warmup_steps:
        return lr.peak * step / lr.warmup_steps
    decay_steps = num_decay_steps(lr, steps)
    decayed = step - (steps - decay_steps)
    if decayed <= 0:
        return lr.peak
    assert lr.end is not None
    way = _way(str(lr.shape or lr.schedule), decayed / decay_steps)
    return lr.peak * (1.0 - way) + lr.end * way  # exactly `end` where way is 1


def num_decay_steps(lr: LearningRate, steps: int) -> int:
    assert lr.warmup_tokens is None
    assert lr.decay_tokens is None
    if lr.schedule == "constant":
        return 0
    return lr.decay_steps if lr.decay_steps is not None else steps - lr.warmup_steps


def _way(shape: str, progress: float) -> float:
    """How much of the way from peak to end is gone at `progress` (0 to 1) of the decay's steps."""
    match shape:
        case "linear":
            return progress
        case "cosine":
            return 0.5 * (1.0 - math.cos(math.pi * progress))
        case "minus_sqrt":  # 1 - sqrt: Hägele et al. 2024 (arXiv 2405.18392), section 3
            return math.sqrt(progress)
        case "exponential":  # Megatron's: 2 * 0.5^progress - 1 of the way is left, so that it ends at `end` and not above it
            return 2.0 - 2.0 * math.pow(0.5, progress)
    raise ValueError(f"there is no decay of shape {shape!r}; there are cosine, linear, minus_sqrt and exponential")


def in_words(lr: LearningRate, steps: int) -> str:
    """`warm-up in 20 steps, 180 steps at 3e-05, minus_sqrt from 3e-05 to 3e-06 in 500 steps`."""
    decay_steps = num_decay_steps(lr, steps)
    plateau = steps - lr.warmup_steps - decay_steps
    words = [f"warm-up in {lr.warmup_steps:,} steps"] if lr.warmup_steps else []
    words += [f"{plateau:,} steps at {lr.peak:g}"] if plateau else []
    words += [f"{lr.shape or lr.schedule} from {lr.peak:g} to {lr.end:g} in {decay_steps:,} steps"] if decay_steps else []
    return ", ".join(words)


def first_difference(one: tuple[LearningRate, int], other: tuple[LearningRate, int]) -> int | None:
    """The first step that two stages (learning rate, steps) do not run with the same rate: where one has ended, none has."""
    for step in range(1, min(one[1], other[1]) + 1):
        if learning_rate(one[0], step, one[1]) != learning_rate(other[0], step, other[1]):
            return step
    return None if one[1] == other[1] else min(one[1], other[1]) + 1
