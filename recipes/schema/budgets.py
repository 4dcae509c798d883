r"""Keys of the budgets of a readiness card: how much a model may think before it answers, and what it answers then.

Budget forcing is that of s1 (arXiv 2501.19393, section 3): what ends the thinking is refused, "Wait" stands in its place so many
times, and at the cap the thinking is closed and "Final Answer:" written for the model. A budget of steps is that of Steiner's
logits processor. All markers are plain text: a base model knows no special tokens of chats.
"""

import re
from typing import Self

from pydantic import Field, model_validator

from recipes.schema.base import Name, NotNegative, Positive, Strict


class Budget(Strict):
    """Thinking of at least and at most so much: it may end when all that is asked is done, and is closed at the first cap."""

    max_tokens: Positive
    min_tokens: NotNegative = 0
    max_steps: Positive | None = None
    min_steps: NotNegative = 0
    waits: NotNegative = 0  # so often `wait` stands where the model would have ended its thinking

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        if self.min_tokens > self.max_tokens:
            raise ValueError(f"min_tokens={self.min_tokens} is more than max_tokens={self.max_tokens}; raise the cap")
        if self.max_steps is not None and self.min_steps > self.max_steps:
            raise ValueError(f"min_steps={self.min_steps} is more than max_steps={self.max_steps}; raise the cap")
        if self.max_steps is not None and self.min_tokens:
            raise ValueError(
                f"min_tokens={self.min_tokens} and max_steps={self.max_steps} contradict each other where steps are short; "
                "leave one out"
            )
        return self


class Budgets(Strict):
    """`each`: budgets by name. A step is text that ends with `step`. `opening` stands behind the prompt and begins the thinking;
    `closing` is written for the model at a cap, or where it ends its text without an answer: `end`, then "Final Answer:"."""

    each: dict[Name, Budget] = Field(min_length=1)
    opening: str = ""
    end: Name = "</think>"
    closing: str = ""
    wait: Name = "Wait"
    step: Name = "\n\n"
    answer_tokens: Positive = 64  # at most, behind the thinking
    limit: Positive | None = None  # the first so many of the card's problems

    @model_validator(mode="after")
    def _texts_agree(self) -> Self:
        if self.closing and self.end not in self.closing:
            raise ValueError(f"closing {self.closing!r} does not hold end {self.end!r}, so that thinking would never be over")
        for key, text in (("opening", self.opening), ("wait", self.wait), ("step", self.step)):
            if self.end in text:
                raise ValueError(f"{key} {text!r} holds end {self.end!r}, which ends the thinking; write another")
        for name in self.each:
            if not re.fullmatch(r"[\w-]+", name, re.ASCII):
                raise ValueError(f"budget {name!r}: a name has letters, digits, _ and - alone, for a file is called by it")
        return self

    @property
    def closes_with(self) -> str:
        return self.closing or f"{self.end}\nFinal Answer:"
