"""What any model must beat: the climatology of a gauge, and its flow of yesterday.

Both are read off observed flow, written as predictions and scored like those of any model.

- `climatology` (`climatology_median`): the mean (median) of each day of the year over the training
  days of a basin; a basin that is never trained on gets the mean of those that are. It sees no
  test day.
- `persistence`: the last flow observed before the day, as a rule yesterday's. It sees the
  observations of the test period, which no simulation here does: a yardstick for forecasts.

Shape legend: T time, B basins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from dmg.data.template import strings
from dmg.data.zarrs import consolidate, encode
from dmg.files import atomic
from dmg.score import scores_of, write_table
from dmg.score.basins import MIN_DAYS
from dmg.score.files import UNIT, Array, FlowFile, read_splits

DAYS = 366
SHARD_BASINS, CHUNK_DAYS = 64, 1461


def score_baselines(
    names: Sequence[str],
    preprocess: Path,
    folder: Path,
    out: Path,
    *,
    metrics: Sequence[str],
    min_days: int = MIN_DAYS,
) -> None:
    """Write baselines of every fold, `<folder>/<name>/<fold>/seed0/predictions.zarr`, and scores.

    Parameters
    ----------
    names
        Keys of `BASELINES`.
    preprocess
        Folder with the observed flow (`derived.zarr`) and `splits.csv`.
    folder
        Where the predictions go.
    out
        Table to write, with the columns of `scores.csv`.
    metrics, min_days
        As in `dmg.score.score`.
    """
    splits = read_splits(preprocess / "splits.csv")
    observed = FlowFile(preprocess / "derived.zarr")
    flow = observed.read(list(observed.basins), observed.days)
    tables = []
    for name in names:
        predictions = []
        for fold in dict.fromkeys(splits["fold"]):
            trained = training_days(splits, fold, observed)
            path = folder / name / fold / "seed0/predictions.zarr"
            _write(path, BASELINES[name](flow, observed.days, trained), observed, name)
            predictions.append(path)
        tables.append(
            scores_of(predictions, preprocess, metrics=metrics, model=name, min_days=min_days)
        )
    write_table(pd.concat(tables), out)


def climatology(
    flow: Array, days: pd.DatetimeIndex, trained: NDArray[np.bool_], statistic: str = "mean"
) -> Array:
    """Flow of each day of the year in training.

    Parameters
    ----------
    flow
        Observed flow `[B, T]` [mm d-1], missing as NaN.
    days
        Its days `[T]`.
    trained
        Days that are trained on, `[B, T]`.
    statistic
        "mean" or "median" over the years.

    Returns
    -------
    ndarray
        Flow `[B, T]`. A day of the year that was never observed (29 February in a short record)
        lies on the line between its neighbours; a basin without any training day has the mean of
        the others, if there are any, else NaN.
    """
    leap = days.is_leap_year | (days.month < 3)
    place = days.day_of_year.to_numpy() - 1 + ~leap  # 29 February has a place in every year
    known = pd.DataFrame(np.where(trained, flow, np.nan).T).groupby(place).agg(statistic)
    table = known.reindex(range(DAYS)).to_numpy(copy=True).T  # [B, 366]
    gauged = np.isfinite(table).any(axis=1)
    for row in np.flatnonzero(gauged):
        table[row] = _filled(table[row])
    if gauged.any():
        table[~gauged] = table[gauged].mean(axis=0)
    return table[:, place]


def persistence(flow: Array, days: pd.DatetimeIndex, trained: NDArray[np.bool_]) -> Array:
    """Last flow `[B, T]` observed before each day; NaN before the first."""
    return pd.DataFrame(flow.T, index=days).ffill().shift(1).to_numpy().T


BASELINES: dict[str, Callable[[Array, pd.DatetimeIndex, NDArray[np.bool_]], Array]] = {
    "climatology": climatology,
    "climatology_median": partial(climatology, statistic="median"),
    "persistence": persistence,
}


def training_days(splits: pd.DataFrame, fold: str, observed: FlowFile) -> NDArray[np.bool_]:
    """Days `[B, T]` that a fold trains on, basins and days in the order of the file."""
    rows = splits[(splits["fold"] == fold) & (splits["role"] == "train")]
    trained = np.zeros((len(observed.basins), len(observed.days)), dtype=bool)
    places = observed.basins.get_indexer(pd.Index(rows["basin_id"]))
    for place, start, end in zip(places, rows["start"], rows["end"], strict=True):
        trained[place] |= (observed.days >= start) & (observed.days <= end)
    return trained


def _filled(row: Array) -> Array:
    """Fill the missing days of a year from their neighbours."""
    known = np.flatnonzero(np.isfinite(row))
    return np.interp(np.arange(DAYS), known, row[known], period=DAYS)


def _write(path: Path, flow: Array, observed: FlowFile, name: str) -> None:
    series = (("basin", "time"), flow.astype(np.float32), {"units": UNIT})
    coords = {
        "basin": ("basin", strings(list(observed.basins)), {"cf_role": "timeseries_id"}),
        "time": ("time", observed.days),
    }
    dataset = xr.Dataset({"streamflow": series}, coords, {"model": name})
    with atomic(path) as temporary:
        encoding = encode(dataset, SHARD_BASINS, SHARD_BASINS, CHUNK_DAYS)
        dataset.to_zarr(temporary, zarr_format=3, consolidated=False, encoding=encoding)
        consolidate(temporary)
