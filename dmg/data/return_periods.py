"""Return periods of the annual peaks of each basin: read from a table, or fitted.

A table has one row per basin and water year: `basin_id`, `water_year`, `return_period` [years],
NaN where it is unknown.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dmg.data.bulletin_17b import MAP_MSE, fit
from dmg.data.water_years import annual_maxima
from dmg.files import atomic

logger = logging.getLogger(__name__)

COLUMNS = ["basin_id", "water_year", "return_period"]
SYNONYMS = {"gauge_id": "basin_id", "return_period_yr": "return_period"}
EDGES = (1.0, 5.0, 25.0, 50.0, 100.0)
"""Classes of return period [years] of Song et al. 2026."""


def classes(return_period: pd.Series[float]) -> pd.Series[str]:
    """Name the class of each return period: 1-5, 5-25, 25-50, 50-100, 100+; '' if unknown."""
    names = [f"{low:g}-{high:g}" for low, high in pairwise(EDGES)]
    named = pd.cut(return_period, [0, *EDGES[1:], np.inf], labels=[*names, f"{EDGES[-1]:g}+"])
    return named.astype(object).where(named.notna(), "").astype(str)


def from_daily(
    basins: Sequence[str],
    flow: NDArray[np.floating],
    days: pd.DatetimeIndex,
    *,
    regional_skew: float | None = 0.0,
    regional_mse: float = MAP_MSE,
) -> pd.DataFrame:
    """Fit a curve after Bulletin 17B to the largest daily flow of each water year.

    Parameters
    ----------
    basins
        Ids `[B]`.
    flow
        Daily flow `[B, T]`, any unit, NaN where missing.
    days
        Consecutive days `[T]`.
    regional_skew, regional_mse
        See `dmg.data.bulletin_17b.fit`; Frame et al. 2022 (doi:10.5194/hess-26-3377-2022) take 0.

    Returns
    -------
    Table of all water years; those of a basin without a curve are NaN, and the log says so.
    """
    years, maxima = annual_maxima(flow, days)
    periods, failed = np.full(maxima.shape, np.nan), []
    for row, peaks in enumerate(maxima):
        try:
            periods[row] = fit(peaks, regional_skew, regional_mse).return_period(peaks)
        except ValueError as error:
            failed.append(f"{basins[row]} ({error})")
    if failed:
        logger.warning(
            "return periods: none for %d of %d basins, such as %s",
            len(failed), len(basins), failed[0],
        )  # fmt: skip
    return pd.DataFrame(
        {
            "basin_id": np.repeat(np.array(basins, dtype=object), len(years)),
            "water_year": np.tile(years, len(basins)),
            "return_period": periods.ravel(),
        }
    )


def read_return_periods(path: str | Path) -> pd.DataFrame:
    """Read a table; `gauge_id` and `return_period_yr` are understood as well.

    A path that does not exist is looked for in the folder `DMG_DATA_ROOT`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a column is missing, a value is no number, or a row doubled.
    """
    path = _find(Path(path))
    table = pd.read_csv(path, dtype=str).rename(columns=SYNONYMS)
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise ValueError(f"{path}: expected the columns {', '.join(COLUMNS)}; missing: {missing}")
    table = table[COLUMNS]
    for column, allowed in (("water_year", False), ("return_period", True)):
        numbers = pd.to_numeric(table[column], errors="coerce")
        bad = numbers.isna() & (table[column].notna() if allowed else True)
        if bad.any():
            line = int(bad.to_numpy().argmax())
            raise ValueError(
                f"{path}:{line + 2}: expected a number in column {column}, found"
                f" {table[column].iloc[line]!r}"
            )
        table = table.assign(**{column: numbers})
    twice = table.duplicated(["basin_id", "water_year"]).to_numpy()
    if twice.any():
        raise ValueError(
            f"{path}:{int(twice.argmax()) + 2}: expected one row per basin and water year"
        )
    return table.astype({"water_year": "int64"})


def write_return_periods(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as CSV."""
    with atomic(path) as temporary:
        table[COLUMNS].to_csv(temporary, index=False, float_format="%.6g")


def _find(path: Path) -> Path:
    root = Path(os.environ.get("DMG_DATA_ROOT", ""))
    found = next((p for p in (path, root / path) if p.is_file()), None)
    if found is None:
        raise FileNotFoundError(
            f"{path}: no such table of return periods, nor below DMG_DATA_ROOT; fetch it, or leave"
            " data.return_periods.table out to fit them to the daily record"
        )
    return found
