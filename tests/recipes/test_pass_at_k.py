"""pass@k without bias, and how sure it is."""

from itertools import combinations

import pytest

from recipes.pass_at_k import pass_at_k, table, wilson


@pytest.mark.parametrize(("n", "c"), [(1, 0), (1, 1), (4, 0), (4, 1), (5, 3), (6, 6)])
def test_pass_at_k_is_the_share_of_all_choices_of_k_samples_with_a_right_one(n: int, c: int) -> None:
    samples = [True] * c + [False] * (n - c)
    for k in range(1, n + 1):
        chosen = list(combinations(samples, k))
        assert pass_at_k(n, c, k) == pytest.approx(sum(map(any, chosen)) / len(chosen))


@pytest.mark.parametrize(("n", "c", "k"), [(4, 1, 5), (4, 1, 0), (4, 5, 1)])
def test_what_samples_cannot_tell_is_refused(n: int, c: int, k: int) -> None:
    with pytest.raises(ValueError, match=f"pass@{k} cannot be told from {c} right of {n} samples"):
        pass_at_k(n, c, k)


def test_the_table_is_a_mean_over_prompts_that_have_enough_samples() -> None:
    rows = table({(4, 0): 1, (4, 2): 2, (2, 2): 1}, (1, 2, 4, 8))
    assert list(rows) == ["1", "2", "4"]
    assert (rows["1"]["mean"], rows["1"]["prompts"]) == (0.5, 4)
    assert (rows["2"]["mean"], rows["2"]["prompts"]) == (round((0 + 2 * 5 / 6 + 1) / 4, 6), 4)
    assert (rows["4"]["mean"], rows["4"]["prompts"]) == (round(2 / 3, 6), 3)
    assert all(row["low"] <= row["mean"] <= row["high"] for row in rows.values())


def test_the_interval_is_wilsons_and_never_closes_at_the_ends() -> None:
    assert wilson(0.5, 40) == pytest.approx((0.3520, 0.6480), abs=1e-4)
    assert wilson(0.0, 40) == pytest.approx((0.0, 0.0876), abs=1e-4)
    assert wilson(1.0, 40)[1] == 1.0
    assert wilson(0.0, 0) == (0.0, 1.0)
