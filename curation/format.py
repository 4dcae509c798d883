r"""Question-answer, chain-of-thought and instruction records to plain-text training documents.

Templates are plain text, never a chat template: base models that saw chat special tokens emit them (OLMo 3: GSM8K 49.4 to
0). Where the sources say nothing (OpenMathInstruct, NuminaMath, final answers) the wording is ours.

question_answer  `Question: {question}\nAnswer: {answer}`, as in MegaMath-QA (Fig. 13-14). OctoThinker's RL prompt is the
                 same without the spaces; with them, a word after the colon has the tokens it has elsewhere.
short_cot        the same with the worked solution as answer, then `\nFinal answer: {answer}` if its last line lacks it
long_cot         `{question}\n{thinking}` (OctoThinker, section 2), then the final answer likewise
instruction      `User:{}\nAssistant:{}` (OctoThinker, section 2); turns follow one another on new lines, a system text
                 stands before them without a name
"""

import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from datatrove.data import Document, DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from datatrove.utils.typeshelper import StatHints

from curation.filters.word_lists import SHIPPED, items
from recipes.final_answer import final_answer
from recipes.schema import FormatStage

Record = dict[str, Any]

SPEAKERS = {
    "user": "User",
    "human": "User",
    "assistant": "Assistant",
    "gpt": "Assistant",
    "system": "System",
}
THOUGHT = re.compile(r"<think(?:ing)?>(.*?)</think(?:ing)?>", re.DOTALL)
THINK_TAG = re.compile(r"</?think(?:ing)?>")


class CannotFormat(Exception):
    """A record that makes no document: `reason` is the drop reason, `detail` says why exactly."""

    def __init__(self, reason: str, detail: str):
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class FormatRecords(PipelineStep):
    """Renders `doc.metadata["record"]` (the reader's mapped fields) into `doc.text`. A record that makes no document goes
    to `drop(doc, reason, detail)` with the record, as JSON, for its text."""

    type = "FORMAT"
    name = "records"

    def __init__(self, params: FormatStage, drop: Callable[[Document, str, str], None]):
        super().__init__()
        self.params = params
        self.drop = drop

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        for doc in data:
            self.stat_update(StatHints.total)
            if "record" not in doc.metadata:
                raise ValueError(
                    f"document {doc.id!r} has no record to format; a format stage comes first and reads sources whose "
                    f"`columns` map question, answer, solution, thinking or messages"
                )
            record = doc.metadata.pop("record")
            try:
                with self.track_time():
                    text = render(record, self.params)
            except CannotFormat as problem:
                self.stat_update(StatHints.dropped)
                doc.text = json.dumps(record, ensure_ascii=False, sort_keys=True, default=str)
                self.drop(doc, problem.reason, problem.detail)
                continue
            doc.text = text
            for name in self.params.keep:
                if record.get(name) is not None:
                    doc.metadata.setdefault(name, record[name])
            answer = expected_answer(record, self.params)
            if answer:
                doc.metadata.setdefault("expected_answer", answer)
                doc.metadata.setdefault("stated_answer", stated_answer(record))
            self.stat_update(StatHints.forwarded)
            self.update_doc_stats(doc)
            yield doc


def render(record: Record, params: FormatStage) -> str:
    """The training text of a record. Raises CannotFormat."""
    text = TEMPLATES[params.template](record, params)
    token = special_tokens().search(text)
    if token:
        raise CannotFormat("format_special_token", token.group())
    if len(text) > params.max_chars:
        raise CannotFormat("format_too_long", "characters")
    return text


def expected_answer(record: Record, params: FormatStage) -> str:
    """The answer to check a solution against: a field of its own, else the `answer` beside a chain of thought."""
    names = ["expected_answer"]
    if params.template == "long_cot" or (params.template == "short_cot" and _optional(record, "solution")):
        names.append("answer")
    return next((value for value in (_optional(record, name) for name in names) if _is_answer(value, params)), "")


def stated_answer(record: Record) -> str:
    """What the record's own reasoning ends on, what it says behind its think tags included; "" when it states nothing."""
    reasoning = (_optional(record, name) for name in ("solution", "thinking", "answer"))
    return final_answer(next((text for text in reasoning if text), ""))


def _is_answer(text: str, params: FormatStage) -> bool:
    return bool(text) and text.lower() not in params.not_answers


def question_answer(record: Record, params: FormatStage) -> str:
    return f"Question: {_field(record, 'question', 'problem')}\nAnswer: {_field(record, 'answer', 'solution')}"


def short_cot(record: Record, params: FormatStage) -> str:
    solution = _field(record, "solution", "answer")
    ending = _final_answer(record, solution, params)
    return f"Question: {_field(record, 'question', 'problem')}\nAnswer: {solution}{ending}"


def long_cot(record: Record, params: FormatStage) -> str:
    thinking = _thought(_field(record, "thinking"))
    ending = _final_answer(record, thinking, params)
    if params.think_tags:
        thinking = f"<think>\n{thinking}\n</think>"
    return f"{_field(record, 'question', 'problem')}\n{thinking}{ending}"


def instruction(record: Record, params: FormatStage) -> str:
    """Conversations of strict turns from a user's to an assistant's; question and answer make one where there are none."""
    if record.get("messages") is None:
        question, answer = _field(record, "question", "problem"), _field(record, "answer", "solution")
        return f"User:{question}\nAssistant:{answer}"
    turns = _turns(record["messages"])
    system = [text for speaker, text in turns if speaker == "System"]
    spoken = turns[len(system) :]
    speakers = [speaker for speaker, _ in spoken]
    if "System" in speakers:
        raise CannotFormat("format_bad_messages", "system turn inside the conversation")
    if not speakers or speakers != (["User", "Assistant"] * len(speakers))[: len(speakers)] or len(speakers) % 2:
        raise CannotFormat("format_bad_messages", "turns do not alternate from user to assistant")
    return "\n".join(system + [f"{speaker}:{text}" for speaker, text in spoken])


TEMPLATES: dict[str, Callable[[Record, FormatStage], str]] = {
    "question_answer": question_answer,
    "short_cot": short_cot,
    "long_cot": long_cot,
    "instruction": instruction,
}


@cache
def special_tokens() -> re.Pattern[str]:
    """Any literal special token of a chat model; letter case matters."""
    tokens = items((SHIPPED / "special_tokens.txt").read_text(encoding="utf-8").splitlines())
    return re.compile("|".join(re.escape(token) for token in sorted(tokens)))


def _optional(record: Record, name: str) -> str:
    """A field's text without outer space; "" when it is missing or null. Numbers count as text."""
    value = record.get(name)
    if value is None:
        return ""
    if not isinstance(value, str | int | float):
        raise CannotFormat("format_empty_field", f"{name} is a {type(value).__name__}, not text")
    return str(value).strip()


def _field(record: Record, *names: str) -> str:
    """The first of these fields that holds text."""
    for name in names:
        text = _optional(record, name)
        if text:
            return text
    raise CannotFormat("format_empty_field", " or ".join(names))


def _thought(thinking: str) -> str:
    """What stands between think tags, if there are any."""
    inside = THOUGHT.search(thinking)
    text = THINK_TAG.sub("", inside.group(1) if inside else thinking).strip()
    if not text:
        raise CannotFormat("format_empty_field", "thinking")
    return text


def _final_answer(record: Record, reasoning: str, params: FormatStage) -> str:
    """The closing line with the record's final answer, or "" when there is none or the reasoning ends with it."""
    answer = _optional(record, "answer")
    return closing_line(answer, reasoning) if _is_answer(answer, params) and answer != reasoning else ""


def closing_line(answer: str, reasoning: str) -> str:
    """The line behind reasoning that does not end with its answer, "" where it does."""
    last_line = reasoning.splitlines()[-1]
    is_stated = re.search(rf"(?<![\w.,]){re.escape(answer)}(?!\w|[.,]\d)", last_line) is not None
    return "" if is_stated or f"\\boxed{{{answer}}}" in reasoning else f"\nFinal answer: {answer}"


def _turns(messages: Any) -> list[tuple[str, str]]:
    """(speaker, text) of each message; `role`/`content` and `from`/`value` are both read."""
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
        raise CannotFormat("format_bad_messages", f"messages is a {type(messages).__name__}, not a list")
    turns = []
    for message in messages:
        if not isinstance(message, dict):
            raise CannotFormat("format_bad_messages", f"a message is a {type(message).__name__}, not a mapping")
        role = message.get("role") or message.get("from")
        speaker = SPEAKERS.get(role.lower()) if isinstance(role, str) else None
        if speaker is None:
            raise CannotFormat("format_bad_messages", f"unknown role {str(role)[:40]!r}")
        text = message.get("content") if message.get("content") is not None else message.get("value")
        if not isinstance(text, str):
            raise CannotFormat("format_bad_messages", f"a message's text is a {type(text).__name__}")
        if not text.strip():
            raise CannotFormat("format_empty_field", "messages")
        turns.append((speaker, text.strip()))
    return turns
