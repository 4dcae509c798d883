"""Answers of language models by the hash of their question: what was answered is never asked, nor paid for, again.

One append-only file of JSON lines for each rank, and nothing else: files of one writer are what every shared file system can
do, while SQLite's WAL needs shared memory and its locks are not to be trusted on NFS and Lustre. A line is written by one
call, so kill -9 leaves at most one torn line, which the next opening cuts off (a power cut may lose the last seconds).

A stage's files are in a folder of its own, `<stage>/<fingerprint>/00003-of-00256.jsonl`. A rank also reads what was answered
for the same stage with other parameters: the file of the same rank, where there were as many ranks, else all files. Ranks of
one stage do not read each other: they have other documents, and each reading everything would cost the square of their number.
An answer from elsewhere is copied into the own file when it is used, so the same files give the same answers, and other
stages' folders may be deleted. That a server failed at a question is not kept: a later run asks again. Reading takes 2.5 s a
GB; the index takes about 260 bytes of memory an answer.
"""

import os
import struct
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

SERVER_FAILED = ("timeout", "server_error", "garbage")  # as `Answer.problem`; all others are the model's or server's last word
SPENT = struct.Struct("<QQ")  # input and output tokens that a rank has paid for: a file beside its answers, for the others


@dataclass(frozen=True)
class Answer:
    """What a model said. `problem` says why there is none: the question cannot be answered as it is, or SERVER_FAILED at it."""

    text: str
    finish: str  # "stop", or "length" when max_tokens cut it off
    input_tokens: int
    output_tokens: int
    problem: str = ""


@dataclass(frozen=True)
class _Place:
    file: Path
    offset: int
    length: int


class Answers:
    """The answers of one rank, which no other living process may have open. Threads may share it."""

    def __init__(self, folder: Path, rank: int, num_ranks: int):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.own = folder / f"{rank:05d}-of-{num_ranks:05d}.jsonl"
        self.num_damaged = 0  # lines that are no answers, as a broken disk leaves them
        self._input_tokens = self._output_tokens = 0
        self._end = 0  # of the own file
        self._index: dict[bytes, _Place] = {}
        self._failed: dict[str, Answer] = {}
        self._lock = threading.Lock()
        _cut_torn_line(self.own)
        for file in (self.own, *self._elsewhere()):  # the own one first: its answers go before others
            self._read(file)
        self._file = open(self.own, "ab", buffering=0)
        self._spent = os.open(self.own.with_suffix(".spent"), os.O_RDWR | os.O_CREAT, 0o644)
        self._tell_spent()

    def find(self, key: str) -> Answer | None:
        with self._lock:
            place = self._index.get(bytes.fromhex(key))
            if place is None:
                return self._failed.get(key)
            with open(place.file, "rb") as file:
                file.seek(place.offset)
                answer = Answer(**orjson.loads(file.read(place.length))["answer"])
            if place.file != self.own:
                self._append(key, answer, is_paid=False)
            return answer

    def add(self, key: str, answer: Answer) -> None:
        with self._lock:
            if answer.problem in SERVER_FAILED:
                self._failed[key] = answer
                return
            self._append(key, answer, is_paid=True)
            self._tell_spent()

    def spent_here(self) -> tuple[int, int]:
        """Input and output tokens that this rank has paid for, in all its runs."""
        with self._lock:
            return self._input_tokens, self._output_tokens

    def spent_elsewhere(self) -> tuple[int, int]:
        """Of all other ranks, and of the same stage with other parameters. Opens a small file for each."""
        tokens_in = tokens_out = 0
        for file in self.folder.parent.glob("*/*.spent"):
            content = file.read_bytes() if file != self.own.with_suffix(".spent") else b""
            if len(content) == SPENT.size:
                more_in, more_out = SPENT.unpack(content)
                tokens_in, tokens_out = tokens_in + more_in, tokens_out + more_out
        return tokens_in, tokens_out

    def close(self) -> None:
        os.fsync(self._file.fileno())
        self._file.close()
        os.close(self._spent)

    def _elsewhere(self) -> list[Path]:
        layout = self.own.name.partition("-of-")[2]
        files = sorted(file for file in self.folder.parent.glob("*/*.jsonl") if file.parent != self.folder)
        return [file for file in files if file.name == self.own.name or not file.name.endswith(f"-of-{layout}")]

    def _tell_spent(self) -> None:
        os.pwrite(self._spent, SPENT.pack(self._input_tokens, self._output_tokens), 0)

    def _append(self, key: str, answer: Answer, *, is_paid: bool) -> None:
        line = orjson.dumps({"key": key, "paid": is_paid, "answer": asdict(answer)}) + b"\n"
        written = self._file.write(line)
        if written != len(line):
            os.ftruncate(self._file.fileno(), self._end)
            raise OSError(f"{self.own}: only {written} of {len(line)} bytes could be written; is the disk full?")
        self._learn(self.own, self._end, line)
        self._end += len(line)

    def _read(self, path: Path) -> None:
        """All whole lines: another process may be writing the last one."""
        if not path.is_file():
            return
        offset = 0
        with open(path, "rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    self._learn(path, offset, line)
                    offset += len(line)
        if path == self.own:
            self._end = offset

    def _learn(self, path: Path, offset: int, line: bytes) -> None:
        try:
            record: dict[str, Any] = orjson.loads(line)
            key, is_paid, answer = bytes.fromhex(record["key"]), record["paid"], Answer(**record["answer"])
        except (ValueError, KeyError, TypeError):
            self.num_damaged += 1
            return
        if answer.problem in SERVER_FAILED:  # files of earlier versions have such lines
            return
        if is_paid and path == self.own:
            self._input_tokens += answer.input_tokens
            self._output_tokens += answer.output_tokens
        known = self._index.get(key)
        if known is None or (path == self.own and known.file != self.own):
            self._index[key] = _Place(path, offset, len(line))


def _cut_torn_line(path: Path) -> None:
    """What a killed writer left behind the last line break."""
    if not path.is_file():
        return
    with open(path, "rb+") as file:
        content_end = file.seek(0, os.SEEK_END)
        end, tail = content_end, b""
        while end > 0 and b"\n" not in tail:
            start = max(end - 65_536, 0)
            file.seek(start)
            tail = file.read(end - start)
            end = start
        keep = end + tail.rfind(b"\n") + 1
        if keep < content_end:
            file.truncate(keep)
