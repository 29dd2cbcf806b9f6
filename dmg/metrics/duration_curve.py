"""Metrics of the flow-duration curve: both series are sorted, each on its own.

Shapes: `sim` and `obs` are `[B, T]` in one unit, NaN where missing; results are `[B]`. Only days
on which both are valid are sorted. n is their number, f the fraction of them in a segment, and
segments end at the nearest whole index, `round(f n)`. A value is NaN where the observations are
constant or the segment is empty.

The small constants in denominators are those of the publications and are kept so that numbers can
be compared; where low flow is all zero they make `flv`, `flv_log` and `fms` huge, so look at the
median over basins, not at the mean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dmg.metrics.pairs import Array, Series, pairs, ratio

LOWEST_FLOW = 1e-6  # stands for zero flow before a logarithm (Kratzert et al. 2019)
FRAC_LOW = 0.3  # longest low-flow segment
FRAC_HIGH = 0.98  # beginning of the high-flow segment


class Curves(NamedTuple):
    """Two ascending curves `[B, T]`; the first `num_days` values of a basin are valid."""

    sim: Array
    obs: Array
    num_days: Array  # [B]


class Segment(NamedTuple):
    """Part of both curves, 0 outside of it."""

    sim: Array
    obs: Array
    inside: npt.NDArray[np.bool_]


def fhv(sim: Series, obs: Series, fraction: float = 0.02) -> Array:
    """Bias of the high-flow segment [%], `100 sum(sim - obs) / sum(obs)` of the highest 2 %.

    Yilmaz et al. (2008), doi:10.1029/2007WR006716, with the 2 % of Kratzert et al. (2019).
    """
    c = _curves(sim, obs)
    size = np.rint(fraction * c.num_days)
    s = _segment(c, c.num_days - size, c.num_days)
    return _where_defined(c, 100 * ratio((s.sim - s.obs).sum(axis=1), s.obs.sum(axis=1)))


def flv(sim: Series, obs: Series, fraction: float = FRAC_LOW) -> Array:
    """Bias of the lowest 30 % [%], `100 sum(sim - obs) / (sum(obs) + 1e-4)`.

    Linear in flow, as in Feng et al. (2022), doi:10.1029/2022WR032404. Not the same quantity as
    `flv_log`, though both are called FLV in publications.
    """
    c = _curves(sim, obs)
    s = _segment(c, 0 * c.num_days, np.rint(fraction * c.num_days))
    bias = 100 * ratio((s.sim - s.obs).sum(axis=1), s.obs.sum(axis=1) + 1e-4)
    return _where_defined(c, np.where(s.inside.any(axis=1), bias, np.nan))


def flv_log(sim: Series, obs: Series, fraction: float = FRAC_LOW) -> Array:
    """Bias of the logarithmic low-flow segment [%] of the lowest 30 %.

    `-100 (V_sim - V_obs) / (V_obs + 1e-6)` with `V = sum(ln Q - min(ln Q))`, zero flow taken as
    1e-6. Yilmaz et al. (2008), doi:10.1029/2007WR006716; Kratzert et al. (2019),
    doi:10.5194/hess-23-5089-2019.
    """
    c = _curves(sim, obs)
    s = _segment(c, 0 * c.num_days, np.rint(fraction * c.num_days))
    v_sim, v_obs = (_log_volume(x, s.inside) for x in (s.sim, s.obs))
    bias = -100 * (v_sim - v_obs) / (v_obs + 1e-6)
    return _where_defined(c, np.where(s.inside.any(axis=1), bias, np.nan))


def fms(sim: Series, obs: Series, lower: float = 0.2, upper: float = 0.7) -> Array:
    """Bias of the slope of the middle segment [%], `100 (D_sim - D_obs) / (D_obs + 1e-6)`.

    D is the fall of ln Q between the exceedances 20 % and 70 %. Yilmaz et al. (2008),
    doi:10.1029/2007WR006716; Kratzert et al. (2019), doi:10.5194/hess-23-5089-2019.
    """
    c = _curves(sim, obs)
    d_sim, d_obs = (
        _log_at(x, c.num_days, lower) - _log_at(x, c.num_days, upper) for x in (c.sim, c.obs)
    )
    return _where_defined(c, 100 * (d_sim - d_obs) / (d_obs + 1e-6))


def pbias_mid(sim: Series, obs: Series) -> Array:
    """Bias between the lowest 30 % and the highest 2 % [%], `100 sum(sim - obs) / sum(obs)`.

    Segments as in Feng et al. (2022), doi:10.1029/2022WR032404.
    """
    c = _curves(sim, obs)
    s = _segment(c, np.rint(FRAC_LOW * c.num_days), np.rint(FRAC_HIGH * c.num_days))
    return _where_defined(c, 100 * ratio((s.sim - s.obs).sum(axis=1), s.obs.sum(axis=1)))


def fhv_abs(sim: Series, obs: Series) -> Array:
    """Absolute errors of the highest 2 % of the curves [%], `100 sum(|sim - obs|) / sum(obs)`."""
    c = _curves(sim, obs)
    return _absolute(c, np.rint(FRAC_HIGH * c.num_days), c.num_days)


def flv_abs(sim: Series, obs: Series) -> Array:
    """Absolute errors of the lowest 30 % of the curves [%], `100 sum(|sim - obs|) / sum(obs)`."""
    c = _curves(sim, obs)
    return _absolute(c, 0 * c.num_days, np.rint(FRAC_LOW * c.num_days), 1e-4)


def pbias_abs_mid(sim: Series, obs: Series) -> Array:
    """Absolute errors of the curves between the lowest 30 % and the highest 2 % [%]."""
    c = _curves(sim, obs)
    return _absolute(c, np.rint(FRAC_LOW * c.num_days), np.rint(FRAC_HIGH * c.num_days))


def rmse_low(sim: Series, obs: Series) -> Array:
    """Root mean squared difference of the curves [unit of the flow] over the lowest 30 %.

    Segments as in Feng et al. (2022), doi:10.1029/2022WR032404.
    """
    c = _curves(sim, obs)
    return _rmse(c, 0 * c.num_days, np.rint(FRAC_LOW * c.num_days))


def rmse_mid(sim: Series, obs: Series) -> Array:
    """Root mean squared difference of the curves [unit of the flow] over the flows between.

    Segments as in Feng et al. (2022), doi:10.1029/2022WR032404.
    """
    c = _curves(sim, obs)
    return _rmse(c, np.rint(FRAC_LOW * c.num_days), np.rint(FRAC_HIGH * c.num_days))


def rmse_high(sim: Series, obs: Series) -> Array:
    """Root mean squared difference of the curves [unit of the flow] over the highest 2 %.

    Segments as in Feng et al. (2022), doi:10.1029/2022WR032404.
    """
    c = _curves(sim, obs)
    return _rmse(c, np.rint(FRAC_HIGH * c.num_days), c.num_days)


def rmse_fdc(sim: Series, obs: Series) -> Array:
    """Root mean squared difference of the curves [unit of the flow] at 100 exceedances.

    The exceedances are 0, 1, ..., 99 %, read at the index `floor(f n)` of the descending curves.
    """
    c = _curves(sim, obs)
    index = np.floor(np.arange(100) / 100 * c.num_days[:, None]).astype(int)
    last = np.maximum(c.num_days - 1, 0).astype(int)[:, None]
    x_sim, x_obs = (np.take_along_axis(x, last - index.clip(0, last), axis=1) for x in c[:2])
    square: Array = ((x_sim - x_obs) ** 2).mean(axis=1)
    return np.sqrt(square)


def _curves(sim: Series, obs: Series) -> Curves:
    p = pairs(sim, obs)
    ascending = (np.sort(np.where(p.valid, x, np.nan), axis=1) for x in (p.sim, p.obs))
    return Curves(next(ascending), next(ascending), p.num_days)


def _segment(c: Curves, start: Array, stop: Array) -> Segment:
    """Positions `start <= i < stop` (`[B]` each) of the ascending curves."""
    position = np.arange(c.obs.shape[1])
    inside = (position >= start[:, None]) & (position < stop[:, None])
    return Segment(np.where(inside, c.sim, 0.0), np.where(inside, c.obs, 0.0), inside)


def _where_defined(c: Curves, value: Array) -> Array:
    """NaN where there are fewer than two valid days or the observations are constant."""
    last = np.maximum(c.num_days - 1, 0).astype(int)[:, None]
    varies = c.obs[:, 0] < np.take_along_axis(c.obs, last, axis=1)[:, 0]
    return np.where(varies, value, np.nan)


def _absolute(c: Curves, start: Array, stop: Array, small: float = 0.0) -> Array:
    s = _segment(c, start, stop)
    error = 100 * ratio(np.abs(s.sim - s.obs).sum(axis=1), s.obs.sum(axis=1) + small)
    return _where_defined(c, np.where(s.inside.any(axis=1), error, np.nan))


def _rmse(c: Curves, start: Array, stop: Array) -> Array:
    s = _segment(c, start, stop)
    total = ((s.sim - s.obs) ** 2).sum(axis=1)
    return np.sqrt(ratio(total, s.inside.sum(axis=1).astype(np.float64)))


def _log(x: Array) -> Array:
    logs: Array = np.log(np.where(x <= 0, LOWEST_FLOW, x))
    return logs


def _log_volume(x: Array, inside: npt.NDArray[np.bool_]) -> Array:
    """Area between the logarithmic curve and its lowest value, the first of an ascending curve."""
    logs = _log(x)
    volume: Array = np.where(inside, logs - logs[:, :1], 0.0).sum(axis=1)
    return volume


def _log_at(x: Array, num_days: Array, exceedance: float) -> Array:
    """Logarithm of the flow at an exceedance; ascending curves are read from their end."""
    index = np.maximum(num_days - 1 - np.rint(exceedance * num_days), 0).astype(int)
    return _log(np.take_along_axis(x, index[:, None], axis=1)[:, 0])
