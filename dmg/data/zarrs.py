"""Zarr files of this project: whole shards per writer, compressed, consolidated, silent.

Zarr v3 with sharding: a *chunk* is what a reader unpacks, a *shard* is one file and what a writer
writes. Two processes that write into one shard lose data without an error, so a writer owns whole
shards.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import BloscCodec


def encode(
    dataset: xr.Dataset, shard_basins: int, chunk_basins: int, chunk_days: int
) -> dict[str, dict[str, Any]]:
    """Encode `(basin, time)` variables in shards of some basins and the whole time.

    Parameters
    ----------
    dataset
        What will be written with `to_zarr(encoding=...)`.
    shard_basins, chunk_basins
        Basins a shard and a chunk; the first is a multiple of the second.
    chunk_days
        Days a chunk [d].

    Returns
    -------
    dict
        Encoding of the time axis and of each `(basin, time)` variable.
    """
    if shard_basins % chunk_basins:
        raise ValueError(
            f"shard of {shard_basins} basins: expected a multiple of the {chunk_basins} of a chunk"
        )
    num_days = dataset.sizes["time"]
    days = min(chunk_days, num_days)
    series = {
        "chunks": (chunk_basins, days),
        "shards": (shard_basins, -(-num_days // days) * days),
        "compressors": [BloscCodec(cname="zstd", clevel=3, shuffle="shuffle")],
    }
    encoding: dict[str, dict[str, Any]] = {
        str(name): dict(series) for name, v in dataset.items() if v.dims == ("basin", "time")
    }
    since = np.datetime_as_string(dataset["time"].values[0], unit="D")
    return encoding | {"time": {"units": f"days since {since}", "chunks": (num_days,)}}


def consolidate(path: Path) -> None:
    """Copy the metadata of all variables into the root, so that one read opens the file."""
    with warnings.catch_warnings():  # zarr-python and xarray both write and read it
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        zarr.consolidate_metadata(str(path), zarr_format=3)


def open_zarr(
    path: Path, chunks: Mapping[str, int] | None = None, *, names: bool = True
) -> xr.Dataset:
    """Open a consolidated Zarr file lazily; with `chunks`, as Dask arrays.

    Strings come as plain Python strings (object arrays), which every library takes. Without
    `names` basins have none, and no strings are read: those of 100,000 basins take a second.
    """
    lazy = dict(chunks) if chunks is not None else None
    dataset: xr.Dataset = xr.open_zarr(
        path, consolidated=True, chunks=lazy, drop_variables=None if names else "basin"
    )
    if not names:
        return dataset
    plain = {
        name: (v.dims, v.to_numpy().astype(object), v.attrs)
        for name, v in dataset.variables.items()
        if v.dtype.kind == "T"
    }
    coords = {name: v for name, v in plain.items() if name in dataset.coords}
    return dataset.assign_coords(coords).assign({n: v for n, v in plain.items() if n not in coords})
