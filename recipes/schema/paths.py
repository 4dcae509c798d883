"""Keys of the stages that make paths of reasoning out of several traces of a question (Steiner)."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from recipes.schema.base import Name, NotNegative, Positive, PositiveFloat, Share, Strict, Tokens
from recipes.schema.endpoint import Endpoint
from recipes.schema.sampling import Accept

PATH_TOKENS = (  # of a path: the roles that a token may have
    *("reasoning_start", "reasoning_end", "reasoning_continue", "reasoning_backtrack", "step_start", "step_end"),
    *(f"{part}_{side}" for part in ("name", "thought", "summary", "reflection") for side in ("start", "end")),
)


class ResumeTracesStage(Strict):
    """Cuts traces off at a drawn place and has a language model go on without the answer; where that ends wrong, it is told the
    answer and finds back. Both are added to the document's samples."""

    do: Literal["resume_traces"]
    endpoint: Endpoint
    prompt: Name = "resume_reasoning"  # {text} stands for the problem and the beginning of its solution
    return_prompt: Name = "find_back"  # and here for the numbered steps of a wrong one, and the answer
    resumes: Positive = 4  # of each question
    temperature: PositiveFloat = 1.0
    max_answer_tokens: Positive = 8_192
    max_step_chars: Positive = 600  # a longer line is cut into its sentences
    accept: Accept = "math_verify"
    seconds: PositiveFloat = 5.0  # of CPU time for an answer


class BuildGraphsStage(Strict):
    """Joins the traces of a question to a graph; steps that say the same are one node."""

    do: Literal["build_graphs"]
    max_traces: Positive = 64  # of a question, the first
    max_steps: Positive = 2_000  # of a question's traces together; one that would make them more is left out
    max_step_chars: Positive = 600
    min_similarity: Share = 0.8  # cosine of two steps that have the same formulas
    accept: Accept = "math_verify"
    seconds: PositiveFloat = 5.0


class SamplePathsStage(Strict):
    """Draws paths from each question's graph, some of which go astray and come back. With `special_tokens` each step stands
    between them; they get the ids behind the tokenizer's, in the order of the page, as a train page's `special_tokens` does.
    Tokens of `summary` get their ids and stand in no text: no stage writes summaries of steps."""

    do: Literal["sample_paths"]
    paths_per_question: Positive = 5  # Steiner: 50,000 of 10,000 graphs
    max_backtracks: NotNegative = 2  # of a path
    max_reasoning_tokens: Tokens = 4_096  # Steiner: fewer than these
    max_tokens: Tokens = 8_192
    going_back: Name = "That does not lead to the answer. Back to: {step}"
    starting_over: Name = "That does not lead to the answer. I start again."
    think_tags: bool = False
    special_tokens: dict[str, Name] = {}  # role: token

    @model_validator(mode="after")
    def _whole(self) -> Self:
        unknown = [role for role in self.special_tokens if role not in PATH_TOKENS]
        if unknown:
            raise ValueError(f"special_tokens has no role {unknown[0]!r}; the roles are {', '.join(PATH_TOKENS)}")
        tokens = list(self.special_tokens.values())
        for token in tokens:
            if tokens.count(token) > 1 or token.strip() != token:
                raise ValueError(f"special_tokens: {token!r} stands there twice, or has space around it; write each token once")
        if self.special_tokens and self.think_tags:
            raise ValueError("think_tags and special_tokens both mark the reasoning; leave one of them out")
        return self


def check_paths(stages: Mapping[str, Any]) -> None:
    """Graphs come before paths, and nothing writes into texts behind paths with special tokens."""
    built = marked = ""
    for name, stage in stages.items():
        writes = stage.do in ("clean", "rewrite", "keep_verified", "sample_paths")
        writes = writes or (stage.do == "decontaminate" and stage.on_hit == "mask")
        if stage.do == "sample_paths" and not built:
            raise ValueError(f"stage {name!r} draws paths from graphs; put a stage `{{do: build_graphs}}` before it")
        if marked and writes:
            way_out = "give it `on_hit: drop`" if stage.do == "decontaminate" else "move it before"
            raise ValueError(
                f"stage {name!r} ({stage.do}) writes into texts behind {marked!r}, whose special tokens must stay as they are; "
                f"{way_out}"
            )
        built = name if stage.do == "build_graphs" else "" if stage.do == "sample_paths" else built  # which takes them
        marked = name if stage.do == "sample_paths" and stage.special_tokens else marked
