"""The measurement of conversion's memory measures memory."""

import sys
import time
from multiprocessing import get_context

import pytest

from pretrain.benchmark import convert

MIB = 2**20


def peak_of(megabytes: int) -> float:
    def work() -> None:
        held = [b"x" * megabytes * MIB, b"y" * megabytes * MIB]
        time.sleep(0.1)
        held.pop()

    measured = convert._measure(work)
    assert measured["resident"] == pytest.approx(measured["peak"], abs=8 * MIB)
    return measured["peak"]


def test_the_peak_is_what_was_held_at_once_and_earlier_peaks_are_forgotten() -> None:
    with get_context("spawn").Pool(1) as process:
        first, second = process.map(peak_of, [64, 16])
    assert first == pytest.approx(128 * MIB, abs=8 * MIB)
    assert second == pytest.approx(32 * MIB, abs=8 * MIB)


def test_a_model_that_is_no_page_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["convert", "--model", "llama4"])
    assert convert.main() == 2
    assert "there is no such page in recipes/model" in capsys.readouterr().err
