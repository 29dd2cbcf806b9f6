"""Weather of a latitude-longitude grid, as the mean over each unit.

Weights of cells are computed once and kept in a file: by the area that a unit's outline shares with
each cell or, without outlines, one cell, that in which the unit's centre lies.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.sparse import csr_array

from dmg.data.sources import Block
from dmg.data.weather.cells import cell_weights
from dmg.data.weather.gaps import fill_gaps

PIECE_MB = 64.0
"""Values of the grid that are in memory at a time [MB]."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GridVariable:
    """One variable of a grid: `factor * value + offset` is ours, day by day."""

    name: str
    factor: float = 1.0
    offset: float = 0.0
    daily: Literal["mean", "sum", "min", "max"] = "mean"


class GriddedWeather:
    """Series of a grid at units.

    Parameters
    ----------
    path
        NetCDF file or Zarr folder with dims time, latitude and longitude in any order.
    units
        Ids of the units `[U]`.
    latitude, longitude
        Of the units' centres `[U]` [degrees].
    variables
        The grid's variable behind each canonical one.
    axes
        Names of the grid's latitudes and longitudes.
    polygons
        GeoJSON file of the units' outlines; none: the cell of the centre.
    period
        First and last day; none: all of the grid's.
    cache
        Start of the name of the file that keeps the weights.

    Raises
    ------
    ValueError
        If a variable is not in the grid, a unit lies off it, or a day of the period is not whole.
    """

    def __init__(
        self,
        path: Path,
        units: NDArray[np.str_],
        latitude: Floats,
        longitude: Floats,
        *,
        variables: Mapping[str, GridVariable],
        axes: tuple[str, str] = ("latitude", "longitude"),
        polygons: Path | None = None,
        period: tuple[Any, Any] | None = None,
        cache: Path | None = None,
    ) -> None:
        self._grid, self._path, self._axes = open_grid(path), path, axes
        self._choice = dict(variables)
        self.variables = tuple(variables)
        self._units = units
        _require_names(self._grid, [v.name for v in variables.values()], axes, path)
        self._days, self._steps = _whole_days(self._grid, path)
        self._chosen = _period(self._days, period, path)
        first = self._grid[next(iter(variables.values())).name].isel(time=0).transpose(*axes)
        self._weights = cell_weights(
            [self._grid[name].to_numpy().astype(np.float64) for name in axes],
            np.isfinite(first.to_numpy()).ravel(),
            [latitude, longitude],
            units,
            polygons,
            cache,
        )
        self.held_mb = 1.2e-5 * self._weights.nnz + 2 * PIECE_MB
        how = "area shared with its outline" if polygons else "cell in which its centre lies"
        self.about = {
            "forcing": "gridded",
            "forcing_grid": path.name,
            "forcing_weights": how,
            "forcing_variables": json.dumps({n: vars(v) for n, v in variables.items()}),
        }

    def span(self) -> tuple[np.datetime64, np.datetime64]:
        """First and last day."""
        return self._chosen

    def fingerprint(self) -> str:
        """Hash names, sizes and times of the grid's files, and the weights."""
        files = sorted(self._path.rglob("*")) if self._path.is_dir() else [self._path]
        state = [(f.name, f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
        digest = hashlib.sha256(repr((state, self.about)).encode())
        digest.update(self._weights.data.tobytes() + self._weights.indices.tobytes())
        return digest.hexdigest()

    def blocks(
        self, rows: NDArray[np.int64], days: NDArray[np.datetime64]
    ) -> Iterator[tuple[str, Block]]:
        """Give each variable at some units `[B, T]`, read in pieces of days."""
        weights = self._weights[rows]
        box = _Box(weights, len(self._grid[self._axes[1]]))
        first = int(np.searchsorted(self._days, days[0]))
        for name, variable in self._choice.items():
            values = np.empty((len(rows), len(days)), np.float32)
            for start, stop in self._pieces(box.size, len(days)):
                steps = slice((first + start) * self._steps, (first + stop) * self._steps)
                cells = self._read(variable.name, steps, box)
                values[:, start:stop] = self._daily(box.weights @ cells.T, variable)
            ids = self._units[rows]
            yield name, fill_gaps(values, f"{self._path}: {variable.name}", ids, days)

    def _pieces(self, num_cells: int, num_days: int) -> Iterator[tuple[int, int]]:
        length = max(1, int(PIECE_MB * 1e6 / (8 * num_cells * self._steps)))
        for start in range(0, num_days, length):
            yield start, min(start + length, num_days)

    def _read(self, name: str, steps: slice, box: _Box) -> Floats:
        """Values `[steps, cells of the box]`; a cell of the sea, without weight, is 0."""
        variable = self._grid[name].transpose("time", *self._axes)
        values = variable[steps, box.south, box.west].to_numpy().astype(np.float64)
        cells = values.reshape(len(values), -1)
        cells[:, ~box.used] = 0
        return cells

    def _daily(self, values: Floats, variable: GridVariable) -> Floats:
        by_day = values.reshape(len(values), -1, self._steps)
        day: Floats = getattr(by_day, variable.daily)(axis=-1)
        return variable.factor * day + variable.offset


class _Box:
    """The rectangle of cells that some units have weights in."""

    def __init__(self, weights: csr_array, num_longitudes: int) -> None:
        row, column = np.divmod(weights.indices, num_longitudes)
        self.south = slice(int(row.min()), int(row.max()) + 1)
        self.west = slice(int(column.min()), int(column.max()) + 1)
        width = self.west.stop - self.west.start
        self.size = (self.south.stop - self.south.start) * width
        cells = (row - self.south.start) * width + column - self.west.start
        self.weights = csr_array(
            (weights.data, cells, weights.indptr), (weights.shape[0], self.size)
        )
        self.used = np.zeros(self.size, bool)
        self.used[cells] = True


def open_grid(path: Path) -> xr.Dataset:
    """Open a grid lazily; what is lacking is said in one line."""
    if not path.exists():
        raise FileNotFoundError(f"data.forcing.path: expected a grid, found no {path}")
    if path.is_dir():
        with warnings.catch_warnings():  # that opening is slower without consolidated metadata
            warnings.simplefilter("ignore", RuntimeWarning)
            folder: xr.Dataset = xr.open_zarr(path, chunks=None)
        return folder
    try:
        grid: xr.Dataset = xr.open_dataset(path)
        return grid
    except ValueError as error:
        if "backends" not in str(error) and "engine" not in str(error):
            raise
        raise ValueError(
            f"{path}: expected a reader of this file, found none installed; pip install"
            " 'dmg-hpc[netcdf]', or convert the file to Zarr"
        ) from None


def _require_names(grid: xr.Dataset, names: list[str], axes: tuple[str, str], path: Path) -> None:
    for name in (*names, *axes, "time"):
        if name not in grid.variables:
            known = ", ".join(sorted(map(str, grid.variables)))
            raise ValueError(
                f"{path}: expected the variable '{name}', found {known}; correct data.forcing"
            )


def _whole_days(grid: xr.Dataset, path: Path) -> tuple[NDArray[np.datetime64], int]:
    """Days of the grid, and its steps a day, the same every day."""
    day, count = np.unique(grid["time"].to_numpy().astype("datetime64[D]"), return_counts=True)
    whole = np.arange(day[0], day[-1] + 1)
    if len(day) != len(whole) or (count != count[0]).any():
        odd = day[(count != count[0]).argmax()] if len(day) == len(whole) else day[0]
        raise ValueError(
            f"{path}: expected whole, consecutive days of {count[0]} steps, found others, the first"
            f" at or after {odd}; complete the grid or leave that day out"
        )
    return day, int(count[0])


def _period(
    days: NDArray[np.datetime64], period: tuple[Any, Any] | None, path: Path
) -> tuple[np.datetime64, np.datetime64]:
    first, last = (np.datetime64(d, "D") for d in period) if period else (days[0], days[-1])
    if first < days[0] or last > days[-1]:
        raise ValueError(
            f"data.forcing.period: expected days within {days[0]}..{days[-1]} of {path}, found"
            f" {first}..{last}; change the period"
        )
    return first, last
