"""Metrics of simulated against observed series, vectorised over basins.

`METRICS` is the one place that names and describes them: configuration, tables, plots and docs
read it. Every function takes `sim` and `obs` as `[B, T]` (basin, time) and returns `[B]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from dmg.metrics.duration_curve import (
    fhv,
    fhv_abs,
    flv,
    flv_abs,
    flv_log,
    fms,
    pbias_abs_mid,
    pbias_mid,
    rmse_fdc,
    rmse_high,
    rmse_low,
    rmse_mid,
)
from dmg.metrics.efficiency import alpha, beta, beta_nse, kge, kge_2012, nse, r, spearman
from dmg.metrics.errors import bias_rel, mae, mare, mse, pbias, pbias_abs, rmse, rmse_ub
from dmg.metrics.pairs import Array, Series
from dmg.metrics.peaks import d_max, d_max_rel, missed_peaks, peak_mape, peak_timing


class Metric(NamedTuple):
    """A metric: its function, how it is printed, its unit, its perfect value, what it says."""

    function: Callable[[Series, Series], Array]
    label: str
    unit: str
    perfect: float
    meaning: str


METRICS: dict[str, Metric] = {
    "nse": Metric(nse, "NSE", "1", 1, "Nash-Sutcliffe efficiency; 0 is as good as the mean"),
    "kge": Metric(kge, "KGE", "1", 1, "Kling-Gupta efficiency (2009); −0.41 is the mean"),
    "kge_2012": Metric(kge_2012, "KGE 2012", "1", 1, "Kling-Gupta efficiency, modified (2012)"),
    "r": Metric(r, "r", "1", 1, "Pearson correlation"),
    "spearman": Metric(spearman, "Spearman", "1", 1, "Rank correlation"),
    "alpha": Metric(alpha, "alpha", "1", 1, "Ratio of standard deviations"),
    "beta": Metric(beta, "beta", "1", 1, "Ratio of means"),
    "beta_nse": Metric(beta_nse, "beta NSE", "1", 0, "Bias over observed standard deviation"),
    "pbias": Metric(pbias, "PBIAS", "%", 0, "Bias of the total volume"),
    "pbias_abs": Metric(pbias_abs, "PBIAS abs", "%", 0, "Absolute errors over the total volume"),
    "bias_rel": Metric(bias_rel, "Relative bias", "1", 0, "Bias of the total volume"),
    "pbias_mid": Metric(pbias_mid, "PBIAS mid", "%", 0, "Bias of the middle flows (FDC)"),
    "pbias_abs_mid": Metric(
        pbias_abs_mid, "PBIAS abs mid", "%", 0, "Absolute errors of the middle flows (FDC)"
    ),
    "mse": Metric(mse, "MSE", "mm2 d-2", 0, "Mean squared error"),
    "rmse": Metric(rmse, "RMSE", "mm d-1", 0, "Root mean squared error"),
    "rmse_ub": Metric(rmse_ub, "RMSE unbiased", "mm d-1", 0, "RMSE without the mean error"),
    "rmse_fdc": Metric(rmse_fdc, "RMSE FDC", "mm d-1", 0, "RMSE of the flow-duration curve"),
    "rmse_low": Metric(rmse_low, "RMSE low", "mm d-1", 0, "RMSE of the lowest 30 % (FDC)"),
    "rmse_mid": Metric(rmse_mid, "RMSE mid", "mm d-1", 0, "RMSE of the middle flows (FDC)"),
    "rmse_high": Metric(rmse_high, "RMSE high", "mm d-1", 0, "RMSE of the highest 2 % (FDC)"),
    "mae": Metric(mae, "MAE", "mm d-1", 0, "Mean absolute error"),
    "mare": Metric(mare, "MARE", "1", 0, "Mean absolute relative error"),
    "fhv": Metric(fhv, "FHV", "%", 0, "Bias of the highest 2 % of flows (FDC)"),
    "fhv_abs": Metric(fhv_abs, "FHV abs", "%", 0, "Absolute errors of the highest 2 % (FDC)"),
    "flv": Metric(flv, "FLV", "%", 0, "Bias of the lowest 30 % of flows (FDC), linear"),
    "flv_abs": Metric(flv_abs, "FLV abs", "%", 0, "Absolute errors of the lowest 30 % (FDC)"),
    "flv_log": Metric(flv_log, "FLV log", "%", 0, "Bias of the lowest 30 % (FDC), logarithmic"),
    "fms": Metric(fms, "FMS", "%", 0, "Bias of the slope of the middle of the FDC"),
    "peak_timing": Metric(peak_timing, "Peak timing", "d", 0, "Mean timing error of peaks"),
    "peak_mape": Metric(peak_mape, "Peak MAPE", "%", 0, "Mean absolute error of peaks"),
    "missed_peaks": Metric(missed_peaks, "Missed peaks", "1", 0, "Share of peaks not simulated"),
    "d_max": Metric(d_max, "Max. difference", "mm d-1", 0, "Error of the highest flow"),
    "d_max_rel": Metric(
        d_max_rel, "Max. difference, relative", "%", 0, "Error of the highest flow"
    ),
}


def evaluate(sim: Series, obs: Series, names: Iterable[str]) -> dict[str, Array]:
    """Evaluate the named metrics for every basin.

    Parameters
    ----------
    sim, obs
        Simulated and observed series `[B, T]` in one unit, NaN where missing.
    names
        Keys of `METRICS`.

    Returns
    -------
    Values `[B]` by name, NaN where a metric is undefined.
    """
    return {name: METRICS[name].function(sim, obs) for name in names}


__all__ = ["METRICS", "Metric", "evaluate"]
