"""Items of benchmark files. Plans read them too: what is wrong with a file is said before anything runs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.sources.unpack import DAMAGE, UTF8_MARK, ForeignFile, unpacked

QUESTION_KEYS = ("question", "problem", "prompt", "input", "instruction", "query", "text")
OPTION_KEYS = ("options", "choices")
ANSWER_KEYS = ("answer", "final_answer", "target", "label", "correct")
SOLUTION_KEYS = ("solution", "rationale", "explanation", "answer")  # GSM8K's answer is one
ID_KEYS = ("unique_id", "id", "idx", "index", "uid")


@dataclass(frozen=True)
class Item:
    benchmark: str
    name: str  # its own id, else its line
    question: str
    options: str
    answer: str
    solution: str


def read_items(benchmark: str, path: Path) -> Iterator[Item]:
    """Items of a jsonl file, plain or packed by gzip or zstd."""
    num = 0
    for number, line in enumerate(_content(benchmark, path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)  # accepts NaN, which real files hold
        except (ValueError, RecursionError) as error:
            raise ValueError(f"benchmark {benchmark!r}: {path}, line {number} is not JSON ({error}); mend the file") from error
        yield _item(benchmark, path, number, record)
        num += 1
    if not num:
        raise ValueError(f"benchmark {benchmark!r}: {path} is empty; nothing can be decontaminated against it")


def _content(benchmark: str, path: Path) -> bytes:
    if not path.is_file():
        raise ValueError(
            f"benchmark {benchmark!r}: there is no file {path}, and nothing can be decontaminated against it; name one file"
        )
    with open(path, "rb") as file:
        try:
            return unpacked(file).read().removeprefix(UTF8_MARK)
        except ForeignFile as foreign:
            what = foreign.kind.replace("_", " ")
            raise ValueError(f"benchmark {benchmark!r}: {path} is a {what}; write it as jsonl, plain, .gz or .zst") from None
        except DAMAGE as error:
            raise ValueError(
                f"benchmark {benchmark!r}: {path} is damaged or cut off ({error}), and what is behind would not be looked for; "
                "fetch it again"
            ) from error


def _item(benchmark: str, path: Path, number: int, record: Any) -> Item:
    if not isinstance(record, dict):
        raise ValueError(
            f"benchmark {benchmark!r}: {path}, line {number} is no object but a {type(record).__name__}; write one item a line"
        )
    fields = {key.lower(): value for key, value in record.items()}
    questions = [fields[key] for key in QUESTION_KEYS if isinstance(fields.get(key), str) and fields[key].strip()]
    if not questions:
        raise ValueError(
            f"benchmark {benchmark!r}: {path}, line {number} has no question: keys {sorted(fields)}, wanted one of "
            f"{', '.join(QUESTION_KEYS)}; rename the column that holds it"
        )
    body = fields.get("body")  # ASDiv and SVAMP tell the story there
    names = [fields[key] for key in ID_KEYS if isinstance(fields.get(key), str | int)]
    return Item(
        benchmark,
        name=str(names[0]) if names else f"line {number}",
        question=f"{body} {questions[0]}" if isinstance(body, str) else questions[0],
        options=_first(fields, OPTION_KEYS),
        answer=_first(fields, ANSWER_KEYS),
        solution=_first(fields, SOLUTION_KEYS),
    )


def _first(fields: dict[str, Any], keys: tuple[str, ...]) -> str:
    return next((text for key in keys if (text := _flat(fields.get(key)))), "")


def _flat(value: Any) -> str:
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return "\n".join(filter(None, map(_flat, parts)))
    return str(value) if isinstance(value, str | int | float) and value == value else ""  # NaN is no text
