"""The unfinished store: everything but the series, which are empty."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from dmg.data.parts import Plan
from dmg.data.variables import DYNAMIC, STATIC
from dmg.data.zarrs import encode


def write_template(plan: Plan, static: pd.DataFrame, path: Path) -> None:
    """Write metadata, coordinates and static variables; declare the series.

    Parameters
    ----------
    plan
        What the store will hold.
    static
        Static variables and attributes, a row per basin; units in `static.attrs`.
    path
        Zarr folder to be made.
    """
    dataset = _template(plan, static)
    encoding = encode(dataset, plan.shard_basins, plan.chunk_basins, plan.chunk_days)
    dataset.to_zarr(path, encoding=encoding, compute=False, consolidated=False, zarr_format=3)


def _template(plan: Plan, static: pd.DataFrame) -> xr.Dataset:
    empty = da.full(  # type: ignore[no-untyped-call]
        (len(plan.basins), len(plan.days)), np.nan, dtype="float32", chunks=(plan.shard_basins, -1)
    )
    of_plan = {name: DYNAMIC[name] for name in plan.variables}
    series = {name: (("basin", "time"), empty, v.attrs()) for name, v in of_plan.items()}
    fixed = {
        str(name): ("basin", _values(static[name]), _describe(str(name), static.attrs))
        for name in static.columns
    }
    hashes = ("basin", strings([""] * len(static)), {"long_name": "sha256 of the source files"})
    coords = {
        "basin": ("basin", strings(plan.basins), {"cf_role": "timeseries_id"}),
        "time": ("time", plan.days.astype("datetime64[ns]"), {"standard_name": "time"}),
    }
    return xr.Dataset({**series, **fixed, "source_hash": hashes}, coords, _root_attrs(plan))


def _describe(name: str, about: dict[Any, Any]) -> dict[str, str]:
    if name in STATIC:
        return STATIC[name].attrs()
    known = {"units": about["units"].get(name), "long_name": about["long_names"].get(name)}
    return {key: text for key, text in known.items() if text}


def _root_attrs(plan: Plan) -> dict[str, str | int]:
    return {
        "Conventions": "CF-1.11",
        "title": f"{plan.dataset}: {', '.join(plan.variables)} and attributes",
        "source": plan.source,
        "dataset": plan.dataset,
        **plan.about,
        "dmg_version": plan.dmg_version,
        "format_version": plan.format_version,
        "plan": plan.digest,
    }


def _values(column: pd.Series[Any]) -> NDArray[Any]:
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(np.float64)
    return strings(column.tolist())


def strings(values: Sequence[str]) -> NDArray[np.object_]:
    """Hold text as plain Python strings: the form that Zarr v3 stores without a warning."""
    return np.array(values, dtype=object)
