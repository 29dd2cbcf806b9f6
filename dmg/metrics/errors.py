"""Errors of the simulated series, day by day.

Shapes: `sim` and `obs` are `[B, T]` in one unit, NaN where missing; results are `[B]`, over the
days on which both are valid, NaN without such a day.
"""

from __future__ import annotations

import numpy as np

from dmg.metrics.pairs import Array, Series, anomaly, pairs, ratio


def pbias(sim: Series, obs: Series) -> Array:
    """Percent bias [%], `100 sum(sim - obs) / sum(obs)`; positive where too much is simulated.

    Yapo et al. (1996), doi:10.1016/0022-1694(95)02918-4, with the sign of Yilmaz et al. (2008).
    """
    p = pairs(sim, obs)
    return 100 * ratio((p.sim - p.obs).sum(axis=1), p.obs.sum(axis=1))


def pbias_abs(sim: Series, obs: Series) -> Array:
    """Absolute errors over the observed volume [%], `100 sum(|sim - obs|) / sum(obs)`."""
    p = pairs(sim, obs)
    return 100 * ratio(np.abs(p.sim - p.obs).sum(axis=1), p.obs.sum(axis=1))


def mare(sim: Series, obs: Series) -> Array:
    """Mean absolute relative error, `mean(|sim - obs| / (obs + 1e-5))`.

    The published form (called bias by dMG) has no small number for the unit: flows in mm d-1.
    """
    p = pairs(sim, obs)
    relative = np.abs(p.sim - p.obs) / np.where(p.valid, p.obs + 1e-5, 1.0)
    return ratio(relative.sum(axis=1), p.num_days)


def bias_rel(sim: Series, obs: Series) -> Array:
    """Relative bias of the volume, `sum(sim) / sum(obs) - 1` over the days valid in both."""
    p = pairs(sim, obs)
    return ratio(p.sim.sum(axis=1), p.obs.sum(axis=1)) - 1


def mse(sim: Series, obs: Series) -> Array:
    """Mean squared error [square of the unit of the flow], `mean((sim - obs)^2)`."""
    p = pairs(sim, obs)
    return ratio(((p.sim - p.obs) ** 2).sum(axis=1), p.num_days)


def rmse(sim: Series, obs: Series) -> Array:
    """Root mean squared error [unit of the flow], `sqrt(mean((sim - obs)^2))`."""
    p = pairs(sim, obs)
    return np.sqrt(ratio(((p.sim - p.obs) ** 2).sum(axis=1), p.num_days))


def rmse_ub(sim: Series, obs: Series) -> Array:
    """Unbiased root mean squared error: `rmse` of both series minus their means.

    Entekhabi et al. (2010), doi:10.1175/2010JHM1223.1. The means are over the days valid in both.
    """
    p = pairs(sim, obs)
    difference = anomaly(p.sim, p.valid) - anomaly(p.obs, p.valid)
    return np.sqrt(ratio((difference**2).sum(axis=1), p.num_days))


def mae(sim: Series, obs: Series) -> Array:
    """Mean absolute error [unit of the flow], `mean(|sim - obs|)`."""
    p = pairs(sim, obs)
    return ratio(np.abs(p.sim - p.obs).sum(axis=1), p.num_days)
