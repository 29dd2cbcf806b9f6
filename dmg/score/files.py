"""The files that are scored and reported: flows, splits, scores; each mistake a clear error."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from dmg.files import atomic

UNIT = "mm d-1"
Array = npt.NDArray[np.float64]


class FlowFile:
    """Daily flow [mm d-1] in a Zarr store, read by basin id and date.

    Parameters
    ----------
    path
        Zarr store with dimensions `(basin, time)`.
    variable
        Name of the flow in it.
    """

    def __init__(self, path: Path, variable: str = "streamflow") -> None:
        self.path = path
        dataset = open_zarr(path)
        for name in (variable, "basin", "time"):
            if name not in dataset.variables:
                found = sorted(str(v) for v in dataset.variables)
                raise ValueError(f"{path}: expected a variable '{name}', found {found}")
        self.flow = dataset[variable]
        unit = self.flow.attrs.get("units")
        if unit != UNIT:
            raise ValueError(f"{path}: expected {variable} in '{UNIT}', found '{unit}'; convert it")
        self.basins = pd.Index([str(b) for b in dataset["basin"].values])
        self.days = pd.DatetimeIndex(dataset["time"].values)
        for name, index in (("basin", self.basins), ("day", self.days)):
            if index.has_duplicates:
                first = index[index.duplicated()][0]
                raise ValueError(f"{path}: {name} {_shown(first)} occurs twice; keep one of them")

    def read(self, basins: Sequence[str], days: pd.DatetimeIndex) -> Array:
        """Flow `[B, T]` of exactly these basins and days, in this order."""
        rows = self._positions(self.basins, pd.Index(basins), "basin")
        columns = self._positions(self.days, days, "day")
        values = self.flow.isel(basin=rows).transpose("basin", "time").values
        return values[:, columns].astype(np.float64)

    def _positions(self, have: pd.Index, wanted: pd.Index, name: str) -> npt.NDArray[np.intp]:
        positions = have.get_indexer(wanted)
        missing = wanted[positions < 0]
        if len(missing):
            shown = ", ".join(_shown(m) for m in missing[:3])
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            raise ValueError(
                f"{self.path}: expected every {name} of the period and basins to be scored, but"
                f" {name} {shown}{more} is missing; predict again or correct the split"
            )
        return positions


class Run(NamedTuple):
    """Predictions of one trained model, known by the folders `<fold>/<seed>/` they lie in."""

    fold: str
    seed: str
    flow: FlowFile


def open_zarr(path: Path) -> xr.Dataset:
    """Open a store lazily, without Dask; `FileNotFoundError` if it is not there."""
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such store; run the stage that writes it")
    with warnings.catch_warnings():  # of the mark that Snakemake leaves in folders
        warnings.filterwarnings("ignore", message=r"Object at \.snakemake_timestamp")
        dataset: xr.Dataset = xr.open_zarr(path, chunks=None, consolidated=False)
    return dataset


def open_runs(predictions: Sequence[Path]) -> list[Run]:
    """Open the predictions in order of fold and seed."""
    runs = [_open_run(path) for path in predictions]
    if not runs:
        raise ValueError("expected predictions of one run at least, found none")
    runs.sort(key=lambda run: (run.fold, int(run.seed.removeprefix("seed"))))
    seeds = {fold: [r.seed for r in group] for fold, group in groupby(runs, lambda r: r.fold)}
    first, *others = seeds
    for fold in others:
        if seeds[fold] != seeds[first]:
            raise ValueError(
                f"expected the same seeds in every fold, found {seeds[first]} in '{first}' and"
                f" {seeds[fold]} in '{fold}'; predict the missing ones"
            )
    return runs


def read_splits(path: Path) -> pd.DataFrame:
    """Basins, folds, roles and periods; every id and date a string."""
    return _read_table(path, ["basin_id", "fold", "role", "start", "end"], dtype=str)


def read_scores(path: Path) -> pd.DataFrame:
    """Scores as `score` wrote them; ids keep their zeros, an empty reason is ''."""
    table = _read_table(path, ["basin_id", "fold", "seed"], dtype={"basin_id": str, "reason": str})
    table["reason"] = table["reason"].fillna("")
    return table


def write_table(table: pd.DataFrame, out: Path) -> None:
    """Write a table of scores as CSV."""
    with atomic(out) as temporary:
        table.to_csv(temporary, index=False, float_format="%.8g")


def rows_of(splits: pd.DataFrame, fold: str, role: str) -> pd.DataFrame:
    """Rows of a fold and role; `ValueError` if there is none."""
    rows = splits[(splits["fold"] == fold) & (splits["role"] == role)]
    if rows.empty:
        known = sorted(set(splits["fold"]))
        raise ValueError(f"splits.csv: no {role} basins in fold '{fold}'; the folds are {known}")
    return rows


def _open_run(path: Path) -> Run:
    folder = path.parent.parent if path.parent.name == "simulation" else path.parent
    if not re.fullmatch(r"seed\d+", folder.name):
        raise ValueError(
            f"{path}: expected <fold>/seed<integer>/predictions.zarr, or a simulation/gauges.zarr"
            " beside it"
        )
    return Run(folder.parent.name, folder.name, FlowFile(path))


def _read_table(path: Path, columns: list[str], **options: object) -> pd.DataFrame:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such table; run the stage that writes it")
    table: pd.DataFrame = pd.read_csv(path, **options)  # type: ignore[call-overload]
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(f"{path}: expected the columns {columns}, but {missing} are missing")
    return table


def _shown(value: object) -> str:
    return f"{value:%Y-%m-%d}" if isinstance(value, pd.Timestamp) else f"'{value}'"
