"""Scores over all basins: medians, how sure they are, quartiles, failures."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dmg.metrics import METRICS
from dmg.metrics.significance import median_interval
from dmg.score.files import read_scores, write_table
from dmg.score.series import ENSEMBLE


def summarise(scores: Path, out: Path) -> None:
    """Write median, mean and quartiles of every metric over basins, folds pooled.

    The rows are those of the seed ensemble where there is one. `low` and `high` bound the median
    with 95 % confidence (bootstrap over basins), `basins` counts all of them, `failed` those whose
    metric is undefined.
    """
    table = headline(read_scores(scores))
    write_table(summary_of(table), out)


def summary_of(table: pd.DataFrame) -> pd.DataFrame:
    """One row per metric of a table of scores."""
    names = [name for name in table.columns if name in METRICS]
    values = table[names].astype(float)
    intervals = [median_interval(values[name].to_numpy()) for name in names]
    return pd.DataFrame(
        {
            "metric": names,
            "median": values.median().to_numpy(),
            "mean": values.mean().to_numpy(),
            "q25": values.quantile(0.25).to_numpy(),
            "q75": values.quantile(0.75).to_numpy(),
            "low": [interval.low for interval in intervals],
            "high": [interval.high for interval in intervals],
            "basins": len(values),
            "failed": values.isna().sum().to_numpy(),
        }
    )


def headline(table: pd.DataFrame) -> pd.DataFrame:
    """Rows that stand for the experiment: the ensemble, or the only seed."""
    ensemble = table[table["seed"] == ENSEMBLE]
    return ensemble if len(ensemble) else table
