"""What all parts of a page share: strict reading, ranges, and how training is laid out."""

import difflib
import re
from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(gt=0)]
NotNegative = Annotated[int, Field(ge=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
Name = Annotated[str, Field(min_length=1)]


def _is_folder_name(given: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", given):
        raise ValueError(f"{given!r} is no name of a folder; use letters, digits, _, - and .")
    return given


FolderName = Annotated[str, AfterValidator(_is_folder_name)]  # part of one's name

_SIZES = {"": 1, "k": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


def _number_of_tokens(given: Any) -> Any:
    """512M -> 512_000_000; numbers stay as they are."""
    if not isinstance(given, str):
        return given
    written = re.fullmatch(r"(\d+(?:\.\d+)?)([kMBT]?)", given.replace("_", ""))
    number = Fraction(written[1]) * _SIZES[written[2]] if written else None
    if number is None or number.denominator != 1:
        raise ValueError(f"{given!r} is no number of tokens; write it as 20B, 512M, 1.5T or a whole number")
    return int(number)


Tokens = Annotated[int, BeforeValidator(_number_of_tokens), Field(gt=0)]
TokensOrZero = Annotated[int, BeforeValidator(_number_of_tokens), Field(ge=0)]


def whole_steps(tokens: int, tokens_per_step: int) -> int:
    """Rounded up: no fewer tokens than were asked for."""
    return -(-tokens // tokens_per_step)


def nearest(name: str, valid: list[str]) -> str:
    """The end of an error message: the nearest valid name, else all of them."""
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"valid names: {', '.join(sorted(valid)) or 'none'}"


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            keys = [field.alias or name for name, field in cls.model_fields.items()]  # `continue` is a word of Python's
            for key in data:
                if key not in keys:
                    raise ValueError(f"unknown key {key!r}; {nearest(str(key), keys)}")
        return data


class Parallelism(Strict):
    """How training is laid out. Data parallelism is what is left: processes / (tensor * pipeline * context)."""

    tensor: Positive = 1
    pipeline: Positive = 1
    context: Positive = 1
    virtual_pipeline: Positive = 1  # interleaved parts of the model on each pipeline stage
    sequence_parallel: bool = False
    micro_batch_size: Positive = 1
    overlap: bool = True  # gradients and weights travel between data-parallel processes while others are computed
    recompute_layers: NotNegative = 0  # of a pipeline stage (of each part, if interleaved): activations made again to save memory


class Cadence(Strict):
    log_every_steps: Positive = 10
    checkpoint_every_steps: Positive = 1000
    keep_checkpoints: Positive = 2
    keep_every_tokens: TokensOrZero = 0  # one checkpoint at each multiple is kept for ever; 0: only the newest are
    save: Literal["sync", "async"] = "sync"  # async: training goes on while a copy in host memory is written
    validate_every_steps: NotNegative = 0  # 0: only before the first step and at the end
    observers: list[Literal["tensorboard", "wandb"]] = []  # mirrors of the journals; each is an extra of the package


class Model(Strict):
    """A Llama architecture, in Megatron-core's words."""

    num_layers: Positive
    hidden_size: Positive
    ffn_hidden_size: Positive
    num_attention_heads: Positive
    num_query_groups: Positive
    head_dim: Positive
    vocab_size: Positive
    added_rows: NotNegative = 0  # of vocab_size, that the base has not: counted from special_tokens and vocab_multiple
    max_position_embeddings: Positive
    rope_theta: PositiveFloat
    rope_scaling_factor: PositiveFloat | None = None  # llama3 scaling with low 1, high 4, original 8192; None: plain RoPE
    tie_embeddings: bool
    norm_eps: PositiveFloat = 1e-5
    init_std: PositiveFloat = 0.02

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.num_attention_heads % self.num_query_groups:
            raise ValueError(
                f"num_attention_heads={self.num_attention_heads} is not a multiple of num_query_groups={self.num_query_groups}"
            )
        return self
