"""Metrics of single flood peaks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dmg.metrics.pairs import Array, Series, pairs

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
