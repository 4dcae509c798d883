"""Keys of the stages that choose few documents out of many, in the manner of s1: hard ones, of many topics, with long chains of
thought."""

from typing import Literal, Self

from pydantic import model_validator

from recipes.schema.base import Name, NotNegative, Positive, PositiveFloat, Strict
from recipes.schema.endpoint import Endpoint


class DropSolvedStage(Strict):
    """Drops the questions that a model solves: two such stages in a row drop what either solves, and ask the second one only
    about what the first one left. A question without an expected answer cannot be graded and stays."""

    do: Literal["drop_solved"]
    solver: Endpoint | None = None  # is asked; else
    attempt: Name | None = None  # the metadata field with what a model answered before: a text or a list of texts
    prompt: Name = "solve_problem"
    samples: Positive = 1  # answers asked for until one is right
    max_answer_tokens: Positive = 4_096
    judge: Endpoint | None = None  # grades by reading attempt and expected answer; None: math-verify does
    judge_prompt: Name = "judge_attempt"

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.solver is None) == (self.attempt is None):
            raise ValueError("set either solver (an endpoint that is asked) or attempt (a metadata field), and not both")
        return self


class LabelTopicStage(Strict):
    """Writes the topic of each question, one of a list, into the metadata as `topic`: a language model tells it, or a field that
    has its code already."""

    do: Literal["label_topic"]
    endpoint: Endpoint | None = None  # is asked; else
    field: Name | None = None  # the metadata field with the code
    prompt: Name = "topic"  # {text} stands for the question, {topics} for the list
    topics: Name = "msc2020"  # a list of curation/selection/topics, or a path: CODE TAB NAME on each line
    max_chars: Positive = 8_000  # of a question, from its beginning
    max_answer_tokens: Positive = 200
    attempts: Positive = 3  # until an answer can be read

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.endpoint is None) == (self.field is None):
            raise ValueError(
                "set either endpoint (which is asked) or field (a metadata field with the topic's code), and not both"
            )
        return self


class SelectStage(Strict):
    """Chooses `total` documents: the seed set, then one after the other a topic by chance and in it a document by chance, the one
    with the longest trace being twice as likely as the next, and so on (s1, appendix). The seed of the page decides."""

    do: Literal["select"]
    total: Positive
    topic: Name = "topic"  # the metadata field with it
    trace: Name | None = None  # the metadata field whose length counts; None: the document's text
    seed_set: dict[str, NotNegative] = {}  # beginning of an origin: least length of a trace; right ones are taken first
    origin: Name = "source"  # the metadata field that seed_set is about
    topic_weights: dict[str, PositiveFloat] = {}  # of a target's topics; the others have none
    uniform_until: Positive | None = None  # documents up to which all topics are as likely; from there on by topic_weights

    @model_validator(mode="after")
    def _weights_have_their_time(self) -> Self:
        if bool(self.topic_weights) != (self.uniform_until is not None):
            raise ValueError("topic_weights and uniform_until belong together: set both, or neither")
        if self.uniform_until is not None and self.uniform_until >= self.total:
            raise ValueError(
                f"uniform_until={self.uniform_until} leaves nothing of total={self.total} to topic_weights; lower it, or leave "
                "both out"
            )
        return self
