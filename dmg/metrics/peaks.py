"""Metrics of single flood peaks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dmg.metrics.pairs import Array, Series, pairs, ratio

DISTANCE = 100  # smallest number of days between two peaks
WINDOW = 3  # days before and after an observed peak in which the simulated one is sought


def peak_timing(sim: Series, obs: Series) -> Array:
    """Mean absolute error of the timing of peaks [d].

    Observed peaks are at least 100 days apart and stand out by one standard deviation. The
    simulated peak is on the same day if that is a local maximum, else on the day of the highest
    simulated flow within three days. Peaks near an end or near a missing day are skipped; NaN
    without any other. Kratzert et al. (2021), doi:10.5194/hess-25-2685-2021, appendix.
    """
    p = pairs(sim, obs)
    return np.array(
        [_mean_lag(s[v], o[v], v) for s, o, v in zip(p.sim, p.obs, p.valid, strict=True)]
    )


def peak_mape(sim: Series, obs: Series) -> Array:
    """Mean absolute error of the simulated flow on the days of observed peaks [%].

    `100 mean(|sim - obs| / obs)` over the peaks of `peak_timing`, those near ends and gaps too; NaN
    without a peak. Kratzert et al. (2021), doi:10.5194/hess-25-2685-2021, appendix.
    """
    from scipy.signal import find_peaks

    p, values = pairs(sim, obs), []
    for s, o, valid in zip(p.sim, p.obs, p.valid, strict=True):
        s, o = s[valid], o[valid]
        found, _ = find_peaks(o, distance=DISTANCE, prominence=o.std() if o.size else 0.0)
        found = found[o[found] > 0]
        error = np.abs(s[found] - o[found]) / o[found]
        values.append(100 * error.mean() if found.size else np.nan)
    return np.array(values)


def missed_peaks(sim: Series, obs: Series) -> Array:
    """Share of observed peaks without a simulated one on the same day or one beside it.

    Peaks are above the 80th percentile of their own series and at least 30 days apart; NaN without
    an observed peak. As in NeuralHydrology.
    """
    p = pairs(sim, obs)
    return np.array([_missed(s[v], o[v], v) for s, o, v in zip(p.sim, p.obs, p.valid, strict=True)])


def d_max(sim: Series, obs: Series) -> Array:
    """Error of the highest simulated flow within ten days of the highest observed [its unit]."""
    highest, observed = _around_maximum(sim, obs)
    return highest - observed


def d_max_rel(sim: Series, obs: Series) -> Array:
    """Difference of `d_max` over the observed maximum [%]."""
    highest, observed = _around_maximum(sim, obs)
    return 100 * ratio(highest - observed, observed)


def _missed(sim: Array, obs: Array, valid: npt.NDArray[np.bool_]) -> float:
    from scipy.signal import find_peaks

    if not obs.size:
        return float("nan")
    day = np.flatnonzero(valid)
    simulated, observed = (
        day[find_peaks(x, distance=30, height=np.percentile(x, 80))[0]] for x in (sim, obs)
    )
    if not observed.size:
        return float("nan")
    met = [np.abs(simulated - peak).min(initial=2) <= 1 for peak in observed]
    return float(1 - np.mean(met))


def _around_maximum(sim: Series, obs: Series) -> tuple[Array, Array]:
    """Highest simulated flow in the window around the observed maximum, and that maximum."""
    p = pairs(sim, obs)
    observed = np.where(p.valid, p.obs, -np.inf)
    if not observed.shape[1]:
        return (np.full(len(observed), np.nan),) * 2
    day = observed.argmax(axis=1)
    near = np.abs(np.arange(observed.shape[1]) - day[:, None]) <= 10
    highest = np.where(near & p.valid, p.sim, -np.inf).max(axis=1)
    some = p.num_days > 0
    return np.where(some, highest, np.nan), np.where(some, observed.max(axis=1), np.nan)


def _mean_lag(sim: Array, obs: Array, valid: npt.NDArray[np.bool_]) -> float:
    """Mean lag of one basin, from its valid days and their mask over all days."""
    from scipy.signal import find_peaks  # slow to import, needed by this metric only

    if obs.size <= 2 * WINDOW:
        return float("nan")
    found, _ = find_peaks(obs, distance=DISTANCE, prominence=obs.std())
    inner = found[(found >= WINDOW) & (found + WINDOW < obs.size)]
    day = np.flatnonzero(valid)
    whole = inner[day[inner + WINDOW] - day[inner - WINDOW] == 2 * WINDOW]
    lags = [_lag(sim[i - WINDOW : i + WINDOW + 1]) for i in whole]
    return float(np.mean(lags)) if lags else float("nan")


def _lag(window: Array) -> int:
    """Days between the middle of a window and the simulated peak in it."""
    if window[WINDOW] > max(window[WINDOW - 1], window[WINDOW + 1]):
        return 0
    return abs(int(window.argmax()) - WINDOW)
