"""From stores to tensors: the one module that knows both files and torch.

Series are read chunk by chunk, those that the windows touch, and kept in a cache of bounded size,
so that memory does not grow with the store.

Shape legend: T time, B basins, A attributes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray

from dmg.batch import Batch
from dmg.data.chunks import ChunkCache, Series
from dmg.data.variables import CALENDAR
from dmg.data.zarrs import open_zarr

Ints = NDArray[np.int64]
CONSTANTS = ("area", "elevation", "latitude")


class DataLoader:
    """Gives the tensors of any basins and days of one or more stores, lazily.

    Parameters
    ----------
    stores
        Datasets with dims `(basin, time)` that share basins and days, searched in this order.
    forcings
        Series and constants (`CONSTANTS`) that the model reads, by canonical name.
    attributes
        Static attributes in the network's order.
    target
        Series that is learned; none for a prediction without observations.
    categories
        Classes of each attribute that is text, in the order of their codes; a class that is not
        listed becomes NaN.
    basin_ids
        Basins of the experiment in order; none: those of the last store.
    cache_mb
        Memory for series that were read [MB]; of a chunk, only the rows of these basins stay.

    Raises
    ------
    ValueError
        If a variable, an attribute or a basin is in none of the stores, or a constant that the
        model reads is missing for a basin.
    """

    def __init__(
        self,
        stores: Sequence[xr.Dataset],
        forcings: Iterable[str],
        attributes: Sequence[str] = (),
        target: str | None = None,
        *,
        categories: Mapping[str, Sequence[str]] | None = None,
        basin_ids: Sequence[str] | None = None,
        cache_mb: float = 512,
    ) -> None:
        self.basin_ids: Sequence[str] = [str(b) for b in basin_ids or stores[-1]["basin"].values]
        self.times = _days(stores)
        read = dict.fromkeys(forcings)
        self.forcings = tuple(name for name in read if name not in CONSTANTS)
        self.target = target
        names = [*self.forcings, *([target] if target else [])]
        self._cache = ChunkCache(cache_mb)
        self._series = {
            name: Series(_find(stores, name), self.basin_ids, self._cache)
            for name in names
            if name not in CALENDAR
        }
        self._constants = _constants(stores, self.basin_ids, [n for n in read if n in CONSTANTS])
        self._attributes = _attributes(stores, attributes, categories or {}, self.basin_ids)

    def batch(self, basins: Ints, starts: Ints, length: int, warmup: int = 0) -> Batch:
        """Windows of `warmup + length` days.

        Parameters
        ----------
        basins
            Rows in `basin_ids`, `[B]`.
        starts
            Index in `times` of the first day after the warm-up, `[B]`.
        length, warmup
            Scored days, and days before them.

        Raises
        ------
        ValueError
            If a forcing is missing within a window.
        """
        first = np.asarray(starts) - warmup
        assert first.min() >= 0 and first.max() + warmup + length <= len(self.times)
        forcing = {n: self._windows(n, basins, first, warmup + length) for n in self.forcings}
        for name, series in forcing.items():
            self._check_complete(name, series, basins, first)
        target = self.target and self._windows(self.target, basins, first, warmup + length)
        rows = torch.as_tensor(np.asarray(basins, dtype=np.int64))
        return Batch(
            forcing={n: torch.from_numpy(s) for n, s in forcing.items()},
            constants={n: v[rows] for n, v in self._constants.items()},
            attributes=self._attributes[rows],
            target=None if target is None else torch.from_numpy(target),
            basin=rows,
            time=torch.from_numpy(self.times[first].astype(np.int64)),
            warmup=warmup,
            rows=torch.arange(len(rows)),
        )

    def chunks(self, basins: Ints, start: int, stop: int, length: int) -> Iterable[Batch]:
        """Consecutive chunks of at most `length` days from `start` to `stop` (indices)."""
        for first in range(start, stop, length):
            days = min(length, stop - first)
            yield self.batch(basins, np.full(len(basins), first), days)

    def index(self, day: Any) -> int:
        """Index of a day in `times`; `ValueError` where the stores do not have it."""
        day = np.datetime64(day, "D")
        if not self.times[0] <= day <= self.times[-1]:
            raise ValueError(
                f"expected a day within {self.times[0]}..{self.times[-1]}, found {day}"
            )
        return int((day - self.times[0]).astype(int))

    def _windows(self, name: str, basins: Ints, first: Ints, days: int) -> NDArray[np.float32]:
        """Series `[T, B]`."""
        if name in CALENDAR:
            return _day_of_year(self.times[first, np.newaxis] + np.arange(days)).T
        out = np.empty((len(basins), days), dtype=np.float32)
        series = self._series[name]
        for i, (basin, start) in enumerate(zip(basins, first, strict=True)):
            out[i] = series.window(int(basin), int(start), days)
        return np.ascontiguousarray(out.T)

    def _check_complete(
        self, name: str, series: NDArray[np.float32], basins: Ints, first: Ints
    ) -> None:
        if np.isfinite(series.sum()):
            return
        day, column = np.argwhere(~np.isfinite(series))[0]
        raise ValueError(
            f"expected complete forcing, found no {name} at basin"
            f" {self.basin_ids[basins[column]]} on {self.times[first[column] + day]};"
            " fill the gap or leave the basin out (data.basins)"
        )


def _day_of_year(days: NDArray[np.datetime64]) -> NDArray[np.float32]:
    """Give 1 for the first of January."""
    day: NDArray[np.timedelta64] = days - days.astype("datetime64[Y]")
    return 1 + day.astype(np.float32)


def _days(stores: Sequence[xr.Dataset]) -> NDArray[np.datetime64]:
    """Days that all stores share."""
    axes = [store["time"].values.astype("datetime64[D]") for store in stores]
    if any(not np.array_equal(axis, axes[0]) for axis in axes):
        found = ", ".join(f"{axis[0]}..{axis[-1]}" for axis in axes)
        raise ValueError(f"expected stores with the same days, found {found}; preprocess again")
    return axes[0]


def _find(stores: Sequence[xr.Dataset], name: str) -> xr.DataArray:
    for store in stores:
        if name in store:
            return store[name]
    known = sorted({str(v) for store in stores for v in store.data_vars})
    raise ValueError(f"expected the variable '{name}' in the stores, found {known}")


def _constants(
    stores: Sequence[xr.Dataset], basin_ids: Sequence[str], needed: Sequence[str]
) -> dict[str, torch.Tensor]:
    """All constants that the stores have; those `needed` must be there, for every basin."""
    names = [n for n in CONSTANTS if n in needed or any(n in store for store in stores)]
    columns = {n: _find(stores, n).sel(basin=list(basin_ids)).to_numpy() for n in names}
    for name in needed:
        missing = [b for b, value in zip(basin_ids, columns[name], strict=True) if np.isnan(value)]
        if missing:
            raise ValueError(
                f"expected the {name} of every basin, found none for {missing[:5]};"
                " add it to the store or leave the basins out (data.basins)"
            )
    return {n: torch.from_numpy(c.astype(np.float32)) for n, c in columns.items()}


def _attributes(
    stores: Sequence[xr.Dataset],
    names: Sequence[str],
    categories: Mapping[str, Sequence[str]],
    basin_ids: Sequence[str],
) -> torch.Tensor:
    """Attributes `[B, A]`, classes as codes."""
    out = np.full((len(basin_ids), len(names)), np.nan, dtype=np.float32)
    for i, name in enumerate(names):
        values = _find(stores, name).sel(basin=list(basin_ids)).to_numpy()
        if name in categories:
            codes = {category: float(c) for c, category in enumerate(categories[name])}
            values = np.array([codes.get(str(v), np.nan) for v in values])
        out[:, i] = values
    return torch.from_numpy(out)


def open_loader(stores: Sequence[Path], **options: Any) -> DataLoader:
    """Open stores from their paths and give their loader: see `DataLoader`."""
    return DataLoader([open_zarr(path) for path in stores], **options)
