"""Missing days of a forcing: short gaps are filled linearly in time, long ones are an error."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

logger = logging.getLogger(__name__)

MAX_GAP = 7
"""Longest gap that is filled [d]."""


def fill_gaps(
    values: NDArray[np.float32],
    what: str,
    ids: Sequence[Any] | NDArray[Any],
    days: NDArray[np.datetime64],
    max_gap: int = MAX_GAP,
) -> NDArray[np.float32]:
    """Fill missing values `[B, T]` linearly between the days around them, and tell of it.

    Parameters
    ----------
    values
        Series, NaN where missing.
    what, ids, days
        Their origin and name, ids of the rows and days of the columns, for messages.
    max_gap
        Longest gap that is filled [d].

    Raises
    ------
    ValueError
        If a gap is longer, or at an end of the series.
    """
    missing = ~np.isfinite(values)
    if not missing.any():
        return values
    filled = values.copy()
    for row in np.flatnonzero(missing.any(axis=1)).tolist():
        for first, stop in _runs(missing[row]):
            if stop - first > max_gap or first == 0 or stop == len(days):
                raise ValueError(
                    f"{what}: expected no gap of more than {max_gap} days, found none of"
                    f" {days[first]}..{days[stop - 1]} at {ids[row]}; complete it or leave it out"
                )
        there = np.flatnonzero(~missing[row])
        holes = np.flatnonzero(missing[row])
        filled[row, holes] = np.interp(holes, there, values[row, there])
    row, day = np.argwhere(missing)[0].tolist()
    logger.warning(
        "%s: %d missing days of %d places filled linearly in time, first %s at %s",
        what, missing.sum(), missing.any(axis=1).sum(), days[day], ids[row],
    )  # fmt: skip
    return filled


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First position and the one after the last of each run of true values."""
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False]))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
