"""Laws of a mix: what a figure becomes as a function of the blend, each fitted to rows of shares and what they came to.

constant      L(r) = c: the blend decides nothing. What every other law must beat.
linear        L(r) = Σ t_j r_j: the baseline. Shares sum to 1, so that it needs no constant.
log_linear    L(r) = c + k · exp(Σ t_j r_j), the data mixing law of Ye et al. (arXiv 2403.16952, equation 7); on shares that sum
              to 1, k is one with the t_j and not fitted. From several starts with Huber's loss, as Chinchilla's law was
              (arXiv 2203.15556, appendix D.3), here of the difference and not of its logarithm: scores may be negated.
gaussian      a Gaussian process with a squared-exponential kernel and noise of its own, by scikit-learn.
boosting      gradient-boosted trees, RegMix's choice (arXiv 2407.01492; there LightGBM), by scikit-learn.

The constant and linear laws cost microseconds, the log-linear one a few milliseconds, the last two tens of them.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Law = Callable[[np.ndarray], np.ndarray]  # (blends, sources) -> (blends,)
STARTS = (0.05, 0.3, 1.0, 4.0)  # how far below the lowest value the law's floor is tried, in spans of the values
FARTHEST = 20.0  # below that, c and k are not told apart and the law is as good as linear
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
class Regressor:
    """One of scikit-learn's."""

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
    from scipy.optimize import least_squares

    known = like if isinstance(like, LogLinear) else None
    centre, span = (known.centre, known.span) if known else (float(values.min()), float(np.ptp(values)) or 1.0)
    scaled = (values - centre) / span
    rest = scaled - fit_linear(shares, scaled)(shares)
    deviation = max(1.4826 * float(np.median(np.abs(rest))), 1e-3)

    def residuals(numbers: np.ndarray) -> np.ndarray:
        away: np.ndarray = numbers[0] + np.exp(shares @ numbers[1:]) - scaled
        return away

    def slopes(numbers: np.ndarray) -> np.ndarray:
        return np.hstack([np.ones((len(shares), 1)), np.exp(shares @ numbers[1:])[:, None] * shares])

    starts = [known.numbers] if known else _starts(shares, scaled)
    slope = np.full(shares.shape[1], 60.0)  # exp(60) is no figure of anybody's
    bounds = np.append(-FARTHEST, -slope), np.append(1.0, slope)
    found = [
        least_squares(
            residuals,
            np.clip(start, bounds[0] + 1e-6, bounds[1] - 1e-6),
            slopes,
            bounds=bounds,
            loss="huber",
            f_scale=HUBER * deviation,
            ftol=1e-5,
            max_nfev=60,
        )
        for start in starts
    ]
    return LogLinear(min(found, key=lambda fit: fit.cost).x, centre, span)


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
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    kernel = ConstantKernel(1.0, (1e-2, 1e3)) * RBF(0.5, (0.05, 10.0)) + WhiteKernel(0.1, (1e-6, 2.0))
    known = isinstance(like, Regressor) and hasattr(like.model, "kernel_")
    model = GaussianProcessRegressor(
        like.model.kernel_ if known else kernel,  # type: ignore[union-attr]
        optimizer=None if known else "fmin_l_bfgs_b",
        normalize_y=True,
        n_restarts_optimizer=0 if known else 1,
        random_state=0,
    )
    with warnings.catch_warnings():
        # a kernel's number at its bound: the figure does not depend on the blend, which cross-validation tells
        warnings.simplefilter("ignore", ConvergenceWarning)
        return Regressor(model.fit(shares, values))


def fit_boosting(shares: np.ndarray, values: np.ndarray, like: Law | None = None) -> Law:
    from sklearn.ensemble import GradientBoostingRegressor

    model = GradientBoostingRegressor(
        n_estimators=60, learning_rate=0.1, max_depth=2, min_samples_leaf=2, subsample=0.8, random_state=0
    )
    return Regressor(model.fit(shares, values))


# `like`: a law fitted to nearly the same values, from which a fit may begin, or whose kernel it may keep
LAWS: dict[str, Callable[[np.ndarray, np.ndarray, Law | None], Law]] = {
    "constant": fit_constant,
    "linear": fit_linear,
    "log_linear": fit_log_linear,
    "gaussian": fit_gaussian,
    "boosting": fit_boosting,
}
