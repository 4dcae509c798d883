"""The files of answers: whole after any kill, found again by other stages and ranks, and the same answer from the same files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from curation.language_model.answers import SERVER_FAILED, Answer, Answers

KEY, OTHER_KEY = "a" * 32, "b" * 32


def answer(text: str) -> Answer:
    return Answer(text, "stop", 5, 7)


@contextmanager
def answers(folder: Path, rank: int = 0, num_ranks: int = 1) -> Iterator[Answers]:
    opened = Answers(folder, rank, num_ranks)
    yield opened
    opened.close()


def write(folder: Path, text: str, rank: int = 0, num_ranks: int = 1) -> Path:
    with answers(folder, rank, num_ranks) as opened:
        opened.add(KEY, answer(text))
    return opened.own


def test_a_torn_line_is_cut_off_and_the_answers_before_it_stay(tmp_path: Path) -> None:
    own = write(tmp_path / "now", "one")
    whole = own.read_bytes()
    with answers(tmp_path / "now") as opened:
        opened.add(OTHER_KEY, answer("two"))
    both = own.read_bytes()
    for length in range(len(whole), len(both)):
        own.write_bytes(both[:length])
        with answers(tmp_path / "now") as again:
            assert again.find(KEY) == answer("one")
            assert again.find(OTHER_KEY) is None
            assert again.spent_here() == (5, 7)
            again.add(OTHER_KEY, answer("two"))
        assert own.read_bytes() == both


def test_damaged_lines_are_counted_and_the_others_are_read(tmp_path: Path) -> None:
    own = write(tmp_path / "now", "one")
    own.write_bytes(b"\0" * 20 + b"\n" + own.read_bytes() + b'{"key": "zz"}\n[]\n')
    with answers(tmp_path / "now") as again:
        assert again.find(KEY) == answer("one")
        assert again.num_damaged == 3


@pytest.mark.parametrize(("rank", "num_ranks", "is_found"), [(0, 2, True), (1, 2, False), (0, 1, True), (3, 8, True)])
def test_answers_of_the_stage_with_other_parameters_are_found(tmp_path: Path, rank: int, num_ranks: int, is_found: bool) -> None:
    """By the same rank of as many, which had the same documents, and by every rank of another number."""
    write(tmp_path / "before", "theirs", 0, 2)
    with answers(tmp_path / "now", rank, num_ranks) as opened:
        assert opened.find(KEY) == (answer("theirs") if is_found else None)


def test_an_answer_from_elsewhere_is_copied_and_paid_once(tmp_path: Path) -> None:
    theirs = write(tmp_path / "before", "theirs")
    for _ in range(2):
        with answers(tmp_path / "now") as opened:
            assert opened.find(KEY) == answer("theirs")
            assert (opened.spent_here(), opened.spent_elsewhere()) == ((0, 0), (5, 7))
    assert [orjson.loads(line)["paid"] for line in opened.own.read_bytes().splitlines()] == [False]
    theirs.unlink()
    with answers(tmp_path / "now") as alone:
        assert alone.find(KEY) == answer("theirs")


def test_the_own_answer_goes_before_one_from_elsewhere(tmp_path: Path) -> None:
    write(tmp_path / "now", "mine")
    write(tmp_path / "before", "theirs")
    with answers(tmp_path / "now") as opened:
        assert opened.find(KEY) == answer("mine")


@pytest.mark.parametrize("folder", ["now", "before"])
@pytest.mark.parametrize("problem", [*SERVER_FAILED, "refused"])
def test_files_that_hold_failures_of_the_server_are_read_without_them(tmp_path: Path, folder: str, problem: str) -> None:
    failed: dict[str, Any] = {"text": "", "finish": "", "input_tokens": 0, "output_tokens": 0, "problem": problem}
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "00000-of-00001.jsonl").write_bytes(orjson.dumps({"key": KEY, "paid": True, "answer": failed}) + b"\n")
    with answers(tmp_path / "now") as opened:
        assert opened.find(KEY) == (Answer(**failed) if problem == "refused" else None)
        assert opened.num_damaged == 0
        opened.add(OTHER_KEY, answer("two"))
        assert opened.find(OTHER_KEY) == answer("two")


def test_a_failure_of_the_server_is_known_until_the_file_is_closed(tmp_path: Path) -> None:
    failed = Answer("", "", 0, 0, problem="timeout")
    with answers(tmp_path / "now") as opened:
        opened.add(KEY, failed)
        assert opened.find(KEY) == failed
    assert opened.own.read_bytes() == b""
    with answers(tmp_path / "now") as again:
        assert again.find(KEY) is None


def test_a_line_that_another_process_is_writing_is_not_read(tmp_path: Path) -> None:
    theirs = write(tmp_path / "before", "theirs")
    theirs.write_bytes(theirs.read_bytes()[:-1])
    with answers(tmp_path / "now") as opened:
        assert opened.find(KEY) is None
        assert opened.num_damaged == 0


def test_what_all_ranks_spent_is_known_to_each(tmp_path: Path) -> None:
    for rank in range(3):
        write(tmp_path / "now", "one", rank, 3)
    with answers(tmp_path / "now", 1, 3) as opened:
        opened.add(OTHER_KEY, answer("two"))
        assert (opened.spent_here(), opened.spent_elsewhere()) == ((10, 14), (10, 14))
    (tmp_path / "now" / "00002-of-00003.spent").write_bytes(b"torn")
    with answers(tmp_path / "now", 1, 3) as opened:
        assert (opened.spent_here(), opened.spent_elsewhere()) == ((10, 14), (5, 7))
