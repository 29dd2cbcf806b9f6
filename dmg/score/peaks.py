"""The largest flow of each water year, simulated against observed, by return period.

The error is that of Song et al. for unseen extremes: |simulated - observed| / observed of the
largest daily flow of the year, each series' own, whenever in the year it comes.

Shapes: flows are `[B, T]` (basin, time).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dmg.data.return_periods import classes
from dmg.data.water_years import MIN_DAYS, annual_maxima
from dmg.metrics.significance import median_interval
from dmg.score.files import Array

COLUMNS = [
    "basin_id", "water_year", "return_period", "group", "observed", "simulated", "peak_error",
    "reason",
]  # fmt: skip


def peaks_of(
    basins: Sequence[str],
    days: pd.DatetimeIndex,
    sim: Array,
    obs: Array,
    return_periods: pd.DataFrame,
) -> pd.DataFrame:
    """Give a row for each basin and water year with an observed day.

    Parameters
    ----------
    basins, days
        Ids and consecutive days of the flows.
    sim, obs
        Flow `[B, T]` [mm d-1]; observed NaN outside the scored days.
    return_periods
        Columns `basin_id`, `water_year`, `return_period` [years].

    Returns
    -------
    DataFrame
        `COLUMNS`; `group` is the class of the return period, '' if that is unknown, `peak_error`
        NaN where `reason` says why.
    """
    seen = np.isfinite(obs)
    years, observed = annual_maxima(obs, days)
    _, simulated = annual_maxima(np.where(seen, sim, np.nan), days)
    starts = np.searchsorted(np.asarray(days.year + (days.month >= 10)), years)
    count = np.add.reduceat(seen, starts, axis=1, dtype=np.int64)
    table = pd.DataFrame(
        {
            "basin_id": np.repeat(np.asarray(basins, dtype=object), len(years)),
            "water_year": np.tile(years, len(basins)),
            "observed": observed.ravel(),
            "simulated": simulated.ravel(),
            "days": count.ravel(),
        }
    )
    table = table[table["days"] > 0]
    table = table.merge(return_periods, on=["basin_id", "water_year"], how="left")
    wet = table["observed"].where(table["observed"] > 0)
    table["peak_error"] = (table["simulated"] - table["observed"]).abs() / wet
    table["group"] = classes(table["return_period"])
    table["reason"] = _reasons(table)
    return table[COLUMNS]


def peak_summary(peaks: pd.DataFrame) -> pd.DataFrame:
    """Box of the peak error of each class of return period, and of all years.

    Returns
    -------
    DataFrame
        group, median, q25, q75, low and high (95 % interval of the median), years (all of the
        class), failed (without an error).
    """
    known = [g for g in ("1-5", "5-25", "25-50", "50-100", "100+") if g in set(peaks["group"])]
    rows = []
    for group in ["all", *known]:
        error = (peaks if group == "all" else peaks[peaks["group"] == group])["peak_error"]
        interval = median_interval(error.to_numpy())
        q25, q75 = error.quantile([0.25, 0.75])
        rows.append(
            (group, interval.median, q25, q75, *interval[1:], len(error), error.isna().sum())
        )
    columns = ["group", "median", "q25", "q75", "low", "high", "years", "failed"]
    return pd.DataFrame(rows, columns=columns)


def _reasons(table: pd.DataFrame) -> list[str]:
    few, lost = table["days"] < MIN_DAYS, table["simulated"].isna()
    found = [few, lost, table["observed"] == 0, table["group"] == ""]
    texts = [
        f"fewer than {MIN_DAYS} observed days", "no simulated flow on most observed days",
        "no flow observed in the year", "no return period known",
    ]  # fmt: skip
    return [str(reason) for reason in np.select(found, texts, "")]
