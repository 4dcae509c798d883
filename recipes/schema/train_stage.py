"""Keys of one stage of a train page: a training run on its blend, or an average (recipes/schema/average.py)."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from recipes.schema.average import AverageStage, Ema
from recipes.schema.base import Positive, PositiveFloat, Share, Strict, Tokens
from recipes.schema.init import Init, read_init
from recipes.schema.learning_rate import LearningRate


class Optimizer(Strict):
    """AdamW."""

    beta1: Share = 0.9
    beta2: Share = 0.95
    eps: PositiveFloat = 1e-8
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.1
    grad_clip: PositiveFloat = 1.0


Blend = dict[str, Share]  # dataset: share of tokens; on a page, one of them may be `rest`

# A sequence holds many documents. plain: attention and positions run across them (GPT-3, appendix B). reset: both begin anew with
# each document (Llama 3, arXiv 2407.21783, section 3.2).
Documents = Literal["plain", "reset"]


REST = "rest"


def fill_rest(given: Any) -> Any:
    """One dataset may have the share `rest`: what the others leave of 1. So a single share can be swept."""
    if not isinstance(given, dict) or REST not in given.values():
        return given
    rest = [name for name, share in given.items() if share == REST]
    others = {name: share for name, share in given.items() if share != REST}
    wrong = next((name for name, share in others.items() if not isinstance(share, int | float)), None)
    if len(rest) > 1 or wrong is not None:
        told = f"{', '.join(rest)} have the share `rest`" if wrong is None else f"{wrong} has the share {others[wrong]!r}"
        raise ValueError(f"blend: {told}; one dataset may have it, the others numbers")
    left = round(1.0 - sum(others.values()), 9)
    if left <= 0:
        raise ValueError(f"blend: {rest[0]} has the share `rest`, but the others leave {left:g}; lower {', '.join(others)}")
    return {name: left if name == rest[0] else share for name, share in given.items()}


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

    _rest_is_a_number = field_validator("blend", mode="before")(fill_rest)
    _sums_to_one = field_validator("blend")(check_blend)


class TrainStage(Strict):
    """One training run. Without a blend of its own it runs once for every branch. It starts when the stage that it begins from is
    finished; a longer run is a chain of stages: `stable2: {init: stable, continue: true, …}`."""

    init: str  # "base" (the Hugging Face weights), another stage, or a moment of it: stable@130B (its tokens), stable@step:31000
    load_optimizer: bool = True  # of the init stage; the base has none
    continues_data: bool = Field(default=False, alias="continue")  # datasets go on where the init stage stopped in them
    steps: Positive | None = None
    tokens: Tokens | None = None  # instead of steps: rounded up to whole ones
    lr: LearningRate
    blend: Blend | None = None
    seed: int | None = None  # of the order of its data; None: the page's, and one more for each stage before it
    ema: Ema | None = None

    _rest_is_a_number = field_validator("blend", mode="before")(fill_rest)

    @field_validator("blend")
    @classmethod
    def _sums_to_one(cls, blend: Blend | None) -> Blend | None:
        return blend if blend is None else check_blend(blend)

    @field_validator("init")
    @classmethod
    def _is_readable(cls, init: str) -> str:
        read_init(init)
        return init

    @model_validator(mode="after")
    def _has_one_length(self) -> Self:
        if (self.steps is None) == (self.tokens is None):
            raise ValueError(
                f"steps={self.steps} and tokens={self.tokens}: a stage's length is one of them; take the page's away with "
                "~stages.NAME.steps or ~stages.NAME.tokens"
            )
        if self.continues_data and self.begins_from.stage == "base":
            raise ValueError("continue: true goes on with the data of the stage that init names; base has seen none")
        return self

    @property
    def begins_from(self) -> Init:
        return read_init(self.init)


def _kind(given: Any) -> str:
    return "average" if isinstance(given, AverageStage) or (isinstance(given, dict) and "average" in given) else "train"


AnyStage = Annotated[Annotated[TrainStage, Tag("train")] | Annotated[AverageStage, Tag("average")], Discriminator(_kind)]
