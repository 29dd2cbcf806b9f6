"""Splits: which basins and days are trained on, validated on and tested on, in each fold.

A split is a table with one row per basin, fold and role: `basin_id`, `fold` ("all" or "fold01",
"fold02", ...), `role` (train, validate or test), `start` and `end` (days, both included). A basin
that is never trained on in a fold has no train row there.
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


def temporal(
    basins: Sequence[str],
    *,
    train: Period,
    test: Period,
    validate: Period | None = None,
    frac_holdout: float = 0.0,
    seed: int = 0,
) -> pd.DataFrame:
    """Split by time: one fold, "all", with the same basins in different years.

    Parameters
    ----------
    basins
        Basin ids, in the order of the experiment.
    train, validate, test
        Days of each role.
    frac_holdout
        Fraction of the basins, at least one unless 0, that is drawn with `seed` and only tested.

    Raises
    ------
    ValueError
        If no basin is left to train on, or if roles of a basin overlap in time.
    """
    _require_basins(basins)
    num_holdout = max(1, round(frac_holdout * len(basins))) if frac_holdout else 0
    if num_holdout == len(basins):
        raise ValueError(
            f"split: expected basins to train on, found all {len(basins)} held out; lower"
            f" frac_holdout ({frac_holdout}) or add basins"
        )
    shuffled = np.random.default_rng(seed).permutation(len(basins))
    held_out = {basins[i] for i in shuffled[:num_holdout]}
    trained = [basin for basin in basins if basin not in held_out]
    return _table(
        [
            (trained, "all", "train", train),
            (trained, "all", "validate", validate),
            (basins, "all", "test", test),
        ]
    )


def pub(
    basins: Sequence[str],
    *,
    train: Period,
    test: Period,
    validate: Period | None = None,
    num_folds: int = 10,
    seed: int = 0,
) -> pd.DataFrame:
    """Split by basins, for prediction in ungauged basins: each fold tests basins it never saw.

    Every basin is tested in exactly one of `num_folds` random folds, whose sizes differ by one at
    most. As no basin is both trained on and tested, the periods may be the same.

    Raises
    ------
    ValueError
        If a fold has no basins to train on or to test, or if roles of a basin overlap in time.
    """
    _require_basins(basins)
    if not 2 <= num_folds <= len(basins):
        raise ValueError(
            f"split: expected 2 to {len(basins)} folds for {len(basins)} basins, found"
            f" {num_folds}, which leaves folds without basins; change num_folds or add basins"
        )
    shuffled = np.random.default_rng(seed).permutation(len(basins))
    parts: list[tuple[list[str], str, str, Period | None]] = []
    for number, members in enumerate(np.array_split(shuffled, num_folds), start=1):
        tested, fold = set(members.tolist()), f"fold{number:02d}"
        trained = [basin for i, basin in enumerate(basins) if i not in tested]
        parts += [
            (trained, fold, "train", train),
            (trained, fold, "validate", validate),
            ([basins[i] for i in sorted(tested)], fold, "test", test),
        ]
    return _table(parts)


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
    single = ~splits.duplicated(["basin_id", "fold", "role"])
    _require_each(single, splits["basin_id"], path, "one row per basin, fold and role")
    return _checked(splits[COLUMNS], f"{path}: ")


def _table(parts: Iterable[tuple[Sequence[str], str, str, Period | None]]) -> pd.DataFrame:
    """Rows of (basins, fold, role, period); a role without a period has none."""
    rows = [
        (basin, fold, role, *period)
        for basins, fold, role, period in parts
        if period is not None
        for basin in basins
    ]
    days = {"start": "datetime64[s]", "end": "datetime64[s]"}
    return _checked(pd.DataFrame(rows, columns=COLUMNS).astype(days))


def _checked(splits: pd.DataFrame, where: str = "") -> pd.DataFrame:
    """Return `splits` if no basin has two roles on one day of a fold."""
    pairs = splits.merge(splits, on=["basin_id", "fold"])
    twice = pairs[
        (pairs["role_x"] < pairs["role_y"])
        & (pairs["start_x"] <= pairs["end_y"])
        & (pairs["start_y"] <= pairs["end_x"])
    ]
    if len(twice):
        row = twice.iloc[0]
        raise ValueError(
            f"{where}split: expected days of {row.role_y} and {row.role_x} apart for one basin,"
            f" found {_day(row.start_y)}..{_day(row.end_y)} and"
            f" {_day(row.start_x)}..{_day(row.end_x)} ({row.basin_id}, {row.fold}); change them"
        )
    return splits


def _require_basins(basins: Sequence[str]) -> None:
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
