"""Climate and flow signatures that CAMELS-US lists as attributes, from daily series.

Definitions follow Addor et al. 2017 (doi:10.5194/hess-21-5293-2017), tables 2 and 3.

Shape legend: B basins, T days.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

SEASONS = ("djf", "mam", "jja", "son")
YEAR = 365.25


def climate(
    days: pd.DatetimeIndex, precipitation: Floats, temperature: Floats, pet: Floats
) -> dict[str, Floats | list[str]]:
    """Columns of `camels_clim.txt` from series `[B, T]` [mm d-1, degC, mm d-1]."""
    mean = precipitation.mean(axis=1)
    heavy, dry = precipitation >= 5 * mean[:, None], precipitation < 1
    cold = np.where(temperature < 0, precipitation, 0).mean(axis=1)
    return {
        "p_mean": mean,
        "pet_mean": pet.mean(axis=1),
        "p_seasonality": _seasonality(days, precipitation, temperature),
        "frac_snow": cold / mean,
        "aridity": pet.mean(axis=1) / mean,
        "high_prec_freq": YEAR * heavy.mean(axis=1),
        "high_prec_dur": _mean_run(heavy),
        "high_prec_timing": _season_of_most(days, heavy),
        "low_prec_freq": YEAR * dry.mean(axis=1),
        "low_prec_dur": _mean_run(dry),
        "low_prec_timing": _season_of_most(days, dry),
    }


def hydrology(days: pd.DatetimeIndex, flow: Floats, precipitation: Floats) -> dict[str, Floats]:
    """Columns of `camels_hydro.txt` from series `[B, T]` [mm d-1]; flow may have gaps."""
    mean, median = np.nanmean(flow, axis=1), np.nanmedian(flow, axis=1)
    high, low = flow > 9 * median[:, None], flow < 0.2 * mean[:, None]
    q5, q33, q66, q95 = np.nanquantile(flow, [0.05, 0.33, 0.66, 0.95], axis=1)
    return {
        "q_mean": mean,
        "runoff_ratio": mean / precipitation.mean(axis=1),
        "slope_fdc": (np.log(q66 + 1e-6) - np.log(q33 + 1e-6)) / 0.33,
        "baseflow_index": _baseflow_index(np.where(np.isnan(flow), mean[:, None], flow)),
        "stream_elas": _elasticity(days, flow, precipitation),
        "q5": q5,
        "q95": q95,
        "high_q_freq": YEAR * high.mean(axis=1),
        "high_q_dur": _mean_run(high),
        "low_q_freq": YEAR * low.mean(axis=1),
        "low_q_dur": _mean_run(low),
        "zero_q_freq": (flow == 0).mean(axis=1),
        "hfd_mean": _half_flow_day(days, np.nan_to_num(flow)),
    }


def _seasonality(days: pd.DatetimeIndex, precipitation: Floats, temperature: Floats) -> Floats:
    """Woods 2009: relative amplitude of precipitation, positive if in phase with temperature."""
    wave = np.exp(-2j * np.pi * days.day_of_year.to_numpy() / YEAR)
    p, t = (2 * (x * wave).mean(axis=1) for x in (precipitation, temperature))
    return np.asarray(np.abs(p) / precipitation.mean(axis=1) * np.cos(np.angle(p) - np.angle(t)))


def _mean_run(flags: Bools) -> Floats:
    """Mean length of runs of consecutive days; 0 where there is none."""
    starts = flags[:, 0] + (flags[:, 1:] & ~flags[:, :-1]).sum(axis=1)
    return np.asarray(flags.sum(axis=1) / np.maximum(starts, 1))


def _season_of_most(days: pd.DatetimeIndex, flags: Bools) -> list[str]:
    season = days.month.to_numpy() % 12 // 3
    counts = np.stack([flags[:, season == s].sum(axis=1) for s in range(4)])
    return [SEASONS[s] for s in counts.argmax(axis=0)]


def _baseflow_index(flow: Floats, alpha: float = 0.925) -> Floats:
    """Ladson et al. 2013: share of flow that a recursive digital filter lets pass, one pass."""
    quick = np.zeros(len(flow))
    base = flow[:, 0].copy()
    for before, now in zip(flow.T[:-1], flow.T[1:], strict=True):
        quick = np.maximum(alpha * quick + (1 + alpha) / 2 * (now - before), 0)
        base += now - np.minimum(quick, now)
    return np.asarray(base / np.maximum(flow.sum(axis=1), 1e-9))


def _elasticity(days: pd.DatetimeIndex, flow: Floats, precipitation: Floats) -> Floats:
    """Median over years of relative change of flow over relative change of precipitation."""
    year = (days.year + (days.month >= 10)).to_numpy()
    q, p = (
        np.stack([np.nanmean(x[:, year == y], axis=1) for y in np.unique(year)], axis=1)
        for x in (flow, precipitation)
    )
    dq, dp = (x / x.mean(axis=1, keepdims=True) - 1 for x in (q, p))
    return np.asarray(np.median(dq / np.where(dp == 0, np.inf, dp), axis=1))


def _half_flow_day(days: pd.DatetimeIndex, flow: Floats) -> Floats:
    """Mean day of the year from October on at which half of the flow has passed."""
    year = (days.year + (days.month >= 10)).to_numpy()
    halves = []
    for y in np.unique(year):
        total = flow[:, year == y].cumsum(axis=1)
        halves.append((total < total[:, -1:] / 2).sum(axis=1) + 1.0)
    return np.asarray(np.mean(halves, axis=0))
