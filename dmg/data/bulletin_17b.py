"""Flood frequency after Bulletin 17B: a log-Pearson type III curve through annual peaks.

Interagency Advisory Committee on Water Data (1982), Guidelines for determining flood flow
frequency, Bulletin 17B of the Hydrology Subcommittee, U.S. Geological Survey, Reston. What is not
here: historic peaks, confidence limits and expected probability. The Pearson III quantiles are
exact, where the Bulletin tabulates them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

MIN_PEAKS = 10
"""Years of record below which the Bulletin gives no curve."""

MIN_FRAC_ABOVE = 0.75
"""Least share of peaks above the truncation level for the Bulletin's synthetic statistics."""

SYMMETRIC = 1e-6
"""Skew below which a Pearson III curve is a normal one."""

MAP_MSE = 0.302
"""Mean square error of the Bulletin's map of generalised skew."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FloodFrequency:
    """A log-Pearson III curve of annual peaks.

    Attributes
    ----------
    mean, std, skew
        Moments of the decimal logarithm of the peaks.
    frac_above
        Share of all years to which the curve applies: 1, unless peaks were left out.
    low_outliers
        Peaks below this were left out as outliers, in the unit of the flow.
    """

    mean: float
    std: float
    skew: float
    frac_above: float
    low_outliers: float

    def return_period(self, peaks: ArrayLike) -> Floats:
        """Mean number of years from one exceedance of each peak to the next; 1 for no flow."""
        flow = np.asarray(peaks, dtype=np.float64)
        log = np.log10(flow, out=np.full(flow.shape, -np.inf), where=flow > 0)
        exceedance = self.frac_above * exceedance_of((log - self.mean) / self.std, self.skew)
        period: Floats = np.where(np.isnan(flow), np.nan, 1 / np.maximum(exceedance, 1e-12))
        return np.where(flow == 0, 1.0, period)

    def peak(self, exceedance: float) -> float:
        """Flow that is exceeded with this probability in a year."""
        log = self.mean + self.std * frequency_factor(exceedance / self.frac_above, self.skew)
        return float(10**log)


def fit(
    peaks: Sequence[float] | Floats,
    regional_skew: float | None = None,
    regional_mse: float = MAP_MSE,
) -> FloodFrequency:
    """Fit the curve to annual peaks, with zero flows and low outliers as the Bulletin has them.

    Parameters
    ----------
    peaks
        Largest flow of each year, any unit; NaN is left out.
    regional_skew
        Generalised skew that the station's is weighted with; none: the station's alone.
    regional_mse
        Mean square error of the generalised skew.

    Raises
    ------
    ValueError
        If there are fewer than `MIN_PEAKS` peaks above zero, or if all are equal.
    """
    flow = np.asarray(peaks, dtype=np.float64)
    flow = flow[np.isfinite(flow)]
    logs = np.log10(flow[flow > 0])
    _require(logs)
    mean, std, _ = moments(logs)
    lowest = mean - outlier_factor(len(logs)) * std
    kept = logs[logs >= lowest]
    frac_above = len(kept) / len(flow)
    mean, std, skew = moments(kept)
    if MIN_FRAC_ABOVE <= frac_above < 1:
        mean, std, skew = _synthetic(mean, std, skew, frac_above)
        frac_above = 1.0
    if regional_skew is not None:
        skew = weighted_skew(skew, len(flow), regional_skew, regional_mse)
    return FloodFrequency(mean, std, skew, frac_above, float(10**lowest))


def moments(logs: Floats) -> tuple[float, float, float]:
    """Mean, standard deviation and skew, unbiased as in the Bulletin (equations 2 to 4)."""
    n, mean, std = len(logs), float(logs.mean()), float(logs.std(ddof=1))
    skew = n * float(((logs - mean) ** 3).sum()) / ((n - 1) * (n - 2) * std**3)
    return mean, std, skew


def outlier_factor(num_peaks: int) -> float:
    """K of the outlier test at 10 % significance, within 0.001 of the Bulletin's appendix 4."""
    root = math.sqrt(math.log10(num_peaks))
    return -0.9043 + 3.345 * root - 0.4046 * math.log10(num_peaks)


def weighted_skew(skew: float, num_peaks: int, regional: float, regional_mse: float) -> float:
    """Station and generalised skew, weighted by their mean square errors (equations 5 and 6)."""
    size = abs(skew)
    a = -0.33 + 0.08 * size if size <= 0.9 else -0.52 + 0.30 * size
    b = 0.94 - 0.26 * size if size <= 1.5 else 0.55
    mse = 10 ** (a - b * math.log10(num_peaks / 10))
    return (regional_mse * skew + mse * regional) / (regional_mse + mse)


def exceedance_of(factor: Floats, skew: float) -> Floats:
    """Probability that a Pearson III variable of mean 0 and variance 1 exceeds each K."""
    if abs(skew) < SYMMETRIC:
        return np.asarray(special.ndtr(-factor))
    shape = 4 / skew**2  # of the gamma distribution that it is, shifted, and mirrored if skew < 0
    gamma = np.maximum(shape + np.sign(skew) * factor * math.sqrt(shape), 0)
    tail = special.gammaincc if skew > 0 else special.gammainc
    return np.asarray(tail(shape, gamma))


def frequency_factor(exceedance: float, skew: float) -> float:
    """K: standard deviations from the mean to the value with this probability of exceedance."""
    if abs(skew) < SYMMETRIC:
        return -float(special.ndtri(exceedance))
    shape = 4 / skew**2
    inverse = special.gammainccinv if skew > 0 else special.gammaincinv
    factor: float = (inverse(shape, exceedance) - shape) / math.sqrt(shape)
    return math.copysign(1.0, skew) * factor


def _synthetic(
    mean: float, std: float, skew: float, frac_above: float
) -> tuple[float, float, float]:
    """Moments of a curve through three points of the conditional one (appendix 5)."""
    q01, q10, q50 = (
        mean + std * frequency_factor(p / frac_above, skew) for p in (0.01, 0.10, 0.50)
    )
    skew = -2.50 + 3.12 * (q01 - q10) / (q10 - q50)
    k01, k50 = (frequency_factor(p, skew) for p in (0.01, 0.50))
    std = (q01 - q50) / (k01 - k50)
    return q50 - k50 * std, std, skew


def _require(logs: Floats) -> None:
    if len(logs) < MIN_PEAKS or np.ptp(logs) == 0:
        found = f"{len(logs)} above zero" if len(logs) < MIN_PEAKS else "all of one size"
        raise ValueError(
            f"expected {MIN_PEAKS} annual peaks of different size at least, found {found};"
            " give a table of return periods"
        )
