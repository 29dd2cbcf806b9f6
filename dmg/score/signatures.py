"""Signatures of the observed and of the simulated flow, side by side.

Both are taken on the days on which flow is observed, so that they can be compared.

Shapes: flows are `[B, T]` (basin, time).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dmg.metrics.signatures import SIGNATURES, signatures
from dmg.score.files import Array


def signatures_of(
    basins: Sequence[str],
    days: pd.DatetimeIndex,
    sim: Array,
    obs: Array,
    precipitation: Array | None = None,
) -> pd.DataFrame:
    """Give a row for each basin: basin_id and, by signature, `<name>_obs` and `<name>_sim`.

    Parameters
    ----------
    basins, days
        Ids and consecutive days of the flows.
    sim, obs
        Flow `[B, T]` [mm d-1]; observed NaN outside the scored days.
    precipitation
        `[B, T]` [mm d-1]; without it, two signatures are NaN.
    """
    observed = signatures(obs, days, precipitation)
    simulated = signatures(np.where(np.isfinite(obs), sim, np.nan), days, precipitation)
    columns = {
        f"{name}_{kind}": values[name]
        for name in SIGNATURES
        for kind, values in (("obs", observed), ("sim", simulated))
    }
    return pd.DataFrame({"basin_id": list(basins), **columns})


def skill(table: pd.DataFrame) -> pd.DataFrame:
    """How well signatures are simulated over basins.

    Returns
    -------
    DataFrame
        signature, r and spearman (correlations over basins), bias (median of simulated minus
        observed), basins (defined in both), failed.
    """
    rows = []
    for name in SIGNATURES:
        pair = table[[f"{name}_obs", f"{name}_sim"]].astype(float).dropna()
        obs, sim = pair[f"{name}_obs"], pair[f"{name}_sim"]
        varies = len(pair) > 1 and obs.std() > 0 and sim.std() > 0
        correlations = (obs.corr(sim), obs.rank().corr(sim.rank())) if varies else (np.nan,) * 2
        rows.append((name, *correlations, (sim - obs).median(), len(pair), len(table) - len(pair)))
    return pd.DataFrame(rows, columns=["signature", "r", "spearman", "bias", "basins", "failed"])
