"""Variables derived from those of a store when they are read, for stores too large to copy.

Shape legend: T time, B basins.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from dmg.data.derive import Pet, derive
from dmg.data.variables import DERIVED

Key = tuple[int | slice, ...]
NAMES = ("temperature", "pet")
KEPT = 2
"""Blocks whose variables are kept, since one is read after the other."""


def derive_lazily(dataset: xr.Dataset, pet: Pet) -> xr.Dataset:
    """Derive temperature and potential evapotranspiration of a store, `(basin, time)`.

    Parameters
    ----------
    dataset
        An opened store.
    pet
        Formula of potential evapotranspiration.

    Returns
    -------
    Dataset
        Computes the part that is asked for; its chunks are those of the store.
    """
    like = dataset["precipitation"]

    @lru_cache(maxsize=KEPT)
    def block(*bounds: int) -> dict[str, NDArray[np.float32]]:
        rows, days = slice(*bounds[:2]), slice(*bounds[2:])
        return derive(
            dataset.isel(basin=rows, time=days).drop_vars("discharge", errors="ignore"), pet
        )

    variables = {}
    for name in NAMES:
        values = indexing.LazilyIndexedArray(_Lazy(name, block, like.shape))
        encoding = {"chunks": like.encoding.get("chunks") or like.shape}
        variables[name] = xr.Variable(like.dims, values, DERIVED[name].attrs(), encoding)
    return xr.Dataset(variables, {"basin": dataset["basin"], "time": dataset["time"]})


class _Lazy(BackendArray):
    """One derived variable as xarray reads files."""

    def __init__(self, name: str, block: Any, shape: tuple[int, ...]) -> None:
        self.name, self.block = name, block
        self.shape, self.dtype = shape, np.dtype(np.float32)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._read
        )

    def _read(self, key: Key) -> NDArray[np.float32]:
        """Values at a key of numbers and slices."""
        bounds: list[int] = []
        inner: list[int | slice] = []
        for part, size in zip(key, self.shape, strict=True):
            if isinstance(part, slice):
                start, stop, step = part.indices(size)
                bounds += [start, stop]
                inner.append(slice(None, None, step))
            else:
                bounds += [int(part), int(part) + 1]
                inner.append(0)
        values: NDArray[np.float32] = self.block(*bounds)[self.name][tuple(inner)]
        return values
