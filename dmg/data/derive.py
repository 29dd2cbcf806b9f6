"""Variables that an experiment derives from those of a store: `derived.zarr`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from dmg import pet as formulas
from dmg.data.template import strings
from dmg.data.variables import DERIVED
from dmg.data.zarrs import encode

Pet = Literal["hargreaves", "priestley_taylor", "hamon", "penman_monteith"]
"""Formula of potential evapotranspiration."""

WIND = 2.0
"""Speed that FAO-56 takes where none is measured [m s-1]; no store has wind."""

FIXED = ("area", "latitude", "elevation")
"""Static variables that formulas read."""
PIECE = 60_000
"""Values of one array while formulas are evaluated: the processor's cache holds the ten that there
are; with 900,000 a formula takes three times as long (measured)."""

Floats = NDArray[np.floating[Any]]

PROVENANCE = ("dataset", "product", "source", "dmg_version", "plan")
"""Attributes of the store that `derived.zarr` repeats, with the prefix `store_`."""


def derive(dataset: xr.Dataset, pet: Pet = "hargreaves") -> dict[str, NDArray[np.float32]]:
    """Compute the variables of `DERIVED`, `[B, T]`, from those of a store.

    Shortwave radiation of a store is the mean over daylight, and becomes one over 24 hours. There
    is no streamflow where the store has no discharge.
    """
    read = {name: dataset[name].to_numpy() for name in inputs(dataset, pet)}
    read |= {name: dataset[name].to_numpy()[:, None] for name in FIXED if name in dataset}
    day = dataset["time"].dt.day_of_year.to_numpy().astype(np.float64)
    calendar = np.unique(day, return_inverse=True)
    shape = read["temperature_min"].shape
    found = {name: np.empty(shape, np.float32) for name in derived_names(dataset)}
    length = max(1, PIECE // shape[1])
    for first in range(0, shape[0], length):
        rows = slice(first, first + length)
        piece = {name: values[rows] for name, values in read.items()}
        for name, values in _derived(piece, pet, *calendar).items():
            found[name][rows] = values
    return found


def _derived(
    series: Mapping[str, Floats], pet: Pet, days: Floats, place: NDArray[np.intp]
) -> dict[str, Floats]:
    """Evaluate all formulas, `[B, T]`; `days[place]` are the days of the year."""
    low, high = series["temperature_min"], series["temperature_max"]
    of_year = formulas.extraterrestrial_radiation(series["latitude"], days)
    radiation = np.take(of_year, place, axis=1)  # of_year[:, place] lies in another order: slow
    found = {"temperature": (low + high) / 2, "pet": _potential(series, pet, radiation)}
    if "discharge" in series:
        found["streamflow"] = 86.4 * series["discharge"] / series["area"]
    return found


def inputs(dataset: xr.Dataset, pet: Pet) -> list[str]:
    """Names of the series of a store that `derive` reads."""
    radiation = ("shortwave", "daylength")
    more = {"hargreaves": (), "hamon": ("daylength",), "priestley_taylor": radiation}
    names = ("temperature_min", "temperature_max", *more.get(pet, (*radiation, "vapour_pressure")))
    return [*names, *(["discharge"] if "discharge" in dataset else [])]


def derived_names(dataset: xr.Dataset) -> list[str]:
    """Names of what `derive` gives for a store."""
    return [name for name in DERIVED if name != "streamflow" or "discharge" in dataset]


def _potential(series: Mapping[str, Floats], pet: Pet, radiation: Floats) -> Floats:
    """Evaluate one formula."""
    low, high = series["temperature_min"], series["temperature_max"]
    found: Floats
    if pet == "hargreaves":
        found = formulas.hargreaves(low, high, radiation)
    elif pet == "hamon":
        found = formulas.hamon((low + high) / 2, series["daylength"])
    else:
        shortwave = formulas.daily_shortwave(series["shortwave"], series["daylength"])
        light = shortwave, radiation, series["elevation"]
        if pet == "priestley_taylor":
            found = formulas.priestley_taylor(low, high, *light)
        else:
            vapour = series["vapour_pressure"]
            found = formulas.penman_monteith(low, high, vapour, WIND, *light)
    return found


def layout(dataset: xr.Dataset) -> dict[str, int]:
    """Give shards and chunks of a store, which `derived.zarr` shares."""
    encoding = dataset["precipitation"].encoding
    return {
        "shard_basins": encoding["shards"][0],
        "chunk_basins": encoding["chunks"][0],
        "chunk_days": encoding["chunks"][1],
    }


def write_template(
    path: Path,
    dataset: xr.Dataset,
    basins: Sequence[str],
    pet: Pet,
    shard_basins: int,
    key: str,
) -> None:
    """Write metadata and coordinates of `derived.zarr`; the values follow, in whole shards.

    Parameters
    ----------
    path
        Zarr folder to be made.
    dataset
        Store that the values are derived from.
    basins
        Basins of the experiment, in order.
    pet
        Formula of potential evapotranspiration, for the record.
    shard_basins
        Basins of a shard.
    key
        Digest of what the values depend on.
    """
    size = (len(basins), dataset.sizes["time"])
    empty = da.full(  # type: ignore[no-untyped-call]
        size, np.nan, dtype=np.float32, chunks=size
    )
    template = xr.Dataset(
        {
            name: (("basin", "time"), empty, DERIVED[name].attrs())
            for name in derived_names(dataset)
        },
        coords={"basin": ("basin", strings(basins)), "time": dataset["time"]},
        attrs=_attrs(dataset, pet) | {"key": key},
    )
    template["time"].encoding = {}
    encoding = encode(template, **layout(dataset) | {"shard_basins": shard_basins})
    template.to_zarr(path, compute=False, encoding=encoding, zarr_format=3, consolidated=False)


def _attrs(dataset: xr.Dataset, pet: Pet) -> dict[str, str]:
    """Name the store that the values come from, and the formula."""
    origin = {f"store_{key}": str(dataset.attrs[key]) for key in PROVENANCE if key in dataset.attrs}
    title = "variables derived from a store"
    return {"Conventions": "CF-1.11", "title": title, "pet": pet, **origin}
