"""Efficiencies and their components: how well the simulated series follows the observed one.

Shapes: `sim` and `obs` are `[B, T]` in one unit, NaN where missing; results are `[B]`. A value is
NaN where it is undefined (constant or too few observations), never infinite. s is the population
standard deviation and m the mean over the days on which both series are valid.
"""

from __future__ import annotations

import numpy as np

from dmg.metrics.pairs import Array, Moments, Series, anomaly, moments, pairs, ratio


def nse(sim: Series, obs: Series) -> Array:
    """Nash-Sutcliffe efficiency, `1 - sum((sim - obs)^2) / sum((obs - m_obs)^2)`.

    Nash and Sutcliffe (1970), doi:10.1016/0022-1694(70)90255-6.
    """
    p = pairs(sim, obs)
    error = ((p.sim - p.obs) ** 2).sum(axis=1)
    return 1 - ratio(error, (anomaly(p.obs, p.valid) ** 2).sum(axis=1))


def kge(sim: Series, obs: Series) -> Array:
    """Kling-Gupta efficiency, `1 - sqrt((r - 1)^2 + (s_sim/s_obs - 1)^2 + (m_sim/m_obs - 1)^2)`.

    Gupta et al. (2009), doi:10.1016/j.jhydrol.2009.08.003.
    """
    m = moments(pairs(sim, obs))
    return _kling_gupta(m, ratio(m.std_sim, m.std_obs))


def kge_2012(sim: Series, obs: Series) -> Array:
    """Kling-Gupta efficiency of 2012: as `kge` with the ratio of the variation coefficients s/m.

    Kling et al. (2012), doi:10.1016/j.jhydrol.2012.01.011.
    """
    m = moments(pairs(sim, obs))
    return _kling_gupta(m, ratio(ratio(m.std_sim, m.mean_sim), ratio(m.std_obs, m.mean_obs)))


def r(sim: Series, obs: Series) -> Array:
    """Pearson correlation, `cov(sim, obs) / (s_sim s_obs)`; a component of `kge`."""
    return _correlation(moments(pairs(sim, obs)))


def spearman(sim: Series, obs: Series) -> Array:
    """Spearman rank correlation: Pearson correlation of the ranks, ties given their mean rank.

    Spearman (1904), doi:10.2307/1412159.
    """
    from scipy.stats import rankdata  # scipy.stats takes a second to import

    p = pairs(sim, obs)
    ranks = [
        rankdata(np.where(p.valid, x, np.nan), axis=1, nan_policy="omit") for x in (p.sim, p.obs)
    ]
    return r(*ranks)


def alpha(sim: Series, obs: Series) -> Array:
    """Ratio of standard deviations, `s_sim / s_obs`; variability component of `kge`.

    Gupta et al. (2009), doi:10.1016/j.jhydrol.2009.08.003.
    """
    m = moments(pairs(sim, obs))
    return ratio(m.std_sim, m.std_obs)


def beta(sim: Series, obs: Series) -> Array:
    """Ratio of means, `m_sim / m_obs`; bias component of `kge`.

    Gupta et al. (2009), doi:10.1016/j.jhydrol.2009.08.003.
    """
    m = moments(pairs(sim, obs))
    return ratio(m.mean_sim, m.mean_obs)


def beta_nse(sim: Series, obs: Series) -> Array:
    """Bias in units of the observed variability, `(m_sim - m_obs) / s_obs`; component of `nse`.

    Gupta et al. (2009), doi:10.1016/j.jhydrol.2009.08.003.
    """
    m = moments(pairs(sim, obs))
    return ratio(m.mean_sim - m.mean_obs, m.std_obs)


def _correlation(m: Moments) -> Array:
    return ratio(m.covariance, m.std_sim * m.std_obs)


def _kling_gupta(m: Moments, variability: Array) -> Array:
    bias = ratio(m.mean_sim, m.mean_obs)
    distance = (_correlation(m) - 1) ** 2 + (variability - 1) ** 2 + (bias - 1) ** 2
    return 1 - np.sqrt(distance)
