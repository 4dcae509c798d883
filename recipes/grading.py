"""Whether an answer is right: math-verify decides, and a comparison as text looks at the same answers independently.

math-verify is SymPy underneath: some answers take it hours, or all memory (Math-Verify #14, #17, #30). It runs in a process of
its own, which the kernel ends when one answer has taken `seconds` of its CPU time, so that a busy machine changes no grade; the
next answer gets a new process. No thread is left behind, and the process ends when this one does. Of 488 model solutions of
MATH, each grader agrees with the labels of Qwen2.5-Math's grader in 487 (the label of the other one is wrong), and of 1,000 of
GSM8K neither grades one wrongly.

As a module, this is that process: one JSON line in for each out.
"""

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import orjson

from recipes.final_answer import final_answer, same_by_text
from recipes.stage import die_with_parent

SECONDS = 5.0  # of CPU time for one answer; nearly all take a hundredth
WALL_FACTOR = 60  # so much longer by the clock means that the process hangs without computing
START_SECONDS = 600.0  # by the clock, for importing SymPy on a machine that is busy
MEMORY_BYTES = 4 << 30  # of the process: 9^(9^9) must not take the machine with it
MAX_KNOWN = 100_000  # grades that are remembered
LONGEST_ANSWER = 1_000  # characters; longer ones are no answers, and SymPy's parser is slow


@dataclass(frozen=True)
class Grade:
    """`by_math_verify` is None where it gave no grade; `trouble` says why: timeout, crash, no_answer or too_long. Then the
    comparison as text decides alone."""

    answer: str
    by_math_verify: bool | None
    by_text: bool
    trouble: str = ""

    @property
    def is_correct(self) -> bool:
        return self.by_text if self.by_math_verify is None else self.by_math_verify

    @property
    def is_disputed(self) -> bool:
        return self.by_math_verify is not None and self.by_math_verify != self.by_text

    def is_accepted(self, by: str) -> bool:
        """Whether these graders call it right: math_verify, text, either or both. Without math-verify's word, text has it."""
        math = self.is_correct
        return {"math_verify": math, "text": self.by_text, "either": math or self.by_text, "both": math and self.by_text}[by]

    def row(self, *, by: str) -> dict[str, Any]:
        """As it stands beside an answer; `is_right` for those who are asked by `is_accepted`."""
        return {
            "answer": self.answer,
            "by_math_verify": self.by_math_verify,
            "by_text": self.by_text,
            "trouble": self.trouble,
            "is_right": self.is_accepted(by),
        }

    def tell(self, count: Callable[..., None]) -> None:
        """Adds itself to counts, under `grades`."""
        count("grades", "correct" if self.is_correct else "wrong")
        if self.is_disputed:
            count("grades", "disputed", "only_math_verify" if self.by_math_verify else "only_text")
        if self.trouble:
            count("grades", "trouble", self.trouble)


class Grader:
    """May be used from any thread, which then wait for one another. To be closed."""

    def __init__(self, seconds: float = SECONDS):
        self.seconds = seconds
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], bool | str] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._end()

    def grade(self, text: str, gold: str, extract: Callable[[str], str] = final_answer) -> Grade:
        """The grade of the final answer that a text states."""
        return self.compare(extract(text), gold)

    def compare(self, answer: str, gold: str) -> Grade:
        """The grade of an answer that was already taken out of its text."""
        by_text = same_by_text(answer, gold)
        if not answer.strip() or max(len(answer), len(gold)) > LONGEST_ANSWER:
            return Grade(answer, None, by_text, "too_long" if answer.strip() else "no_answer")
        with self._lock:
            said = self._known.get((answer, gold))
            if said is None:
                said = self._ask(answer, gold)
                self._learn(answer, gold, said)
        return Grade(answer, said, by_text) if isinstance(said, bool) else Grade(answer, None, by_text, said)

    def _learn(self, answer: str, gold: str, said: bool | str) -> None:
        """Small numbers are answers again and again. A crash may have been somebody else's doing."""
        if isinstance(said, bool):
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[answer, gold] = said

    def _ask(self, answer: str, gold: str) -> bool | str:
        """math-verify's grade, or its trouble."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(orjson.dumps([answer, gold, self.seconds]) + b"\n")
            process.stdin.flush()
            line = _line(process.stdout, self.seconds * WALL_FACTOR)
        except BrokenPipeError:
            line = b""
        if line:
            graded: bool | str = orjson.loads(line)
            return graded
        hangs = process.poll() is None and not _has_ended(process)
        self._end()
        return "timeout" if hangs or process.returncode == -signal.SIGPROF else "crash"

    def _start(self) -> subprocess.Popen[bytes]:
        """A fixed hash seed: SymPy's order of terms, and with it what it finds equal, may depend on it."""
        environment = os.environ | {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "recipes.grading", str(os.getpid())]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._process = process
        assert process.stdout is not None
        if _line(process.stdout, START_SECONDS) != b'"ready"\n':
            self._end()
            raise ValueError("math-verify cannot be started; see the message above, and `pip install math-verify`")
        return process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # what was not written goes nowhere


def _line(pipe: Any, seconds: float) -> bytes:
    """The next line; b"" when the process ended or so much time is over. A process writes a line in one go."""
    ready, _, _ = select.select([pipe], [], [], seconds)
    return bytes(pipe.readline()) if ready else b""


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it ends now: its pipe closes a moment before it can be waited for."""
    try:
        process.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        return False
    return True


# ---------------------------------------------------------------------------------------------------- in the process


def same_by_math(answer: str, gold: str) -> bool:
    """math-verify's word, without its own timeouts: they need the main thread, and C code does not hear them."""
    from math_verify import parse, verify

    def read(text: str) -> Any:
        return parse(f"\\boxed{{{text}}}", parsing_timeout=None)

    return bool(verify(read(gold), read(answer), timeout_seconds=None))


def _serve(parent: int) -> None:
    import logging
    import resource

    import math_verify

    die_with_parent(parent)
    logging.getLogger(math_verify.__name__).setLevel(logging.ERROR)  # it warns that its own timeouts are off
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    out = sys.stdout.buffer
    out.write(b'"ready"\n')
    out.flush()
    for line in sys.stdin.buffer:
        answer, gold, seconds = orjson.loads(line)
        signal.setitimer(signal.ITIMER_PROF, seconds)  # nobody handles SIGPROF: the kernel ends the process
        try:
            said: bool | str = same_by_math(answer, gold)
        except (Exception, RecursionError, MemoryError):
            said = "crash"
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        out.write(orjson.dumps(said) + b"\n")
        out.flush()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
