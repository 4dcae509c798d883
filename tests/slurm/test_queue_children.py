"""The processes of a job, and the signals that ask it to stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recipes.stage import try_lock
from slurm.queue.children import Asked, ask_to_end, is_free, start, stop, wait

SLEEP = [sys.executable, "-c", "import time; print('begins', flush=True); time.sleep(600)"]


@pytest.fixture
def asked() -> Iterator[Asked]:
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGTERM)}
    yield Asked()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_waiting_ends_when_a_child_does(asked: Asked) -> None:
    children = [start(SLEEP, {}), start(["bash", "-c", "exit $STATUS"], {"STATUS": "70"})]
    wait(children, asked)
    assert [child.poll() for child in children] == [None, 70]
    stop(children)
    assert children[0].returncode == -signal.SIGTERM


SAVES = """
import signal, time
def save(number, frame):
    time.sleep(0.5)
    raise SystemExit(75)
signal.signal(signal.SIGTERM, save)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def saving(tmp_path: Path) -> "subprocess.Popen[bytes]":
    """A child that takes half a second to save when it is asked to end."""
    log = tmp_path / "log"
    child = start([sys.executable, "-c", SAVES], {}, log)
    while not log.read_text():
        time.sleep(0.02)
    return child


def test_a_child_that_saves_has_the_time_that_it_is_given(saving: "subprocess.Popen[bytes]") -> None:
    stop([saving], seconds=60.0)
    assert saving.returncode == 75


def test_a_child_that_takes_longer_than_that_is_killed(saving: "subprocess.Popen[bytes]") -> None:
    stop([saving], seconds=0.0)
    assert saving.returncode == -signal.SIGKILL


def test_a_child_that_is_only_asked_to_end_saves_on(saving: "subprocess.Popen[bytes]") -> None:
    ask_to_end([saving], seconds=0.0)
    assert saving.wait() == 75


def test_waiting_ends_when_slurm_asks_and_its_last_word_counts(asked: Asked) -> None:
    child = start(SLEEP, {})
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGUSR1)
    wait([child], asked)
    assert asked.signal == signal.SIGTERM
    stop([child])


def test_a_child_that_dies_of_slurms_signal_before_this_process_hears_it_is_no_failure(asked: Asked) -> None:
    slurm = subprocess.Popen(["bash", "-c", f"sleep 0.4; kill -TERM {os.getpid()}"])
    child = start(["bash", "-c", "kill -TERM $$"], {})
    wait([child], asked)
    assert child.returncode == -signal.SIGTERM
    assert asked.signal == signal.SIGTERM
    slurm.wait()


def test_once_the_end_is_decided_signals_hurt_nothing_that_is_started(asked: Asked) -> None:
    asked.ignore()
    answer = subprocess.run(["bash", "-c", "kill -TERM $$; echo alive"], capture_output=True, text=True)
    assert answer.stdout == "alive\n"


def test_a_childs_words_go_behind_those_that_are_there(tmp_path: Path, asked: Asked) -> None:
    log = tmp_path / "rank.log"
    log.write_text("before\n")
    start(["bash", "-c", "echo now; echo wrong >&2"], {}, log).wait()
    assert log.read_text() == "before\nnow\nwrong\n"


def test_processes_that_outlive_a_lost_node_are_waited_for(tmp_path: Path, asked: Asked) -> None:
    lock = tmp_path / "train.lock"
    held = try_lock(lock)
    assert held is not None
    assert not is_free(lock, asked, seconds=0.2)
    held.close()
    assert is_free(lock, asked, seconds=0.2)
