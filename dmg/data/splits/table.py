"""The table of a split: which basins and days are trained on, validated on and tested on.

A row per basin, fold, role and period: `basin_id`, `fold` ("all" or "fold01", "fold02", ...),
`role` (train, validate or test), `start` and `end` (days, both included). A basin may have several
periods of one role; a basin that is never trained on in a fold has no train row there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dmg.files import atomic

Period = tuple[dt.date, dt.date]
"""First and last day, both included."""

COLUMNS = ["basin_id", "fold", "role", "start", "end"]
ROLES = ("train", "validate", "test")


def require_within(splits: pd.DataFrame, start: dt.date, end: dt.date) -> None:
    """Raise `ValueError` unless every period lies within the days `start` to `end` of the data."""
    outside = splits[(splits["start"] < pd.Timestamp(start)) | (splits["end"] > pd.Timestamp(end))]
    if len(outside):
        row = outside.iloc[0]
        raise ValueError(
            f"split: period of role {row.role}: expected within {_day(start)}..{_day(end)}, the"
            f" days of the data, found {_day(row.start)}..{_day(row.end)}; change the period"
        )


def select(splits: pd.DataFrame, fold: str, role: str) -> pd.DataFrame:
    """Return the rows of one role in one fold; none if the fold has no such role.

    Raises
    ------
    ValueError
        If there is no such fold.
    """
    folds = list(dict.fromkeys(splits["fold"]))
    if fold not in folds:
        raise ValueError(f"split: expected a fold among {', '.join(folds)}, found {fold}")
    return splits[(splits["fold"] == fold) & (splits["role"] == role)]


def write_splits(splits: pd.DataFrame, path: str | Path) -> None:
    """Write a split as CSV, with days as ISO dates."""
    with atomic(path) as temporary:
        splits[COLUMNS].to_csv(temporary, index=False, date_format="%Y-%m-%d")


def read_splits(path: str | Path) -> pd.DataFrame:
    """Read a split written by `write_splits`, or by hand in the same form.

    Raises
    ------
    ValueError
        If a column is missing, a role unknown, a date not ISO-8601, a row doubled, or if roles of
        a basin overlap in time. The message names the file, and the line where there is one.
    """
    splits = pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = [column for column in COLUMNS if column not in splits]
    if missing:
        raise ValueError(f"{path}: expected the columns {', '.join(COLUMNS)}; missing: {missing}")
    _require_each(splits["role"].isin(ROLES), splits["role"], path, "a role train, validate, test")
    for column in ("start", "end"):
        days = pd.to_datetime(splits[column], format="%Y-%m-%d", errors="coerce")
        _require_each(days.notna(), splits[column], path, f"an ISO date in column {column}")
        splits[column] = days.astype("datetime64[s]")
    ordered = splits["start"] <= splits["end"]
    _require_each(ordered, splits["end"].astype(str), path, "an end on or after the start")
    single = ~splits.duplicated(COLUMNS)
    _require_each(single, splits["basin_id"], path, "every row once")
    return _checked(splits[COLUMNS], f"{path}: ")


def build(parts: Iterable[tuple[Iterable[str], str, str, Period | None]]) -> pd.DataFrame:
    """Make a table of (basins, fold, role, period); a role without a period has no rows.

    Raises
    ------
    ValueError
        If periods of a basin overlap in one fold.
    """
    rows = [
        (basin, fold, role, *period)
        for basins, fold, role, period in parts
        if period is not None
        for basin in basins
    ]
    days = {"start": "datetime64[s]", "end": "datetime64[s]"}
    return _checked(pd.DataFrame(rows, columns=COLUMNS).astype(days))


def _checked(splits: pd.DataFrame, where: str = "") -> pd.DataFrame:
    """Return `splits` if no day of a basin is in two rows of a fold."""
    ordered = splits.sort_values(["fold", "basin_id", "start", "end"], kind="stable")
    before = ordered.shift()
    same = (ordered["fold"] == before["fold"]) & (ordered["basin_id"] == before["basin_id"])
    twice = same & (ordered["start"] <= before["end"])
    if twice.any():
        pair = [before[twice].iloc[0], ordered[twice].iloc[0]]
        first, second = sorted(pair, key=lambda row: str(row["role"]), reverse=True)
        raise ValueError(
            f"{where}split: expected days of {first.role} and {second.role} apart for one basin,"
            f" found {_day(first.start)}..{_day(first.end)} and"
            f" {_day(second.start)}..{_day(second.end)} ({second.basin_id}, {second.fold}); change"
            " them"
        )
    return splits


def require_basins(basins: Sequence[str]) -> None:
    """Raise `ValueError` unless there are basins, each once."""
    if not basins:
        raise ValueError("split: expected at least one basin, found none; check data.basins")
    if len(set(basins)) < len(basins):
        raise ValueError("split: expected every basin once, found duplicates; check data.basins")


def _require_each(valid: pd.Series[bool], values: pd.Series, path: str | Path, what: str) -> None:
    if not valid.all():
        line = int(np.argmin(valid.to_numpy()))
        raise ValueError(f"{path}:{line + 2}: expected {what}, found {values.iloc[line]!r}")


def _day(day: dt.date) -> str:
    return f"{day:%Y-%m-%d}"
