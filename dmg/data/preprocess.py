"""Preprocess: what an experiment derives from a store before it trains.

`splits.csv` says who is trained on when, `derived.zarr` holds mean temperature, potential
evapotranspiration and runoff depth, `statistics.json` the statistics of each fold's training part.
Blocks of basins, each a whole shard of the result, are processed apart with Dask, so memory grows
with the number of workers and not with the store.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from dmg.data.basins import match_basins
from dmg.data.derive import Pet
from dmg.data.derive_store import Samples, Span, derive_store
from dmg.data.splits import require_within, write_splits
from dmg.data.statistics import Sample, fold_statistics, merge, write_statistics
from dmg.data.store import open_store
from dmg.data.variables import DERIVED
from dmg.data.workers import Workers
from dmg.files import unfinished


def preprocess(
    store: Path,
    out: Path,
    *,
    basins: Sequence[str],
    splits: pd.DataFrame,
    forcings: Sequence[str],
    attributes: Sequence[str] = (),
    log_forcings: Sequence[str] = (),
    target: str = "streamflow",
    pet: Pet = "hargreaves",
    workers: Workers = None,
) -> None:
    """Write `splits.csv`, `statistics.json` and `derived.zarr` into the folder `out`.

    Parameters
    ----------
    store
        Store with dims `(basin, time)`.
    out
        Folder of the results; each of the three is replaced as a whole, none after an error: then
        what was derived stays in `derived.parts/`, and the next run goes on from there.
    basins
        Basins of the experiment, in order.
    splits
        Table as made by `dmg.data.splits`.
    forcings, attributes, target
        Variables of the store or of `DERIVED` that need statistics.
    log_forcings
        Forcings whose statistics are taken after `log10(sqrt(x) + 0.1)`.
    pet
        Formula of potential evapotranspiration.
    workers
        Processes of a local Dask cluster (0: this one; none: as many as pay), or jobs of Slurm,
        whose logs are left in `out`. Blocks are as large as the memory of one allows.

    Raises
    ------
    ValueError
        If a basin, a variable or a period is not in the store, or if training data are missing.
    """
    dataset = open_store(store)
    basins, splits = _match(dataset, basins, splits, str(store))
    require_days(splits, dataset)
    require_variables(dataset, {"forcings": forcings, "target": [target]}, attributes)
    folds = training_spans(splits, basins, dataset["time"].values[0])
    table = dataset[["basin", *attributes]].sel(basin=basins).to_dataframe()[[*attributes]]
    with unfinished(out / "derived.zarr") as derived:
        samples = derive_store(
            store, derived, basins, folds, [*forcings, target],
            log_forcings=log_forcings, pet=pet, workers=workers, logs=out / "workers",
        )  # fmt: skip
        statistics = {}
        for fold, members in folds.items():
            mine, known = of_members(samples, members), table.loc[[*members]]
            statistics[fold] = fold_statistics(mine, forcings, target, known)
    write_statistics(statistics, out / "statistics.json")
    write_splits(splits, out / "splits.csv")


def _match(
    dataset: xr.Dataset, basins: Sequence[str], splits: pd.DataFrame, where: str
) -> tuple[list[str], pd.DataFrame]:
    """Ids as the store writes them, in the list of basins and in the split."""
    found = match_basins(basins, [str(b) for b in dataset["basin"].values], where)
    matched = splits["basin_id"].map(dict(zip(basins, found, strict=True)))
    if matched.isna().any():
        stranger = splits["basin_id"][matched.isna()].iloc[0]
        raise ValueError(
            f"split: expected only basins of the experiment, found {stranger}; remove it or add it"
            " to data.basins"
        )
    return found, splits.assign(basin_id=matched)


def training_spans(
    splits: pd.DataFrame, basins: Sequence[str], origin: np.datetime64
) -> dict[str, dict[str, list[Span]]]:
    """Training days of each basin in each fold."""
    row_of = {basin: row for row, basin in enumerate(basins)}
    table = splits.assign(
        first=(splits["start"] - pd.Timestamp(origin)).dt.days,
        last=(splits["end"] - pd.Timestamp(origin)).dt.days,
    )
    folds: dict[str, dict[str, list[Span]]] = {fold: {} for fold in dict.fromkeys(table["fold"])}
    train = table[table["role"] == "train"]
    for basin, fold, first, last in train[["basin_id", "fold", "first", "last"]].to_numpy():
        folds[fold].setdefault(basin, []).append((row_of[basin], first, last))
    for fold, spans in folds.items():
        if not spans:
            raise ValueError(f"split: {fold}: expected basins to train on, found none")
    return folds


def of_members(
    samples: Samples, members: Mapping[str, Sequence[Span]]
) -> dict[str, dict[str, Sample]]:
    """Pick the samples of the training basins of one fold, by variable and basin."""
    return {
        name: {basin: merge([by_span[s] for s in spans]) for basin, spans in members.items()}
        for name, by_span in samples.items()
    }


def require_days(splits: pd.DataFrame, dataset: xr.Dataset) -> None:
    """Raise `ValueError` unless every period lies within the days of a store."""
    first, last = (pd.Timestamp(dataset["time"].values[i]) for i in (0, -1))
    require_within(splits, first, last)


def require_variables(
    dataset: xr.Dataset, series: Mapping[str, Sequence[str]], attributes: Sequence[str]
) -> None:
    """Raise `ValueError` if a store has no such variable, and name the nearest."""
    moving = {str(n) for n, v in dataset.items() if v.dims == ("basin", "time")} | set(DERIVED)
    static = {str(n) for n, v in dataset.items() if v.dims == ("basin",)}
    for key, names in series.items():
        _require_known(key, names, moving)
    _require_known("attributes", attributes, static)


def _require_known(key: str, names: Sequence[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.4)
            raise ValueError(
                f"data.{key}: expected a variable of the store, found '{name}'; the nearest there:"
                f" {', '.join(near) or 'none'}"
            )
