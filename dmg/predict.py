"""Stream every basin and the whole period through a trained model, and write a store.

Shape legend: T time, B basins, E components.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import torch
import xarray as xr
import zarr
from numpy.typing import NDArray

from dmg.data.loader import DataLoader, Ints
from dmg.data.template import strings
from dmg.data.zarrs import consolidate, encode
from dmg.delta import State
from dmg.files import atomic
from dmg.handler import ModelHandler
from dmg.parameters import Parameter

CHUNK_DAYS = 1461
"""Days of a chunk in the file [d]."""


def predict(
    handler: ModelHandler,
    loader: DataLoader,
    out: Path,
    *,
    reference: tuple[Any, Any],
    outputs: Mapping[str, str],
    chunk_days: int = 1461,
    block_basins: int = 128,
    attrs: Mapping[str, Any] | None = None,
) -> None:
    """Simulate all basins of the loader over all its days and write them to a Zarr store.

    Static parameters are resolved once per basin over the reference period and held; the state
    is carried through the chunks, so that `chunk_days` changes memory, not numbers.

    Parameters
    ----------
    handler
        The trained model.
    loader
        Forcings and attributes.
    out
        Store to write, whole or not at all.
    reference
        First and last day of the period after which the static parameters are read.
    outputs
        Unit of each flux to write, by name.
    chunk_days, block_basins
        Days and basins in memory at once.
    attrs
        Attributes of the store (provenance).
    """
    handler.eval()
    num_basins = len(loader.basin_ids)
    with atomic(out) as temporary:
        template = _template(loader, outputs, handler.model.constants, block_basins)
        template.attrs = dict(attrs or {})
        encoding = encode(template, block_basins, math.gcd(block_basins, 8), CHUNK_DAYS)
        template.to_zarr(
            temporary, zarr_format=3, compute=False, consolidated=False, encoding=encoding
        )
        for first in range(0, num_basins, block_basins):
            basins = np.arange(first, min(first + block_basins, num_basins))
            fluxes, static = _block(handler, loader, basins, reference, outputs, chunk_days)
            _write(temporary, basins, fluxes | static)
        consolidate(temporary)


def _block(
    handler: ModelHandler,
    loader: DataLoader,
    basins: Ints,
    reference: tuple[Any, Any],
    outputs: Mapping[str, str],
    chunk_days: int,
) -> tuple[dict[str, NDArray[np.float32]], dict[str, NDArray[np.float32]]]:
    """Fluxes `[B, T]` and static parameters `[B, E]` of some basins."""
    first, last = (loader.index(day) for day in reference)
    state: State | None = handler.resolve(loader.chunks(basins, first, last + 1, chunk_days))
    assert state is not None and state.static is not None
    static = {name: value.numpy(force=True) for name, value in state.static.items()}
    chunks = loader.chunks(basins, 0, len(loader.times), chunk_days)
    parts = [output.fluxes for output in handler.stream(chunks, state)]
    series = {name: torch.cat([part[name] for part in parts]).T for name in outputs}
    return {name: flux.numpy(force=True) for name, flux in series.items()}, static


def _template(
    loader: DataLoader,
    outputs: Mapping[str, str],
    constants: Mapping[str, tuple[Parameter, int | None]],
    block_basins: int,
) -> xr.Dataset:
    """Describe the store without its values."""
    num_basins = len(loader.basin_ids)

    def empty(*shape: int) -> Any:
        chunks = (min(block_basins, num_basins), *shape[1:])
        return dask.array.zeros(shape, chunks=chunks, dtype=np.float32)

    variables: dict[str, Any] = {
        name: (("basin", "time"), empty(num_basins, len(loader.times)), {"units": unit})
        for name, unit in outputs.items()
    }
    for name, (parameter, num_components) in constants.items():
        sizes = {"basin": num_basins}
        if num_components is not None:
            sizes["component"] = num_components
        variables[name] = (tuple(sizes), empty(*sizes.values()), _attrs(parameter))
    coords = {
        "basin": ("basin", strings(loader.basin_ids), {"cf_role": "timeseries_id"}),
        "time": ("time", loader.times.astype("datetime64[ns]")),
    }
    return xr.Dataset(variables, coords)


def _attrs(parameter: Parameter) -> dict[str, Any]:
    bounds = {"lower": parameter.lower, "upper": parameter.upper}
    return {"units": parameter.unit, "long_name": parameter.meaning, "kind": "parameter"} | bounds


def _write(store: Path, basins: Ints, values: Mapping[str, NDArray[np.float32]]) -> None:
    """Write the values of a block of basins, whole shards, into its rows of the store."""
    group = zarr.open_group(store, mode="r+")
    for name, block in values.items():
        array = group[name]
        assert isinstance(array, zarr.Array)
        array[int(basins[0]) : int(basins[-1]) + 1] = block
