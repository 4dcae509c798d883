"""What a training stage begins from, as a page names it: `base`, `stable`, `stable@130B` or `stable@step:31000`."""

import re
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from recipes.schema.base import Tokens

_TOKENS: TypeAdapter[int] = TypeAdapter(Tokens)


class Init(NamedTuple):
    """Of a stage its end, or the moment after `step` or after `tokens`, both counted from that stage's own start."""

    stage: str
    step: int | None = None
    tokens: int | None = None


def read_init(text: str) -> Init:
    stage, is_at_moment, moment = text.partition("@")
    if not is_at_moment:
        return Init(stage)
    if stage == "base":
        raise ValueError(f"{text!r}: base has no moments; write init: base")
    if re.fullmatch(r"step:[1-9]\d*", moment):
        return Init(stage, step=int(moment.removeprefix("step:")))
    try:
        return Init(stage, tokens=_TOKENS.validate_python(moment))
    except ValidationError:
        raise ValueError(f"{text!r}: {moment!r} is no moment of a stage; write {stage}@130B or {stage}@step:31000") from None
