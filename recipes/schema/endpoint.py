"""Keys of what asks a language model: the server, and the stages that label and rewrite documents."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from recipes.schema.base import Name, NotNegative, Positive, PositiveFloat, Share, Strict

DECIDES_ANSWERS = ("model", "extra_body")  # of an Endpoint's keys: the others say where and how fast, and change no output


class Endpoint(Strict):
    """A server that speaks OpenAI's protocol: vLLM, SGLang, `transformers serve`, or a service."""

    model: Name
    extra_body: dict[str, Any] = {}  # further keys of each request: {chat_template_kwargs: {enable_thinking: false}}
    base_url: Name = "http://127.0.0.1:8000/v1"
    key_variable: Name | None = None  # the environment variable that holds the key; None: the server wants none
    concurrency: Positive = 32  # requests at the same time, of each worker
    timeout_seconds: PositiveFloat = 600.0  # of one request
    max_retries: NotNegative = 8  # of one request, when the server is busy, fails or cannot be reached
    pause_seconds: PositiveFloat = 1.0  # before the first retry; then twice as long each time, up to a minute
    input_price: float = Field(default=0.0, ge=0.0)  # dollars per million tokens
    output_price: float = Field(default=0.0, ge=0.0)
    max_cost: PositiveFloat | None = None  # dollars, of all workers and runs of a stage

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if not self.base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url={self.base_url!r} is not a web address; write it as http://HOST:PORT/v1")
        if self.max_cost is not None and not (self.input_price or self.output_price):
            raise ValueError("max_cost is set, but input_price and output_price are 0: it would never stop; set the prices")
        return self


class LabelStage(Strict):
    """Scores documents 0-5 by a language model, for train_classifier: the way of FineMath and MegaMath-Web-Pro-Max."""

    do: Literal["label"]
    endpoint: Endpoint
    prompt: Name = "mathematics_value"  # a file of curation/language_model/prompts, or a path; {text} stands for the document
    min_score: int = Field(default=3, ge=0, le=5)  # this and better: label 1 (OctoThinker, appendix)
    max_chars: Positive = 12_000  # of a document's text, from its beginning
    max_answer_tokens: Positive = 400
    attempts: Positive = 3  # until an answer can be read


class RewriteStage(Strict):
    """Rewrites documents by a language model, in chunks; what fails a check is not taken. MegaMath-Web-Pro-Max's way; its
    checks are unpublished, so the bounds are ours. All shares are of one chunk."""

    do: Literal["rewrite"]
    endpoint: Endpoint
    prompt: Name = "rewrite_mathematics"  # a file of curation/language_model/prompts, or a path; {text} stands for the chunk
    max_chunk_tokens: Positive = 2_000  # of the page's tokenizer, or four characters each; formulas and code are never cut
    max_answer_tokens: Positive = 4_096
    attempts: Positive = 1  # until an answer passes the checks
    on_reject: Literal["keep", "drop"] = "keep"  # keep: a rejected chunk stays as it was; drop: the document goes
    same_answer: bool = False  # a document must come to the same final answer as before, and keep its question word for word
    min_length: PositiveFloat = 0.4  # the answer's characters, of the chunk's
    max_length: PositiveFloat = 1.6
    min_numbers_known: Share = 1.0  # of the answer's numbers, those that the chunk has
    min_numbers_kept: Share = 0.8  # of the chunk's numbers, those that the answer has
    min_formulas_known: Share = 0.9
    min_formulas_kept: Share = 0.8
    overlap_words: Positive = 2  # the n of the n-grams that answer and chunk are compared by
    min_overlap: Share = 0.1  # of the answer's n-grams, those that the chunk has; 9 in 10 texts on something else have less
    max_overlap: Share = 1.0

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        for low, high in (("min_length", "max_length"), ("min_overlap", "max_overlap")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low}={getattr(self, low)} is above {high}={getattr(self, high)}: no rewriting could pass")
        return self
