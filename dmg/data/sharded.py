"""Series in shards, as xarray reads files lazily.

Shape legend: T time, B basins.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing
from zarr.codecs import BloscCodec

from dmg.data.shards import Ints, Layout, read, run


class Sharded(BackendArray):
    """An array of shards as xarray reads files.

    Parameters
    ----------
    folder
        The array's.
    layout
        Its shards and chunks.
    shape
        Basins and days.
    """

    def __init__(self, folder: Path, layout: Layout, shape: tuple[int, ...]) -> None:
        self.folder, self.layout = folder, layout
        self.shape, self.dtype = shape, np.dtype(np.float32)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER, self._read
        )

    def _read(self, key: tuple[int | slice | Ints, ...]) -> NDArray[np.float32]:
        """Values at a key of numbers, slices and lists, each along its own axis."""
        places = [np.arange(size)[part] for part, size in zip(key, self.shape, strict=True)]
        shape = tuple(n for place in places for n in np.shape(place))
        rows, days = (np.atleast_1d(place) for place in places)
        if not len(rows) or not len(days):
            return np.empty(shape, np.float32)
        first = int(days.min())
        values = read(self.folder, self.layout, rows, slice(first, int(days.max()) + 1))
        return values[:, run(days - first)].reshape(shape)


def read_shards(dataset: xr.Dataset, path: Path) -> xr.Dataset:
    """Let the series of an opened Zarr file be read without zarr-python, where they can be."""
    series = {
        name: xr.Variable(
            v.dims,
            indexing.LazilyIndexedArray(
                Sharded(
                    path / str(name), Layout(v.encoding["shards"], v.encoding["chunks"]), v.shape
                )
            ),
            v.attrs,
            v.encoding,
        )
        for name, v in dataset.data_vars.items()
        if _is_known(v)
    }
    return dataset.assign(series)


def _is_known(variable: xr.DataArray) -> bool:
    """Whether a variable is single numbers by series and day, in shards of chunks by Blosc."""
    about = variable.encoding
    packed = [type(codec) for codec in about.get("compressors") or ()] == [BloscCodec]
    single = about.get("dtype") == np.float32 == variable.dtype
    return variable.ndim == 2 and bool(about.get("shards")) and packed and single
