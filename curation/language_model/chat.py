"""One request to a server that speaks OpenAI's protocol, and what its answer or its refusal means.

A refusal is one of three: trouble that may pass (`Trouble`), a mistake on the page or in the environment (ValueError, saying
which), or the question's own problem (`Answer.problem`), which is no reason to stop.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

import openai
import orjson

from curation.language_model.answers import Answer
from recipes.schema import Endpoint

LONGEST_ASKED_PAUSE_SECONDS = 600.0  # a server's Retry-After beyond it is cut
BYTES_PER_TOKEN = 3  # what servers without `usage` are charged with: rather too much
SHOWN_CHARS = 300  # of a server's message
BUSY = (408, 409, 425, 429)
TOO_LONG = (
    "context length",
    "context_length",
    "context window",
    "maximum context",
    "too long",
    "too many tokens",
    "max_model_len",
)
NO_SUCH_MODEL = ("does not exist", "not found", "unknown model", "invalid model", "not a valid model", "no such model")
PINNED = "pinned to"  # transformers serve
FILTERED = ("content_filter", "content_policy")


@dataclass(frozen=True)
class Question:
    """`messages` are (role, content). With the model, this is the whole identity of an answer."""

    messages: tuple[tuple[str, str], ...]
    max_tokens: int
    seed: int
    temperature: float = 0.0
    top_p: float = 1.0


class Trouble(Exception):
    """A request that failed in a way that may pass. `kind` is counted, `pause` is what the server asked for, in seconds."""

    def __init__(self, kind: str, message: str, pause: float = 0.0):
        super().__init__(f"{kind}: {message[:SHOWN_CHARS]}")
        self.kind = kind
        self.pause = pause


class Refused(ValueError):
    """A request that the server calls wrong, without a reason that we know: the page's mistake, or this question's."""


class Quota(Exception):
    """The account behind the key has no credit left."""


class Chat:
    """May be used from any thread. The package's own retries are off: the client's pause longer, and are counted."""

    def __init__(self, endpoint: Endpoint):
        self.endpoint = endpoint
        key = _key(endpoint)
        self._openai = openai.OpenAI(base_url=endpoint.base_url, api_key=key, timeout=endpoint.timeout_seconds, max_retries=0)

    def close(self) -> None:
        self._openai.close()

    def request(self, question: Question) -> Answer:
        try:
            response = self._openai.chat.completions.with_raw_response.create(
                model=self.endpoint.model,
                messages=[{"role": role, "content": content} for role, content in question.messages],  # type: ignore[misc]
                max_tokens=question.max_tokens,
                seed=question.seed,
                temperature=question.temperature,
                top_p=question.top_p,
                extra_body=self.endpoint.extra_body,
            )
            return _read_answer(response.http_response.content, question)
        except openai.APITimeoutError as error:
            raise Trouble("timeout", f"no answer in {self.endpoint.timeout_seconds} s") from error
        except openai.APIConnectionError as error:
            raise Trouble("connection", str(error.__cause__ or error)) from error
        except openai.APIStatusError as error:
            return self._judge(error)

    def _judge(self, error: openai.APIStatusError) -> Answer:
        """What a status other than 200 means: a question's problem is its answer, all else is raised."""
        status, url = error.status_code, self.endpoint.base_url
        message = " ".join(error.response.text.split())
        said, lowered = message[:SHOWN_CHARS], message.lower()
        if status == 429 and "insufficient_quota" in lowered:
            raise Quota(f"{url} says that the account has no credit left: {said}") from error
        if status in BUSY or status >= 500:
            kind = "rate_limit" if status == 429 else "server_error"
            raise Trouble(kind, f"status {status}: {message}", _asked_pause(error.response.headers)) from error
        if status in (401, 403):
            key = (
                f"the variable {self.endpoint.key_variable}"
                if self.endpoint.key_variable
                else "none: set key_variable on the page"
            )
            raise ValueError(f"{url} refuses the key, which is {key} (status {status}: {said})") from error
        if status == 413 or (status in (400, 422) and any(sign in lowered for sign in TOO_LONG)):
            return Answer("", "", 0, 0, problem="context_too_long")
        if any(sign in lowered for sign in FILTERED):
            return Answer("", "", 0, 0, problem="content_filter")
        if PINNED in lowered or ("model" in lowered and any(sign in lowered for sign in NO_SUCH_MODEL)):
            self._refuse_model(said, error)
        if status == 404:
            raise ValueError(f"{url} has no /chat/completions (status 404: {said}); base_url usually ends with /v1") from error
        raise Refused(f"{url} refuses the request (status {status}): {said}") from error

    def _refuse_model(self, said: str, error: Exception) -> NoReturn:
        try:
            served = ", ".join(model.id for model in self._openai.models.list()) or "none"
        except (openai.OpenAIError, ValueError):
            served = "unknown: it does not list them"
        name = self.endpoint.model
        raise ValueError(f"{self.endpoint.base_url} does not serve the model {name!r} ({said}); it serves: {served}") from error


def _key(endpoint: Endpoint) -> str:
    if endpoint.key_variable is None:
        return "none"  # the package wants one; servers without keys ignore it
    key = os.environ.get(endpoint.key_variable, "")
    if not key:
        raise ValueError(
            f"key_variable={endpoint.key_variable}: the environment has no such variable; set it to the server's key"
        )
    return key


def _read_answer(body: bytes, question: Question) -> Answer:
    """From the JSON of a chat completion."""
    try:
        record = orjson.loads(body)
        choice = record["choices"][0]
        text = choice["message"].get("content") or ""
        if not isinstance(text, str):
            raise TypeError(f"content is a {type(text).__name__}")
        usage = record.get("usage") or {}
        asked = sum(len(content.encode()) for _, content in question.messages)
        return Answer(
            text=text,
            finish=str(choice.get("finish_reason") or ""),
            input_tokens=int(usage.get("prompt_tokens", asked // BYTES_PER_TOKEN)),
            output_tokens=int(usage.get("completion_tokens", len(text.encode()) // BYTES_PER_TOKEN)),
        )
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise Trouble("garbage", f"not a chat completion: {body[:SHOWN_CHARS]!r}") from error


def _asked_pause(headers: Mapping[str, str]) -> float:
    """The seconds of Retry-After, if the server sends them."""
    try:
        return min(max(float(headers.get("retry-after", 0)), 0.0), LONGEST_ASKED_PAUSE_SECONDS)
    except ValueError:  # a date: our own pauses do
        return 0.0
