"""Signatures: numbers that say how a basin answers rain, from observed or simulated flow alone.

Definitions of CAMELS (Addor et al. 2017, doi:10.5194/hess-21-5293-2017) as NeuralHydrology
evaluates them; `baseflow_index` filters with another constant than CAMELS does. Years are water
years, October to September; those with fewer than `MIN_DAYS` valid days are left out.

Shapes: `flow` and `precipitation` are `[B, T]` (basin, time) of consecutive `days` `[T]`, NaN where
missing; results are `[B]`, NaN where undefined.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from dmg.metrics.baseflow import baseflow_index
from dmg.metrics.pairs import Array, ratio

Bools = npt.NDArray[np.bool_]

YEAR = 365.25
MIN_DAYS = 330
"""Valid days that a water year needs."""


class Flow(NamedTuple):
    """What every signature is computed from."""

    flow: Array  # [B, T]
    days: pd.DatetimeIndex  # [T]
    precipitation: Array | None  # [B, T]


class Signature(NamedTuple):
    """A signature: its function, its unit, what it says."""

    function: Callable[[Flow], Array]
    unit: str
    meaning: str


def q_mean(x: Flow) -> Array:
    """Mean flow."""
    return _mean(x.flow, np.isfinite(x.flow))


def q5(x: Flow) -> Array:
    """Flow that 95 % of the days exceed."""
    return _quantile(x.flow, 0.05)


def q95(x: Flow) -> Array:
    """Flow that 5 % of the days exceed."""
    return _quantile(x.flow, 0.95)


def runoff_ratio(x: Flow) -> Array:
    """Mean flow over mean precipitation of the same days; NaN without precipitation."""
    if x.precipitation is None:
        return np.full(len(x.flow), np.nan)
    both = np.isfinite(x.flow) & np.isfinite(x.precipitation)
    return ratio(_mean(x.flow, both), _mean(x.precipitation, both))


def stream_elas(x: Flow) -> Array:
    """Median over years of the relative change of flow over that of precipitation.

    `((Q_y - Q) / (P_y - P)) (P / Q)` with the means of a year and of all days.
    Sankarasubramanian et al. (2001), doi:10.1029/2000WR900330.
    """
    if x.precipitation is None:
        return np.full(len(x.flow), np.nan)
    both = np.isfinite(x.flow) & np.isfinite(x.precipitation)
    q, p = _mean(x.flow, both)[:, None], _mean(x.precipitation, both)[:, None]
    q_year, p_year = (_yearly(v, both, x.days) for v in (x.flow, x.precipitation))
    return _median(ratio(q_year - q, p_year - p) * ratio(p, q))


def slope_fdc(x: Flow) -> Array:
    """Slope of the logarithmic flow-duration curve between 33 % and 66 % exceedance.

    Sawicz et al. (2011), doi:10.5194/hess-15-2895-2011.
    """
    valid = np.isfinite(x.flow)
    ordered = np.sort(np.where(valid, x.flow, np.inf), axis=1)  # ascending, missing days last
    count = valid.sum(axis=1)

    def log_at(exceedance: float) -> Array:
        place = count - 1 - np.rint(exceedance * count).astype(int)
        found = np.take_along_axis(ordered, place.clip(0)[:, None], axis=1)[:, 0]
        logs: Array = np.log(np.where(count > 1, found, np.nan) + 1e-8)
        return logs

    return (log_at(0.33) - log_at(0.66)) / (0.66 - 0.33)


def bfi(x: Flow) -> Array:
    """Baseflow index: see `dmg.metrics.baseflow`."""
    return baseflow_index(x.flow)


def hfd_mean(x: Flow) -> Array:
    """Mean day of the water year, from 0, on which half of the year's flow has passed."""
    filled = np.nan_to_num(x.flow)
    found = []
    for inside in _years(x.days):
        passed = filled[:, inside].cumsum(axis=1)
        day = (passed > passed[:, -1:] / 2).argmax(axis=1).astype(np.float64)
        enough = np.isfinite(x.flow[:, inside]).sum(axis=1) >= MIN_DAYS
        found.append(np.where(enough & (passed[:, -1] > 0), day, np.nan))
    years = np.array(found).reshape(len(found), len(x.flow))
    return _mean(years.T, np.isfinite(years.T))


def high_q_freq(x: Flow) -> Array:
    """Mean number of days a year above nine times the median."""
    return _days_a_year(_high(x), x.flow)


def high_q_dur(x: Flow) -> Array:
    """Mean length of runs of days above nine times the median."""
    return _run_length(_high(x))


def low_q_freq(x: Flow) -> Array:
    """Mean number of days a year below a fifth of the mean."""
    return _days_a_year(_low(x), x.flow)


def low_q_dur(x: Flow) -> Array:
    """Mean length of runs of days below a fifth of the mean."""
    return _run_length(_low(x))


def zero_q_freq(x: Flow) -> Array:
    """Share of days without flow."""
    return ratio((x.flow == 0).sum(axis=1).astype(float), np.isfinite(x.flow).sum(axis=1) * 1.0)


SIGNATURES: dict[str, Signature] = {
    "q_mean": Signature(q_mean, "mm d-1", "Mean flow"),
    "runoff_ratio": Signature(runoff_ratio, "1", "Mean flow over mean precipitation"),
    "stream_elas": Signature(stream_elas, "1", "Elasticity of flow to precipitation"),
    "slope_fdc": Signature(slope_fdc, "1", "Slope of the middle of the flow-duration curve"),
    "baseflow_index": Signature(bfi, "1", "Share of baseflow (Lyne-Hollick filter)"),
    "hfd_mean": Signature(hfd_mean, "d", "Day of the water year by which half has flowed off"),
    "q5": Signature(q5, "mm d-1", "Flow that 95 % of the days exceed"),
    "q95": Signature(q95, "mm d-1", "Flow that 5 % of the days exceed"),
    "high_q_freq": Signature(high_q_freq, "d yr-1", "Days a year above nine medians"),
    "high_q_dur": Signature(high_q_dur, "d", "Mean length of high flows"),
    "low_q_freq": Signature(low_q_freq, "d yr-1", "Days a year below a fifth of the mean"),
    "low_q_dur": Signature(low_q_dur, "d", "Mean length of low flows"),
    "zero_q_freq": Signature(zero_q_freq, "1", "Share of days without flow"),
}


def signatures(
    flow: npt.ArrayLike, days: pd.DatetimeIndex, precipitation: npt.ArrayLike | None = None
) -> dict[str, Array]:
    """Compute all signatures of every basin.

    Parameters
    ----------
    flow
        Flow `[B, T]` [mm d-1], NaN where missing.
    days
        Consecutive days `[T]`.
    precipitation
        `[B, T]` [mm d-1]; without it two signatures are NaN.
    """
    rain = None if precipitation is None else np.asarray(precipitation, dtype=np.float64)
    x = Flow(np.asarray(flow, dtype=np.float64), days, rain)
    return {name: signature.function(x) for name, signature in SIGNATURES.items()}


def _high(x: Flow) -> Bools:
    return x.flow > 9 * _median(x.flow)[:, None]


def _low(x: Flow) -> Bools:
    return x.flow < 0.2 * q_mean(x)[:, None]


def _days_a_year(flags: Bools, flow: Array) -> Array:
    return YEAR * ratio(flags.sum(axis=1) * 1.0, np.isfinite(flow).sum(axis=1) * 1.0)


def _run_length(flags: Bools) -> Array:
    """Mean length of runs of consecutive days; 0 where there is none."""
    starts = flags[:, 0] + (flags[:, 1:] & ~flags[:, :-1]).sum(axis=1)
    length: Array = flags.sum(axis=1) / np.maximum(starts, 1)
    return length


def _years(days: pd.DatetimeIndex) -> list[slice]:
    """Days of each water year, where at least `MIN_DAYS` of them are there."""
    year = np.asarray(days.year + (days.month >= 10))
    _, first, count = np.unique(year, return_index=True, return_counts=True)
    found = zip(first, count, strict=True)
    return [slice(int(i), int(i + n)) for i, n in found if n >= MIN_DAYS]


def _yearly(x: Array, valid: Bools, days: pd.DatetimeIndex) -> Array:
    """Mean of each year `[B, Y]`, NaN where too few days are valid."""
    means = [
        np.where(valid[:, y].sum(axis=1) >= MIN_DAYS, _mean(x[:, y], valid[:, y]), np.nan)
        for y in _years(days)
    ]
    return np.array(means).reshape(len(means), len(x)).T


def _mean(x: Array, valid: Bools) -> Array:
    return ratio(np.where(valid, x, 0.0).sum(axis=1), valid.sum(axis=1) * 1.0)


def _median(x: Array) -> Array:
    return _quantile(x, 0.5)


def _quantile(x: Array, q: float) -> Array:
    """Quantile of the valid values of each row, NaN without any."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows without a value are NaN, as said
        found: Array = np.nanquantile(x, q, axis=1) if x.shape[1] else np.full(len(x), np.nan)
    return found
