"""The learning rate is a function of the step alone, and the one that Megatron would give, one step earlier."""

from itertools import product
from types import SimpleNamespace
from typing import Any

import pytest

from pretrain.schedule import first_difference, in_words, learning_rate
from recipes.schema import LearningRate

STEPS, WARMUP, DECAY, PEAK, END = 40, 6, 10, 3e-4, 3e-5
SHAPES = ("cosine", "linear", "minus_sqrt", "exponential")


def rate(schedule: str, **keys: Any) -> LearningRate:
    return LearningRate.model_validate({"schedule": schedule, "peak": PEAK, **keys})


def curve(lr: LearningRate, steps: int) -> list[float]:
    return [learning_rate(lr, step, steps) for step in range(1, steps + 1)]


def megatrons(style: str, warmup: int, shape: str | None = None) -> list[float]:
    """What OptimizerParamScheduler leaves in the parameter groups: at its start, for step 1, and after each of STEPS steps."""
    from megatron.core.optimizer_param_scheduler import OptimizerParamScheduler

    optimizer = SimpleNamespace(param_groups=[{}])
    scheduler = OptimizerParamScheduler(
        optimizer, init_lr=0.0, max_lr=PEAK, min_lr=PEAK if style == "constant" else END, lr_warmup_steps=warmup,
        lr_decay_steps=STEPS, lr_decay_style=style, start_wd=0.1, end_wd=0.1, wd_incr_steps=0, wd_incr_style="constant",
        wsd_decay_steps=DECAY if shape else None, lr_wsd_decay_style=shape,
    )  # fmt: skip
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(STEPS):
        scheduler.step(1)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


@pytest.mark.parametrize(("shape", "warmup"), [*product(SHAPES, (0, WARMUP))])
def test_wsd_is_megatrons_one_step_earlier(shape: str, warmup: int, megatron: None) -> None:
    ours = curve(rate("wsd", shape=shape, end=END, decay_steps=DECAY, warmup_steps=warmup), STEPS)
    assert ours == pytest.approx(megatrons("WSD", warmup, shape)[1:], rel=1e-12)


@pytest.mark.parametrize(("schedule", "warmup"), [*product(("constant", "cosine", "linear"), (0, WARMUP))])
def test_other_schedules_are_megatrons_one_step_earlier(schedule: str, warmup: int, megatron: None) -> None:
    end = {} if schedule == "constant" else {"end": END}
    assert curve(rate(schedule, warmup_steps=warmup, **end), STEPS) == pytest.approx(megatrons(schedule, warmup)[1:], rel=1e-12)


def test_megatrons_first_step_of_a_warmup_does_nothing_and_ours_does(megatron: None) -> None:
    assert megatrons("constant", WARMUP)[0] == 0.0
    assert curve(rate("constant", warmup_steps=WARMUP), STEPS)[0] == PEAK / WARMUP


@pytest.mark.parametrize("shape", SHAPES)
def test_wsd_is_a_constant_stage_and_a_decay_after_it(shape: str) -> None:
    whole = curve(rate("wsd", shape=shape, end=END, decay_steps=DECAY, warmup_steps=WARMUP), STEPS)
    stable = curve(rate("constant", warmup_steps=WARMUP), STEPS - DECAY)
    assert whole == stable + curve(rate(shape, end=END), DECAY)
    assert (whole[WARMUP - 1], whole[STEPS - DECAY - 1], whole[-1]) == (PEAK, PEAK, END)


@pytest.mark.parametrize(
    ("keys", "wanted"),
    [
        ({"schedule": "constant"}, [1.0, 1.0, 1.0, 1.0]),
        ({"schedule": "constant", "warmup_steps": 2}, [0.5, 1.0, 1.0, 1.0]),
        ({"schedule": "linear", "end": 0.0}, [0.75, 0.5, 0.25, 0.0]),
        ({"schedule": "cosine", "end": 0.1}, [0.868198, 0.55, 0.231802, 0.1]),
        ({"schedule": "minus_sqrt", "end": 0.0}, [0.5, 0.292893, 0.133975, 0.0]),
        ({"schedule": "exponential", "end": 0.0}, [0.681793, 0.414214, 0.189207, 0.0]),
        ({"schedule": "cosine", "end": 0.1, "warmup_steps": 3}, [1 / 3, 2 / 3, 1.0, 0.1]),
        ({"schedule": "wsd", "shape": "linear", "end": 0.0, "decay_steps": 1}, [1.0, 1.0, 1.0, 0.0]),
    ],
)
def test_rates_by_hand(keys: dict[str, Any], wanted: list[float]) -> None:
    lr = LearningRate.model_validate({"peak": 1.0, **keys})
    assert curve(lr, 4) == pytest.approx(wanted, abs=1e-6)


def test_a_schedule_is_told_in_words() -> None:
    wsd = rate("wsd", shape="minus_sqrt", end=END, decay_steps=DECAY, warmup_steps=WARMUP)
    assert in_words(wsd, STEPS) == "warm-up in 6 steps, 24 steps at 0.0003, minus_sqrt from 0.0003 to 3e-05 in 10 steps"
    assert in_words(rate("constant"), 50_000) == "50,000 steps at 0.0003"
    assert in_words(rate("cosine", end=END), 1_000) == "cosine from 0.0003 to 3e-05 in 1,000 steps"


def test_the_first_step_that_differs_is_found() -> None:
    wsd = rate("wsd", shape="linear", end=END, decay_steps=DECAY)
    assert first_difference((rate("constant"), STEPS), (wsd, STEPS)) == STEPS - DECAY + 1
    assert first_difference((wsd, STEPS), (wsd, STEPS)) is None
    assert first_difference((rate("constant"), 10), (rate("constant"), 20)) == 11
    assert first_difference((rate("linear", end=END), DECAY), (rate("cosine", end=END), DECAY)) == 1
