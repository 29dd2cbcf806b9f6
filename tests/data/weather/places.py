"""A store of basins and some places between them."""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from dmg.data.store import FORMAT_VERSION
from dmg.data.template import strings
from dmg.data.zarrs import consolidate, encode

LATITUDE = np.array([40.0, 40.0, 42.0, 45.0, 30.0])
LONGITUDE = np.array([-100.0, -98.0, -99.0, -110.0, -80.0])
ELEVATION = np.array([200.0, 400.0, 600.0, 2000.0, 10.0])
NAMES = ("precipitation", "temperature_min", "temperature_max")


def write_basins(path: Path, num_days: int = 60, seed: int = 0) -> xr.Dataset:
    rng = np.random.default_rng(seed)
    shape = len(LATITUDE), num_days
    low = rng.normal(5, 3, shape)
    values = {
        "precipitation": rng.gamma(0.3, 8, shape),
        "temperature_min": low,
        "temperature_max": low + rng.uniform(2, 12, shape),
    }
    static = {"latitude": LATITUDE, "longitude": LONGITUDE, "elevation": ELEVATION}
    dataset = xr.Dataset(
        {name: (("basin", "time"), v.astype(np.float32)) for name, v in values.items()}
        | {name: ("basin", v) for name, v in static.items()},
        {
            "basin": strings([f"b{i}" for i in range(len(LATITUDE))]),
            "time": pd.date_range("2000-01-01", periods=num_days, unit="s"),
        },
        {"format_version": FORMAT_VERSION, "plan": str(seed)},
    )
    encoding = encode(dataset, shard_basins=4, chunk_basins=2, chunk_days=30)
    dataset.to_zarr(path, encoding=encoding, consolidated=False, zarr_format=3)
    consolidate(path)
    return dataset
