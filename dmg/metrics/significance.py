"""How sure a median over basins is, and a difference of two.

Basins are drawn with replacement (bootstrap), all values of a basin together; a basin that is
undefined in either of two compared series is in neither.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

RESAMPLES = 2000
BATCH = 250
"""Resamples in memory at once."""


class Interval(NamedTuple):
    """A median and its confidence interval; NaN without two basins."""

    median: float
    low: float
    high: float


class Comparison(NamedTuple):
    """Medians of two models on the same basins, their difference, and its significance.

    Attributes
    ----------
    basins
        Basins that are defined for both.
    first, second
        Median of each.
    difference, low, high
        First minus second median, and its confidence interval.
    better
        Share of basins on which the first is larger.
    p_value
        Of the signed-rank test of Wilcoxon (1945, doi:10.2307/3001968) that both are alike.
    """

    basins: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    better: float
    p_value: float


def median_interval(
    values: npt.ArrayLike, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Median of the values `[B]` of all basins, with its percentile bootstrap interval."""
    x = _finite(np.asarray(values, dtype=np.float64))
    if len(x) < 2:
        return Interval(float(x[0]) if len(x) else np.nan, np.nan, np.nan)
    lower, upper = np.sort(x)[_middle_ranks(len(x), resamples, seed)]
    return Interval(float(np.median(x)), *_limits((lower + upper) / 2, level))


def compare_medians(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compare two series `[B]` of the same basins in the same order (paired bootstrap)."""
    a, b = (np.asarray(x, dtype=np.float64) for x in (first, second))
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(
            f"expected one value a basin for both models, found {a.shape} and {b.shape}; align both"
            " by basin first"
        )
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    if len(a) < 2:
        return Comparison(len(a), *(np.nan,) * 7)
    differences = np.concatenate(
        [np.median(a[i], axis=1) - np.median(b[i], axis=1) for i in _draws(len(a), resamples, seed)]
    )
    medians = float(np.median(a)), float(np.median(b))
    return Comparison(
        len(a),
        *medians,
        medians[0] - medians[1],
        *_limits(differences, level),
        float((a > b).mean()),
        _signed_rank(a, b),
    )


def _signed_rank(a: Values, b: Values) -> float:
    """1 where the two are equal everywhere."""
    from scipy.stats import wilcoxon  # scipy.stats takes a second to import

    return float(wilcoxon(a, b).pvalue) if (a != b).any() else 1.0


def _draws(num_basins: int, resamples: int, seed: int) -> list[npt.NDArray[np.int64]]:
    """Rows of each resample, in batches `[R, B]`."""
    draw = np.random.default_rng(seed)
    sizes = [min(BATCH, resamples - done) for done in range(0, resamples, BATCH)]
    return [draw.integers(num_basins, size=(size, num_basins)) for size in sizes]


@lru_cache(maxsize=256)
def _middle_ranks(num_basins: int, resamples: int, seed: int) -> npt.NDArray[np.int64]:
    """Ranks of the one or two middle values of each resample `[2, R]`: all that a median needs.

    They do not depend on the values, so that many metrics of the same basins share them.
    """
    middle = [(num_basins - 1) // 2, num_basins // 2]
    parts = [
        np.partition(i, middle, axis=1)[:, middle] for i in _draws(num_basins, resamples, seed)
    ]
    return np.concatenate(parts).T


def _limits(values: Values, level: float) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _finite(x: Values) -> Values:
    return x[np.isfinite(x)]
