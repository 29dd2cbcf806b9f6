"""What every metric starts from: valid pairs of days and their moments.

Shapes: `[B, T]` (basin, time) as in files; results are `[B]`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Series = npt.NDArray[Any]


class Pairs(NamedTuple):
    """Simulated and observed values in float64, zero where a pair is incomplete."""

    sim: Array  # [B, T]
    obs: Array  # [B, T]
    valid: npt.NDArray[np.bool_]  # [B, T]
    num_days: Array  # [B]


class Moments(NamedTuple):
    """Means, population standard deviations (0 exactly for a constant series), covariance."""

    mean_sim: Array
    mean_obs: Array
    std_sim: Array
    std_obs: Array
    covariance: Array


def pairs(sim: Series, obs: Series) -> Pairs:
    """Keep the days on which both series `[B, T]` are finite."""
    sim, obs = np.asarray(sim, dtype=np.float64), np.asarray(obs, dtype=np.float64)
    if sim.ndim != 2 or sim.shape != obs.shape:
        raise ValueError(
            f"expected simulated and observed arrays of one shape (basin, time), found {sim.shape}"
            f" and {obs.shape}; align both by basin and date first"
        )
    valid = np.isfinite(sim) & np.isfinite(obs)
    count = valid.sum(axis=1).astype(np.float64)
    return Pairs(np.where(valid, sim, 0.0), np.where(valid, obs, 0.0), valid, count)


def moments(p: Pairs) -> Moments:
    """Moments of both series over the valid days, NaN without any."""
    mean_sim, mean_obs = (ratio(x.sum(axis=1), p.num_days) for x in (p.sim, p.obs))
    d_sim, d_obs = anomaly(p.sim, p.valid), anomaly(p.obs, p.valid)
    return Moments(
        mean_sim,
        mean_obs,
        np.sqrt(ratio((d_sim**2).sum(axis=1), p.num_days)),
        np.sqrt(ratio((d_obs**2).sum(axis=1), p.num_days)),
        ratio((d_sim * d_obs).sum(axis=1), p.num_days),
    )


def anomaly(x: Array, valid: npt.NDArray[np.bool_]) -> Array:
    """Deviation from the mean; exactly 0 for a constant series, whatever the mean's rounding."""
    mean = ratio(x.sum(axis=1), valid.sum(axis=1).astype(np.float64))
    low = np.where(valid, x, np.inf).min(axis=1, initial=np.inf)
    high = np.where(valid, x, -np.inf).max(axis=1, initial=-np.inf)
    varies = valid & (low < high)[:, None]
    return np.where(varies, x - mean[:, None], 0.0)


def ratio(numerator: Array, denominator: Array) -> Array:
    """Quotient, NaN (never infinite, never a warning) where the denominator is 0."""
    result: Array = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result
