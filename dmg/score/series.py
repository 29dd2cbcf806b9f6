"""Simulated and observed flow of the days that are scored, block by block of basins.

Shapes: `[B, T]` (basin, time).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from dmg.score.files import Array, FlowFile, Run, open_runs, read_splits, rows_of

ENSEMBLE = "ensemble"
"""The "seed" of the mean flow of all seeds."""


class Block(NamedTuple):
    """Some basins of one fold, as one seed (or the mean of all) simulates them."""

    fold: str
    seed: str
    basins: list[str]
    days: pd.DatetimeIndex
    sim: Array  # [B, T]
    obs: Array  # [B, T], NaN outside the scored days of a basin


def blocks(
    predictions: Sequence[Path], preprocess: Path, role: str, block_basins: int
) -> Iterator[Block]:
    """Yield all folds and seeds, and the mean of the seeds where there are two or more."""
    splits = read_splits(preprocess / "splits.csv")
    observed = FlowFile(preprocess / "derived.zarr")
    for fold, group in groupby(open_runs(predictions), key=lambda run: run.fold):
        rows, runs = rows_of(splits, fold, role), list(group)
        for part in basin_blocks(rows, block_basins):
            yield from _of_seeds(runs, observed, part)


def basin_blocks(rows: pd.DataFrame, size: int) -> list[pd.DataFrame]:
    """Cut rows of a split into those of `size` basins each, all periods of a basin together."""
    place, _ = pd.factorize(rows["basin_id"])
    return [part for _, part in rows.groupby(place // size)]


def read_observed(
    observed: FlowFile, rows: pd.DataFrame
) -> tuple[list[str], pd.DatetimeIndex, Array]:
    """Basins and days of rows of a split, and the flow `[B, T]`, NaN outside a basin's periods."""
    place, basins = pd.factorize(rows["basin_id"])
    days = pd.date_range(rows["start"].min(), rows["end"].max())
    first, stop = (
        days.get_indexer(pd.DatetimeIndex(rows[column])) + more
        for column, more in (("start", 0), ("end", 1))
    )
    inside = np.zeros((len(basins), len(days)), dtype=bool)
    for basin, begin, end in zip(place, first, stop, strict=True):
        inside[basin, begin:end] = True
    names = [str(basin) for basin in basins]
    return names, days, np.where(inside, observed.read(names, days), np.nan)


def _of_seeds(runs: list[Run], observed: FlowFile, rows: pd.DataFrame) -> Iterator[Block]:
    basins, days, obs = read_observed(observed, rows)
    total = np.zeros_like(obs)
    for run in runs:
        sim = run.flow.read(basins, days)
        total += sim
        yield Block(run.fold, run.seed, basins, days, sim, obs)
    if len(runs) > 1:
        yield Block(runs[0].fold, ENSEMBLE, basins, days, total / len(runs), obs)
