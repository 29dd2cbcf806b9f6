"""Stores of a simulation: each writer owns whole shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray
from torch import Tensor
from zarr.codecs import BloscCodec

from dmg.data.template import strings
from dmg.data.zarrs import consolidate
from dmg.files import atomic

CHUNK = 64, 365
"""Rows and days of a chunk, where a shard is a multiple of them."""

Variables = Mapping[str, tuple[tuple[str, ...], Mapping[str, Any]]]
"""Dimensions and attributes of each."""


def create(
    path: Path,
    row: str,
    ids: Sequence[str],
    days: NDArray[np.datetime64],
    variables: Variables,
    sizes: Mapping[str, int],
    shard: tuple[int, int],
    attrs: Mapping[str, Any],
) -> None:
    """Create a store of variables `(row, time)` and `(row, ...)`, all NaN, unless it is there.

    Parameters
    ----------
    path
        Store.
    row, ids
        Name of the first dimension, and its coordinates.
    days
        Time axis.
    variables
        What it will hold.
    sizes
        Lengths of other dimensions.
    shard
        Rows and days of a shard.
    attrs
        Attributes of the store.
    """
    if path.exists():
        return
    coords = {row: (row, strings(ids)), "time": ("time", days.astype("datetime64[ns]"))}
    with atomic(path) as temporary:
        xr.Dataset(coords=coords, attrs=dict(attrs)).to_zarr(
            temporary, zarr_format=3, consolidated=False
        )
        group = zarr.open_group(temporary, mode="r+")
        lengths = {row: len(ids), "time": len(days), **sizes}
        for name, (dims, about) in variables.items():
            whole = tuple(lengths[d] for d in dims)
            limits = (shard[0], shard[1] if dims[-1] == "time" else lengths[dims[-1]])
            shape = tuple(map(min, whole, limits))
            group.create_array(
                name,
                shape=whole,
                dtype="float32",
                shards=shape,
                chunks=tuple(map(_chunk, shape, CHUNK)),
                compressors=[BloscCodec(cname="zstd", clevel=3, shuffle="shuffle")],
                dimension_names=dims,
                fill_value=np.nan,
                attributes=dict(about),
            )
        consolidate(temporary)


def _chunk(shard: int, wished: int) -> int:
    return wished if shard % wished == 0 else shard


def write(path: Path, rows: range, days: range | None, values: Mapping[str, Tensor]) -> None:
    """Write values `[T, B]` of rows and days, or `[B, ...]` of rows, whole shards."""
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    for name, value in values.items():
        array = group[name]
        assert isinstance(array, zarr.Array)
        block = value.numpy(force=True)
        if days is None:
            array[rows.start : rows.stop] = block
        else:
            array[rows.start : rows.stop, days.start : days.stop] = block.T
