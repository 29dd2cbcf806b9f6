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
from torch import Tensor

from dmg.data.gauge_loader import GaugeLoader
from dmg.data.loader import DataLoader, Ints
from dmg.data.template import strings
from dmg.data.zarrs import consolidate, encode
from dmg.delta import State
from dmg.files import atomic
from dmg.handler import ModelHandler
from dmg.parameters import Parameter

Loader = DataLoader | GaugeLoader
CHUNK_DAYS = 1461
"""Days of a chunk in the file [d]."""


def predict(
    handler: ModelHandler,
    loader: Loader,
    out: Path,
    *,
    reference: tuple[Any, Any],
    outputs: Mapping[str, str],
    chunk_days: int = 1461,
    block_basins: int = 128,
    period: tuple[Any, Any] | None = None,
    memory: int | None = None,
    attrs: Mapping[str, Any] | None = None,
) -> None:
    """Simulate all basins of the loader and write them to a Zarr store.

    Static parameters are resolved once per basin over the reference period, held, and written, but
    for gauges, whose units have them. The state is carried from chunk to chunk.

    Parameters
    ----------
    handler, loader
        Trained model; forcings and attributes, of basins or of gauges with their units.
    out
        Store to write, whole or not at all.
    reference
        First and last day of the period after which the static parameters are read.
    outputs
        Unit of each flux to write, by name.
    chunk_days, block_basins
        Days and basins in memory at once; they change no number.
    period
        First and last day to write; none: all of the loader, with whose first day a state begins.
    memory
        Days before each day that its simulation sees, sequence to one, NaN where there are fewer;
        none: the state is carried.
    attrs
        Attributes of the store (provenance).

    Raises
    ------
    ValueError
        If the period is not within the loader's days.
    """
    handler.eval()
    first, last = (loader.index(d) for d in period or (loader.times[0], loader.times[-1]))
    days, rows = range(first, last + 1), np.arange(len(loader.basin_ids))
    constants = {} if isinstance(loader, GaugeLoader) else handler.model.constants
    with atomic(out) as temporary:
        template = _template(loader, days, outputs, constants, block_basins)
        _create(temporary, template.assign_attrs(attrs or {}), block_basins)
        for start in range(0, len(rows), block_basins):
            basins, state = rows[start : start + block_basins], State()
            if memory is None:
                state = _resolved(handler, loader, basins, reference, chunk_days)
                fluxes = _carried(handler, loader, basins, days, state, chunk_days)
            else:
                fluxes = _by_window(handler, loader, basins, days, memory, chunk_days)
            values = {name: torch.cat([part[name] for part in fluxes]).T for name in outputs}
            static = {name: (state.static or {})[name] for name in constants}
            _write(temporary, basins, values | static)
        consolidate(temporary)


def _resolved(
    handler: ModelHandler,
    loader: Loader,
    basins: Ints,
    reference: tuple[Any, Any],
    chunk_days: int,
) -> State:
    """State with the static parameters of some basins, `[B, E]`; empty where there are none."""
    if not handler.model.constants:
        return State()
    first, last = (loader.index(day) for day in reference)
    return handler.resolve(loader.chunks(basins, first, last + 1, chunk_days))


def _carried(
    handler: ModelHandler,
    loader: Loader,
    basins: Ints,
    days: range,
    state: State,
    chunk_days: int,
) -> list[dict[str, Tensor]]:
    """Fluxes `[T, B]` of consecutive days, from the first day of the loader on."""
    parts = []
    chunks = loader.chunks(basins, 0, days.stop, chunk_days)
    for start, output in zip(
        range(0, days.stop, chunk_days), handler.stream(chunks, state), strict=True
    ):
        skip = max(0, days.start - start)
        parts.append({name: flux[skip:] for name, flux in output.fluxes.items()})
    return parts


def _by_window(
    handler: ModelHandler,
    loader: Loader,
    basins: Ints,
    days: range,
    memory: int,
    chunk_days: int,
) -> list[dict[str, Tensor]]:
    """Fluxes `[T, B]` of days that each see the `memory` days before them, else NaN."""
    parts = []
    known = max(days.start, memory)
    for start in range(known, days.stop, chunk_days):
        length = min(chunk_days, days.stop - start)
        series = loader.batch(basins, np.full(len(basins), start), length, memory)
        parts.append(handler.each_day(series))
    names = parts[0] if parts else handler.model.outputs
    unknown = torch.full((min(known, days.stop) - days.start, len(basins)), torch.nan)
    return [dict.fromkeys(names, unknown), *parts]


def _template(
    loader: Loader,
    days: range,
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
        name: (("basin", "time"), empty(num_basins, len(days)), {"units": unit})
        for name, unit in outputs.items()
    }
    for name, (parameter, num_components) in constants.items():
        sizes = {"basin": num_basins}
        if num_components is not None:
            sizes["component"] = num_components
        variables[name] = (tuple(sizes), empty(*sizes.values()), parameter_attrs(parameter))
    coords = {
        "basin": ("basin", strings(loader.basin_ids), {"cf_role": "timeseries_id"}),
        "time": ("time", loader.times[days.start : days.stop].astype("datetime64[ns]")),
    }
    return xr.Dataset(variables, coords)


def parameter_attrs(parameter: Parameter) -> dict[str, Any]:
    """Give unit, meaning and bounds of a parameter as attributes of a variable."""
    bounds = {"lower": parameter.lower, "upper": parameter.upper}
    return {"units": parameter.unit, "long_name": parameter.meaning, "kind": "parameter"} | bounds


def _create(store: Path, template: xr.Dataset, block_basins: int) -> None:
    """Write the store without its values; a block of basins is a shard."""
    encoding = encode(template, block_basins, math.gcd(block_basins, 8), CHUNK_DAYS)
    template.to_zarr(store, zarr_format=3, compute=False, consolidated=False, encoding=encoding)


def _write(store: Path, basins: Ints, values: Mapping[str, Tensor]) -> None:
    """Write the values of a block of basins, whole shards, into its rows of the store."""
    group = zarr.open_group(store, mode="r+")
    for name, block in values.items():
        array = group[name]
        assert isinstance(array, zarr.Array)
        array[int(basins[0]) : int(basins[-1]) + 1] = block.numpy(force=True)
