"""Water years: 1 October to 30 September, named after the year in which they end."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Period = tuple[dt.date, dt.date]
"""First and last day, both included."""

MIN_DAYS = 330
"""Observed days that a water year needs for its largest flow to count as its peak."""


def water_year(days: pd.DatetimeIndex) -> NDArray[np.int64]:
    """Water year of each day `[T]`."""
    return np.asarray(days.year + (days.month >= 10), dtype=np.int64)


def first_day(year: int) -> dt.date:
    """Give 1 October of the year before."""
    return dt.date(year - 1, 10, 1)


def last_day(year: int) -> dt.date:
    """Give 30 September."""
    return dt.date(year, 9, 30)


def whole_years(period: Period) -> range:
    """Water years that lie wholly within a period."""
    start, end = period
    first = start.year + (start > dt.date(start.year, 10, 1)) + 1
    return range(first, end.year + (end >= last_day(end.year)))


def runs(years: Iterable[int]) -> list[Period]:
    """Join neighbouring water years to periods."""
    found: list[Period] = []
    for year in sorted(years):
        if found and found[-1][1] == last_day(year - 1):
            found[-1] = (found[-1][0], last_day(year))
        else:
            found.append((first_day(year), last_day(year)))
    return found


def annual_maxima(
    flow: NDArray[np.floating], days: pd.DatetimeIndex
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Largest flow of each water year.

    Parameters
    ----------
    flow
        Daily flow `[B, T]`, NaN where missing.
    days
        Consecutive days `[T]`.

    Returns
    -------
    years, maxima
        Water years `[Y]` and `[B, Y]`, NaN where fewer than `MIN_DAYS` days are observed.
    """
    years, starts = np.unique(water_year(days), return_index=True)
    valid = np.isfinite(flow)
    largest = np.maximum.reduceat(np.where(valid, flow, -np.inf), starts, axis=1)
    count = np.add.reduceat(valid, starts, axis=1, dtype=np.int64)
    return years, np.where(count >= MIN_DAYS, largest, np.nan).astype(np.float64)
