"""Laws of a mix: what a figure becomes as a function of the blend, each fitted to rows of shares and what they came to.

constant      L(r) = c: the blend decides nothing. What every other law must beat.
linear        L(r) = Σ t_j r_j: the baseline. Shares sum to 1, so that it needs no constant.
log_linear    L(r) = c + k · exp(Σ t_j r_j), the data mixing law of Ye et al. (arXiv 2403.16952, equation 7); on shares that sum
              to 1, k is one with the t_j and not fitted. From several starts with Huber's loss, as Chinchilla's law was
              (arXiv 2203.15556, appendix D.3), here of the difference and not of its logarithm: scores may be negated.
gaussian      a Gaussian process with a squared-exponential kernel and noise of its own, whose length and noise are the likeliest
              of a grid: with twenty runs, nothing tells finer.
boosting      gradient-boosted trees, RegMix's choice (arXiv 2407.01492; there LightGBM), by scikit-learn.

The constant and linear laws cost microseconds, the log-linear one and the Gaussian process about a millisecond, trees tens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Law = Callable[[np.ndarray], np.ndarray]  # (blends, sources) -> (blends,)
STARTS = (0.05, 0.3, 1.0, 4.0)  # how far below the lowest value the law's floor is tried, in spans of the values
FARTHEST = 20.0  # below that, c and k are not told apart and the law is as good as linear
STEEPEST = 60.0  # exp(60) is no figure of anybody's
LENGTHS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # of a Gaussian process: how far two blends lie apart that tell of each other
NOISES = 10.0 ** np.arange(-3.0, 1.5, 0.5)  # of a run, in variances of the law: beyond, a run tells nothing
HUBER = 1.345  # deviations up to which a residual counts as a square: 95 % as efficient as least squares (Huber 1964)


@dataclass(frozen=True)
class Constant:
    value: float

    def __call__(self, shares: np.ndarray) -> np.ndarray:
        return np.full(len(shares), self.value)


@dataclass(frozen=True)
class Linear:
    slopes: np.ndarray

    def __call__(self, shares: np.ndarray) -> np.ndarray:
        values: np.ndarray = shares @ self.slopes
        return values


@dataclass(frozen=True)
class LogLinear:
    """`numbers`: c and the t_j of values that were moved by `centre` and divided by `span`."""

    numbers: np.ndarray
    centre: float
    span: float

    def __call__(self, shares: np.ndarray) -> np.ndarray:
        values: np.ndarray = self.centre + self.span * (self.numbers[0] + np.exp(shares @ self.numbers[1:]))
        return values


@dataclass(frozen=True)
class Gaussian:
    """`weights` (runs,) of the kernel at the blends that were run, `known`."""

    known: np.ndarray
    weights: np.ndarray
    middle: float
    length: float
    noise: float

    def __call__(self, shares: np.ndarray) -> np.ndarray:
        values: np.ndarray = self.middle + _kernel(shares, self.known, self.length) @ self.weights
        return values


@dataclass(frozen=True)
class Trees:
    """scikit-learn's."""

    model: Any

    def __call__(self, shares: np.ndarray) -> np.ndarray:
        values: np.ndarray = self.model.predict(shares)
        return values


# ---------------------------------------------------------------------------------------------------- fitting


def fit_constant(shares: np.ndarray, values: np.ndarray, like: Law | None = None) -> Law:
    return Constant(float(values.mean()))


def fit_linear(shares: np.ndarray, values: np.ndarray, like: Law | None = None) -> Law:
    return Linear(np.linalg.lstsq(shares, values, rcond=None)[0])


def fit_log_linear(shares: np.ndarray, values: np.ndarray, like: Law | None = None) -> Law:
    """Huber's loss is a sum of squares of √(2 ρ(z)), by which MINPACK's least squares takes it. Numbers beyond FARTHEST and
    STEEPEST are pulled back by residuals of their own."""
    from scipy.optimize import leastsq

    known = like if isinstance(like, LogLinear) else None
    centre, span = (known.centre, known.span) if known else (float(values.min()), float(np.ptp(values)) or 1.0)
    scaled = (values - centre) / span
    rest = scaled - fit_linear(shares, scaled)(shares)
    unit = HUBER * max(1.4826 * float(np.median(np.abs(rest))), 1e-3)
    limit = np.append(FARTHEST, np.full(shares.shape[1], STEEPEST))

    def residuals(numbers: np.ndarray) -> np.ndarray:
        away = (numbers[0] + np.exp(np.minimum(shares @ numbers[1:], STEEPEST)) - scaled) / unit
        size = np.abs(away)
        huber = np.where(size <= 1.0, away, np.sign(away) * np.sqrt(np.maximum(2.0 * size - 1.0, 1.0)))
        return np.append(huber, numbers - np.clip(numbers, -limit, limit))

    def slopes(numbers: np.ndarray) -> np.ndarray:
        grown = np.exp(np.minimum(shares @ numbers[1:], STEEPEST))
        size = np.abs(numbers[0] + grown - scaled) / unit
        steepness = 1.0 / (unit * np.sqrt(np.maximum(2.0 * size - 1.0, 1.0)))
        rows = steepness[:, None] * np.hstack([np.ones((len(shares), 1)), grown[:, None] * shares])
        return np.vstack([rows, np.diag((np.abs(numbers) > limit).astype(float))])

    starts = [known.numbers] if known else _starts(shares, scaled)
    found = [leastsq(residuals, start, Dfun=slopes, ftol=1e-5, maxfev=60, full_output=True)[0] for start in starts]
    return LogLinear(min(found, key=lambda numbers: float((residuals(numbers) ** 2).sum())), centre, span)


def _starts(shares: np.ndarray, scaled: np.ndarray) -> list[np.ndarray]:
    """The best two of STARTS. With the law's floor held, its logarithm is linear; residuals of a logarithm are weighed by the
    value they belong to."""
    found = []
    for floor in STARTS:
        above = scaled + floor
        slopes = np.linalg.lstsq(shares * above[:, None], np.log(above) * above, rcond=None)[0]
        found.append((float(np.abs(np.exp(shares @ slopes) - above).sum()), np.append(-floor, slopes)))
    return [start for _, start in sorted(found, key=lambda pair: pair[0])[:2]]


def fit_gaussian(shares: np.ndarray, values: np.ndarray, like: Law | None = None) -> Law:
    """With K = Q Λ Qᵀ and the variance of the law set to its likeliest, s² = mean((Qᵀ y)² / (Λ + noise)), the logarithm of the
    likelihood is −n/2 log s² − ½ Σ log(Λ + noise): every noise of one length costs a sum."""
    known = like if isinstance(like, Gaussian) else None
    lengths, noises = ((known.length,), np.array([known.noise])) if known else (LENGTHS, NOISES)
    middle = float(values.mean())
    best, law = -np.inf, None
    for length in lengths:
        scales, axes = np.linalg.eigh(_kernel(shares, shares, length))
        turned = axes.T @ (values - middle)
        spread = np.maximum(scales, 0.0) + noises[:, None]  # (noises, runs)
        variance = np.maximum((turned**2 / spread).mean(axis=1), 1e-300)
        likelihoods = -0.5 * (len(values) * np.log(variance) + np.log(spread).sum(axis=1))
        i = int(np.argmax(likelihoods))
        if law is None or likelihoods[i] > best:
            best = float(likelihoods[i])
            law = Gaussian(shares, axes @ (turned / spread[i]), middle, length, float(noises[i]))
    assert law is not None, "LENGTHS is not empty"
    return law


def _kernel(one: np.ndarray, other: np.ndarray, length: float) -> np.ndarray:
    """(blends, blends) exp(−|r − r'|² / 2 l²)."""
    apart = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2.0 * one @ other.T
    alike: np.ndarray = np.exp(-apart / (2.0 * length**2))
    return alike


def fit_boosting(shares: np.ndarray, values: np.ndarray, like: Law | None = None) -> Law:
    from sklearn import config_context
    from sklearn.ensemble import GradientBoostingRegressor

    model = GradientBoostingRegressor(
        n_estimators=40, learning_rate=0.15, max_depth=2, min_samples_leaf=2, subsample=0.8, random_state=0
    )
    with config_context(skip_parameter_validation=True, assume_finite=True):  # a fifth of its time
        return Trees(model.fit(shares, values))


# `like`: a law fitted to nearly the same values, from which a fit may begin, or whose kernel it may keep
LAWS: dict[str, Callable[[np.ndarray, np.ndarray, Law | None], Law]] = {
    "constant": fit_constant,
    "linear": fit_linear,
    "log_linear": fit_log_linear,
    "gaussian": fit_gaussian,
    "boosting": fit_boosting,
}
