"""Evaluation: what is predicted and scored."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dmg.config.base import Period, Section

Metric = Literal[
    "nse", "kge", "kge_2012", "r", "spearman", "alpha", "beta", "beta_nse",
    "pbias", "pbias_abs", "pbias_mid", "pbias_abs_mid", "bias_rel",
    "mse", "rmse", "rmse_ub", "rmse_fdc", "rmse_low", "rmse_mid", "rmse_high", "mae", "mare",
    "fhv", "fhv_abs", "flv", "flv_abs", "flv_log", "fms",
    "peak_timing", "peak_mape", "missed_peaks", "d_max", "d_max_rel",
]  # fmt: skip

Baseline = Literal["climatology", "climatology_median", "persistence"]


class Evaluate(Section):
    """Prediction, scores and report."""

    metrics: tuple[Metric, ...] = Field(
        ("nse", "kge", "kge_2012", "r", "alpha", "beta", "pbias", "rmse", "fhv", "flv", "flv_log",
         "fms", "peak_timing"),
        description="Metrics of each basin",
    )  # fmt: skip
    baselines: tuple[Baseline, ...] = Field(
        ("climatology", "persistence"),
        description="Predictions read off observed flow, scored beside the model: of the day of the"
        " year in training, or of the day before (which sees the test observations)",
    )
    min_days: int = Field(
        330, ge=1, description="Observed days below which all metrics of a basin are undefined [d]"
    )
    groups: tuple[str, ...] | None = Field(
        None,
        description="Attributes by whose classes scores are summarised; none: those of area,"
        " huc_02, aridity and frac_snow that the store has",
    )
    outputs: tuple[str, ...] = Field(
        ("streamflow",), description="Simulated fluxes written by the prediction"
    )
    reference: Period | None = Field(
        None,
        description="Period whose last day gives the static parameters; none: the training period",
    )
    period: Period | None = Field(None, description="Days that are predicted; none: all")
    memory: Literal["carried", "window"] = Field(
        "carried",
        description="What a day's prediction remembers: all days before, or, sequence to one, the"
        " train.warmup days before it and nothing else",
    )
    chunk_days: int = Field(1461, ge=1, description="Days predicted at once [d]")
    block_basins: int = Field(128, ge=1, description="Basins predicted at once")
