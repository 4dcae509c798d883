"""The rate and the remaining time that bars show."""

import pytest

from slurm.display import PACE_SECONDS, Pace


def speeds(*seen: tuple[float, int]) -> list[float | None]:
    pace = Pace()
    return [pace.speed(now, count) for now, count in seen]


def test_the_time_until_the_first_progress_is_no_work() -> None:
    """Two documents came in, then numba compiled for a minute."""
    assert speeds((0.0, 2), (30.0, 2), (60.0, 200), (61.0, 300)) == [None, None, None, pytest.approx(100.0)]


def test_what_was_done_before_this_run_looked_counts_for_nothing() -> None:
    assert speeds((0.0, 1_000_000), (1.0, 1_000_010), (2.0, 1_000_020))[-1] == pytest.approx(10.0)


def test_the_rate_is_that_of_late() -> None:
    slow = [(float(second), second) for second in range(100)]
    fast = [(100.0 + second, 100 + 50 * second) for second in range(int(PACE_SECONDS) + 3)]
    assert speeds(*slow)[-1] == pytest.approx(1.0)
    assert speeds(*slow, *fast)[-1] == pytest.approx(50.0)


def test_progress_that_comes_rarely_has_a_rate_too() -> None:
    assert speeds((0.0, 1), (100.0, 2), (200.0, 3), (300.0, 4), (350.0, 4))[-1] == pytest.approx(0.01)
