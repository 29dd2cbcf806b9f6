"""Metrics of each basin, and the reason where one is undefined."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dmg.metrics import evaluate
from dmg.score.files import Array

MIN_DAYS = 330
"""Observed days that a basin's metrics need, unless another number is asked for: about a year."""


def score_block(
    sim: Array, obs: Array, metrics: Sequence[str], min_days: int = MIN_DAYS
) -> pd.DataFrame:
    """Metrics of simulated and observed flow `[B, T]`, a row per basin, and what is wrong.

    All metrics of a basin with fewer than `min_days` observed days are NaN.
    """
    table = pd.DataFrame(evaluate(sim, obs, metrics))
    table.loc[np.isfinite(obs).sum(axis=1) < min_days] = np.nan
    known = [_reason(s, o, min_days) for s, o in zip(sim, obs, strict=True)]
    undefined = [", ".join(row.index[row.isna()]) for _, row in table.iterrows()]
    table["reason"] = [
        reason or (f"undefined: {names}" if names else "")
        for reason, names in zip(known, undefined, strict=True)
    ]
    return table


def untested(splits: pd.DataFrame, role: str, folds: Sequence[str]) -> pd.DataFrame:
    """Basins of some folds that have no days of a role in any fold: basin_id, fold, reason."""
    tested = set(splits.loc[splits["role"] == role, "basin_id"])
    rows = splits[splits["fold"].isin(folds) & ~splits["basin_id"].isin(tested)]
    rows = rows.drop_duplicates("basin_id")[["basin_id", "fold"]]
    return rows.assign(reason=f"no days of the role {role} in the split")


def _reason(sim: Array, obs: Array, min_days: int) -> str:
    """Say what is wrong with the two series of one basin, '' if nothing."""
    observed = np.isfinite(obs)
    lost = int((observed & ~np.isfinite(sim)).sum())
    values = obs[observed]
    if values.size == 0:
        return "no observed flow in the period"
    if values.size < min_days:
        return f"only {values.size} observed days in the period, fewer than {min_days}"
    if lost:
        return f"no simulated flow on {lost} of {values.size} observed days"
    return "constant observed flow" if np.ptp(values) == 0 else ""
