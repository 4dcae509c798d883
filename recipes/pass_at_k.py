"""How likely one of k samples of a prompt is right, from n samples of which c were: the unbiased estimator of Codex (Chen et al.
2021, section 2.1), 1 - C(n - c, k) / C(n, k). Picking k of the n by hand, or 1 - (1 - c/n)^k, is not the same."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

Z = 1.959964  # 95 % of a normal distribution


def pass_at_k(num_samples: int, num_right: int, k: int) -> float:
    if not 0 <= num_right <= num_samples or not 1 <= k <= num_samples:
        raise ValueError(f"pass@{k} cannot be told from {num_right} right of {num_samples} samples; k is at most the samples")
    return 1.0 - math.comb(num_samples - num_right, k) / math.comb(num_samples, k)


def wilson(mean: float, num: int, z: float = Z) -> tuple[float, float]:
    """The 95 % interval of Wilson for a mean of numbers from 0 to 1: for shares it is rather too wide, never too narrow."""
    if not num:
        return 0.0, 1.0
    spread = z * math.sqrt(mean * (1 - mean) / num + z**2 / (4 * num**2))
    middle, scale = mean + z**2 / (2 * num), 1 + z**2 / num
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def table(solved: Mapping[tuple[int, int], int], ks: Iterable[int]) -> dict[str, dict[str, Any]]:
    """By k: the mean over prompts and its interval. `solved`: how many prompts had (samples, right ones). Prompts with fewer
    than k samples have no say in pass@k, and `prompts` says how many have."""
    rows = {}
    for k in ks:
        having = {key: number for key, number in solved.items() if key[0] >= k}
        prompts = sum(having.values())
        if prompts:
            mean = sum(pass_at_k(*key, k) * number for key, number in sorted(having.items())) / prompts
            low, high = wilson(mean, prompts)
            rows[str(k)] = {"mean": round(mean, 6), "low": round(low, 6), "high": round(high, 6), "prompts": prompts}
    return rows
