"""Windows of a stored variable, read by whole chunks that are kept in memory up to a limit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Values = NDArray[np.float32]
Ints = int | NDArray[np.int64]
Key = tuple[int, int, int]
"""Series, row and column of a chunk."""


class ChunkCache:
    """Chunks in memory, up to a limit; those that were not used for longest go first.

    Parameters
    ----------
    limit_mb
        Memory for them [MB]; the chunk that was read last is kept in any case.
    """

    def __init__(self, limit_mb: float) -> None:
        self._limit, self._size = limit_mb * 1e6, 0
        self._chunks: OrderedDict[Key, Values] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        """Count the chunks in memory."""
        return len(self._chunks)

    def get(self, keys: Sequence[Key], read: Callable[[int, int], list[Values]]) -> list[Values]:
        """Give chunks of consecutive columns; `read(first, stop)` gets those that are missing."""
        with self._lock:
            found = {key: self._chunks[key] for key in keys if key in self._chunks}
            for key in found:
                self._chunks.move_to_end(key)
        missing = [column for _, _, column in keys if (*keys[0][:2], column) not in found]
        if missing:
            columns = range(missing[0], missing[-1] + 1)
            fresh = read(columns.start, columns.stop)
            new = {(*keys[0][:2], c): v for c, v in zip(columns, fresh, strict=True)}
            self._keep(new)
            found |= new
        return [found[key] for key in keys]

    def _keep(self, chunks: dict[Key, Values]) -> None:
        with self._lock:
            for key, values in chunks.items():
                old = self._chunks.pop(key, None)
                self._chunks[key] = values
                self._size += values.nbytes - (0 if old is None else old.nbytes)
            while self._size > self._limit and len(self._chunks) > 1:
                self._size -= self._chunks.popitem(last=False)[1].nbytes


class Series:
    """One variable of some basins of a store.

    Parameters
    ----------
    variable
        With dims `(basin, time)`.
    basin_ids
        Basins of interest; of each chunk, only their rows are kept.
    cache
        Shared by all series of a reader.

    Raises
    ------
    ValueError
        If a basin is not in the store.
    """

    def __init__(self, variable: xr.DataArray, basin_ids: Sequence[str], cache: ChunkCache) -> None:
        index = variable.indexes["basin"].get_indexer(list(basin_ids))
        if (index < 0).any():
            missing = [b for b, i in zip(basin_ids, index, strict=True) if i < 0]
            raise ValueError(f"expected basins {missing[:5]} in the store, found none of that name")
        basins, days = variable.encoding.get("chunks") or variable.shape
        self._variable, self._cache = variable, cache
        self._basins, self._days = int(basins), int(days)
        self._rows = np.unique(index)  # of the store, those that are kept
        self._block = index // self._basins
        self._row = np.searchsorted(self._rows, index) - self._first(self._block)

    def window(self, basin: int, start: int, days: int) -> Values:
        """`days` values from `start` on, of the basin at a place in `basin_ids`."""
        block, row = int(self._block[basin]), int(self._row[basin])
        columns = range(start // self._days, (start + days - 1) // self._days + 1)
        keys = [(id(self), block, column) for column in columns]
        chunks = self._cache.get(keys, partial(self._read, block))
        first = start - columns.start * self._days
        return np.concatenate([chunk[row] for chunk in chunks])[first : first + days]

    def _read(self, block: int, first: int, stop: int) -> list[Values]:
        """Read chunks of some columns, at once."""
        rows = slice(block * self._basins, (block + 1) * self._basins)
        days = slice(first * self._days, stop * self._days)
        values = self._variable[rows, days].to_numpy().astype(np.float32, copy=False)
        mine = self._rows[self._first(block) : self._first(block + 1)]
        kept = values[mine - rows.start]
        return [
            np.ascontiguousarray(kept[:, i : i + self._days])
            for i in range(0, (stop - first) * self._days, self._days)
        ]

    def _first(self, block: Ints) -> Ints:
        """Place among the kept rows of the first one of a block."""
        return np.searchsorted(self._rows, np.asarray(block) * self._basins)
