"""Scores from files only: any model's predictions against the observed flow.

`score` writes one row per basin, fold and seed (and the seed ensemble), `summarise` one row per
metric. Series are matched by basin id and date, never by position.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from dmg.files import atomic
from dmg.metrics import METRICS, evaluate
from dmg.score.files import Array, FlowFile, Run, open_runs, read_scores, read_splits, rows_of

ENSEMBLE = "ensemble"


def score(
    predictions: Sequence[Path],
    preprocess: Path,
    out: Path,
    *,
    metrics: Sequence[str],
    model: str,
    role: str = "test",
    block_basins: int = 64,
) -> None:
    """Write the scores of runs as CSV, see `scores_of`."""
    table = scores_of(
        predictions,
        preprocess,
        metrics=metrics,
        model=model,
        role=role,
        block_basins=block_basins,
    )
    write_table(table, out)


def scores_of(
    predictions: Sequence[Path],
    preprocess: Path,
    *,
    metrics: Sequence[str],
    model: str,
    role: str = "test",
    block_basins: int = 64,
) -> pd.DataFrame:
    """Score runs and, with two seeds or more, the mean of their simulated flows.

    Parameters
    ----------
    predictions
        Stores `<fold>/<seed>/predictions.zarr` with `streamflow` [mm d-1].
    preprocess
        Folder with the observed flow (`derived.zarr`) and `splits.csv`.
    metrics
        Keys of `dmg.metrics.METRICS`.
    model
        Name of the model, for the table.
    role
        Which basins and days of `splits.csv` are scored.
    block_basins
        Basins in memory at once.

    Returns
    -------
    DataFrame
        basin_id, fold, seed, period, model, a column per metric, reason.
    """
    splits = read_splits(preprocess / "splits.csv")
    observed = FlowFile(preprocess / "derived.zarr")
    tables: list[pd.DataFrame] = []
    for fold, runs in groupby(open_runs(predictions), key=lambda run: run.fold):
        rows = rows_of(splits, fold, role)
        tables += _score_fold(list(runs), observed, rows, block_basins, metrics)
    table = pd.concat(tables, ignore_index=True)
    table.insert(3, "period", role)
    table.insert(4, "model", model)
    return table


def write_table(table: pd.DataFrame, out: Path) -> None:
    """Write a table of scores as CSV."""
    with atomic(out) as temporary:
        table.to_csv(temporary, index=False, float_format="%.8g")


def summarise(scores: Path, out: Path) -> None:
    """Write median, mean and quartiles of every metric over basins, folds pooled.

    The rows are those of the seed ensemble where there is one. `basins` counts all of them,
    `failed` those whose metric is undefined.
    """
    table = headline(read_scores(scores))
    write_table(summary_of(table), out)


def summary_of(table: pd.DataFrame) -> pd.DataFrame:
    """One row per metric of a table of scores."""
    names = [name for name in table.columns if name in METRICS]
    values = table[names].astype(float)
    return pd.DataFrame(
        {
            "metric": names,
            "median": values.median().to_numpy(),
            "mean": values.mean().to_numpy(),
            "q25": values.quantile(0.25).to_numpy(),
            "q75": values.quantile(0.75).to_numpy(),
            "basins": len(values),
            "failed": values.isna().sum().to_numpy(),
        }
    )


def headline(table: pd.DataFrame) -> pd.DataFrame:
    """Rows that stand for the experiment: the ensemble, or the only seed."""
    ensemble = table[table["seed"] == ENSEMBLE]
    return ensemble if len(ensemble) else table


def _score_fold(
    runs: list[Run],
    observed: FlowFile,
    rows: pd.DataFrame,
    block_basins: int,
    metrics: Sequence[str],
) -> list[pd.DataFrame]:
    """Tables of one fold, one per seed, basins in the order of the split."""
    tables: dict[str, list[pd.DataFrame]] = {}
    for block in blocks_of(rows, block_basins):
        for seed, sim, obs in _series(runs, observed, block):
            table = score_block(sim, obs, metrics)
            table.insert(0, "basin_id", block["basin_id"].unique())
            table.insert(1, "fold", runs[0].fold)
            table.insert(2, "seed", seed)
            tables.setdefault(seed, []).append(table)
    return [pd.concat(parts) for parts in tables.values()]


def _series(
    runs: list[Run], observed: FlowFile, rows: pd.DataFrame
) -> Iterator[tuple[str, Array, Array]]:
    """Yield simulated and observed flow `[B, T]` by seed, observed NaN outside the period."""
    basins, days, obs = read_observed(observed, rows)
    total = np.zeros_like(obs)
    for run in runs:
        sim = run.flow.read(basins, days)
        total += sim
        yield run.seed, sim, obs
    if len(runs) > 1:
        yield ENSEMBLE, total / len(runs), obs


def blocks_of(rows: pd.DataFrame, block_basins: int) -> Iterator[pd.DataFrame]:
    """Yield the rows of a split for so many basins at once; a basin may have several."""
    place, _ = pd.factorize(rows["basin_id"])
    for _, block in rows.groupby(place // block_basins):
        yield block


def read_observed(
    observed: FlowFile, rows: pd.DataFrame
) -> tuple[list[str], pd.DatetimeIndex, Array]:
    """Basins and days of rows of a split, and the flow `[B, T]`, NaN outside a basin's periods."""
    places, names = pd.factorize(rows["basin_id"])
    basins = [str(name) for name in names]
    days = pd.date_range(rows["start"].min(), rows["end"].max())
    inside = np.zeros((len(basins), len(days)), dtype=bool)
    for place, start, end in zip(places, rows["start"], rows["end"], strict=True):
        inside[place, days.slice_indexer(start, end)] = True
    return basins, days, np.where(inside, observed.read(basins, days), np.nan)


def score_block(sim: Array, obs: Array, metrics: Sequence[str]) -> pd.DataFrame:
    """Metrics of simulated and observed flow `[B, T]`, a row per basin, and what is wrong."""
    table = pd.DataFrame(evaluate(sim, obs, metrics))
    known = [_reason(s, o) for s, o in zip(sim, obs, strict=True)]
    undefined = [", ".join(row.index[row.isna()]) for _, row in table.iterrows()]
    table["reason"] = [
        reason or (f"undefined: {names}" if names else "")
        for reason, names in zip(known, undefined, strict=True)
    ]
    return table


def _reason(sim: Array, obs: Array) -> str:
    """Say what is wrong with the two series of one basin, '' if nothing."""
    observed = np.isfinite(obs)
    lost = int((observed & ~np.isfinite(sim)).sum())
    values = obs[observed]
    if values.size == 0:
        return "no observed flow in the period"
    if lost:
        return f"no simulated flow on {lost} of {values.size} observed days"
    if values.size == 1:
        return "one observed day only"
    return "constant observed flow" if np.ptp(values) == 0 else ""
