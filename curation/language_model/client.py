"""Asks a language model many questions: in parallel, each at most once, within a budget. Any server that speaks OpenAI's
protocol, through the `openai` package (chat.py is one request).

Answers are kept (answers.py) under the hash of model, messages and sampling parameters. So a run that was stopped
goes on where it was, and the same answers give the same output, although servers are not deterministic.

What ends a run, and can be mended: a wrong address, key or model, a server that stays away, the budget (which the requests
under way may exceed). What is kept as the answer of one question (`Answer.problem`): a text longer than the model's context, and
a refused one. One at which the server fails again and again while it answers others goes without an answer, until a later run.
"""

import hashlib
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Self, TypeVar

import orjson

from curation.book import Book, StageFailed
from curation.language_model.answers import SERVER_FAILED, Answer, Answers
from curation.language_model.chat import Chat, Question, Quota, Refused, Trouble
from recipes.schema import Endpoint

LONGEST_PAUSE_SECONDS = 60.0
LEARN_SPENT_SECONDS = 10.0  # how late a rank learns what the others have spent; it costs some milliseconds
RETRY_TEMPERATURE = 0.7  # at 0 another seed changes nothing
WINDOW = 8  # items begun ahead of the one waited for, in multiples of concurrency: one slow item must not idle the others
HARMLESS = (("user", "Say yes."),)

Item = TypeVar("Item")
Result = TypeVar("Result")
logger = logging.getLogger(__name__)


class Client:
    """One for a rank; its methods may be called from any thread. Answers are kept in `folder`. `counts` says what was asked,
    answered and retried."""

    def __init__(self, endpoint: Endpoint, folder: Path, rank: int = 0, num_ranks: int = 1):
        self.endpoint = endpoint
        self.counts: Counter[str] = Counter()
        self._chat = Chat(endpoint)
        self.answers = Answers(folder, rank, num_ranks)
        self._lock = threading.Lock()
        self._asked: dict[str, Future[Answer]] = {}  # questions under way: an equal one waits for the same answer
        self._failure: Exception | None = None
        self._failed = threading.Event()
        self._spent_elsewhere = self.answers.spent_elsewhere() if endpoint.max_cost else (0, 0)
        self._learnt_spent = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._chat.close()
        self.answers.close()

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
        """(item, work(item)) in the order of the items; `work` runs in threads, as many as the endpoint's concurrency, and
        calls `ask`. After a failure no new request goes out, and the answers under way are kept."""
        begun: deque[tuple[Item, Future[Result]]] = deque()
        pool = ThreadPoolExecutor(self.endpoint.concurrency, thread_name_prefix="ask")
        try:
            for item in items:
                begun.append((item, pool.submit(work, item)))
                if len(begun) >= WINDOW * self.endpoint.concurrency:
                    first, result = begun.popleft()
                    yield first, result.result()
            while begun:
                first, result = begun.popleft()
                yield first, result.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def tries(self, question: Question, attempts: int) -> Iterator[Answer]:
        """Answers until the caller stops: of the question, then of the same with other seeds, at most `attempts`. A question
        that cannot be answered is not tried again."""
        for attempt in range(attempts):
            again = replace(question, seed=question.seed + attempt, temperature=max(question.temperature, RETRY_TEMPERATURE))
            answer = self.ask(again if attempt else question)
            yield answer
            if answer.problem:
                return

    def ask(self, question: Question) -> Answer:
        """The answer to a question: the kept one, or the server's. StageFailed when the server stays away or the budget is
        spent, ValueError when the page or the environment is wrong; from then on all calls fail the same way."""
        key = self.key(question)
        with self._lock:
            asked = self._asked.get(key)
            if asked is None:
                mine = self._asked[key] = Future()
        if asked is not None:
            return self._count(asked.result(), "answered_from_cache")
        try:
            answer = self._answer(key, question)
            mine.set_result(answer)
            return answer
        except Exception as error:
            self._failure = self._failure or error
            self._failed.set()
            mine.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._asked[key]

    def key(self, question: Question) -> str:
        """32 hex digits of all that decides the answer."""
        sampling = [question.max_tokens, question.seed, question.temperature, question.top_p]
        decisive = [self.endpoint.model, self.endpoint.extra_body, question.messages, sampling]
        return hashlib.sha256(orjson.dumps(decisive, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]

    def dollars(self, input_tokens: int, output_tokens: int) -> float:
        return (input_tokens * self.endpoint.input_price + output_tokens * self.endpoint.output_price) / 1_000_000

    # ------------------------------------------------------------------------------------------------ one question

    def _answer(self, key: str, question: Question) -> Answer:
        answer = self.answers.find(key)
        if answer is not None:
            return self._count(answer, "answered_from_cache")
        answer = self._ask_server(question)
        self.answers.add(key, answer)
        return self._count(answer, "answered_by_server")

    def _count(self, answer: Answer, how: str) -> Answer:
        with self._lock:
            self.counts[how] += 1
            if answer.problem:
                self.counts[f"problem_{answer.problem}"] += 1
        return answer

    def _ask_server(self, question: Question) -> Answer:
        """The server's answer, with retries. What fails at this question alone is its problem, else the server's."""
        pause = self.endpoint.pause_seconds
        trouble = None
        for attempt in range(self.endpoint.max_retries + 1):
            if trouble is not None:
                self._wait(trouble, attempt, max(pause, trouble.pause))
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            if self._failure is not None:
                raise self._failure
            self._check_budget()
            try:
                return self._request_or_refusal(question)
            except Trouble as error:
                trouble = error
        assert trouble is not None
        if trouble.kind in SERVER_FAILED and self._answers_others(question):
            return Answer("", "", 0, 0, problem=trouble.kind)
        raise StageFailed(
            f"{self.endpoint.base_url} failed {self.endpoint.max_retries + 1} times in a row ({trouble}). What was answered is "
            f"kept: see that the server runs and that base_url is right, then run the page again"
        )

    def _request_or_refusal(self, question: Question) -> Answer:
        """A refusal is this question's problem if the server answers another one with the same sampling, else the page's."""
        try:
            answer = self._request(question)
        except Refused:
            if self._answers_others(question):
                return Answer("", "", 0, 0, problem="refused")
            raise
        if answer.problem == "context_too_long" and not self._answers_others(question):
            raise ValueError(
                f"{self.endpoint.base_url}: even a short question is too long for the context of {self.endpoint.model!r} beside "
                f"{question.max_tokens} tokens of answer; lower max_answer_tokens, or give the server a longer context"
            )
        return answer

    def _request(self, question: Question) -> Answer:
        with self._lock:
            self.counts["requests"] += 1
        try:
            return self._chat.request(question)
        except Quota as error:
            raise StageFailed(f"{error}. What was answered is kept; run the page again when there is credit") from error

    def _wait(self, trouble: Trouble, attempt: int, pause: float) -> None:
        with self._lock:
            self.counts[f"retried_{trouble.kind}"] += 1
        logger.warning("%s: %s; try %d in %.1f s", self.endpoint.base_url, trouble, attempt + 1, pause)
        self._failed.wait(pause)

    def _answers_others(self, question: Question) -> bool:
        """Whether the server answers, with the same sampling, a question that no server can fail at."""
        try:
            return not self._request(replace(question, messages=HARMLESS)).problem
        except (Trouble, Refused):
            return False

    def _check_budget(self) -> None:
        limit = self.endpoint.max_cost
        if limit is None:
            return
        with self._lock:
            is_due = time.monotonic() - self._learnt_spent > LEARN_SPENT_SECONDS
            if is_due:
                self._learnt_spent = time.monotonic()
        if is_due:
            self._spent_elsewhere = self.answers.spent_elsewhere()
        tokens_in, tokens_out = map(sum, zip(self.answers.spent_here(), self._spent_elsewhere, strict=True))
        spent = self.dollars(tokens_in, tokens_out)
        if spent >= limit:
            raise StageFailed(
                f"the budget is spent: ${spent:.2f} of max_cost=${limit:.2f}, for {tokens_in:,} input and {tokens_out:,} output "
                f"tokens. What was answered is kept; raise max_cost and run the page again"
            )


def report(book: Book, *clients: Client) -> None:
    """Puts on record what was asked in a part of a rank, and what the rank has paid so far: each answer once, in whichever run
    and part, and none that was paid for elsewhere. Money is in millionths of a dollar, since counts are whole numbers."""
    for client in clients:
        for key, number in sorted(client.counts.items()):
            book.count("language_model", key, n=number)
    spent = [client.answers.spent_here() for client in clients]
    cost = sum(client.dollars(*tokens) for client, tokens in zip(clients, spent, strict=True))
    told = {
        "input_tokens": sum(tokens for tokens, _ in spent),
        "output_tokens": sum(tokens for _, tokens in spent),
        "microdollars": round(cost * 1_000_000),
    }
    damaged = sum(client.answers.num_damaged for client in clients)
    if clients:
        book.counts.setdefault("language_model", {}).update(told | ({"damaged_answers": damaged} if damaged else {}))
