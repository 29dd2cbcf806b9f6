"""A small store with everything an experiment reads, written by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from dmg.build_split import build_split
from dmg.config import Experiment, parse
from dmg.data.preprocess import preprocess
from dmg.data.store import FORMAT_VERSION
from dmg.data.zarrs import consolidate, encode, open_zarr

IDS = ["01000001", "01000002", "02000003", "03000004", "03000005"]
SERIES = {
    "precipitation": "mm d-1",
    "temperature_min": "degC",
    "temperature_max": "degC",
    "shortwave": "W m-2",
    "vapour_pressure": "Pa",
    "daylength": "s",
    "discharge": "m3 s-1",
}


def write_store(path: Path, num_days: int = 800, chunk_basins: int = 2) -> Path:
    """Five basins of random weather from 2000-01-01 on."""
    rng = np.random.default_rng(0)
    size = (len(IDS), num_days)
    day = np.arange(num_days)
    mean = 8 + 12 * np.sin(2 * np.pi * (day - 100) / 365.25) + rng.normal(0, 3, size)
    values = {
        "precipitation": rng.gamma(0.4, 8, size),
        "temperature_min": mean - 5,
        "temperature_max": mean + 5,
        "shortwave": rng.uniform(50, 300, size),
        "vapour_pressure": rng.uniform(300, 1500, size),
        "daylength": rng.uniform(3e4, 5e4, size),
        "discharge": rng.gamma(2, 3, size),
    }
    values["discharge"][:, ::50] = np.nan
    series = {
        n: (("basin", "time"), v.astype("f4"), {"units": SERIES[n]}) for n, v in values.items()
    }
    static = {
        "area": [100.0, 200.0, 300.0, 400.0, 500.0],
        "elevation": [10.0, 500.0, 900.0, 300.0, 50.0],
        "latitude": [40.0, 41.0, 42.0, 43.0, 44.0],
        "longitude": [-80.0, -81.0, -82.0, -83.0, -84.0],
        "aridity": [0.5, 0.7, np.nan, 1.2, 0.9],
        "geol_1st_class": np.array(["a", "c", "b", "a", "c"], dtype=object),
        "huc_02": np.array([basin[:2] for basin in IDS], dtype=object),
    }
    coords = {
        "basin": np.array(IDS, dtype=object),
        "time": np.datetime64("2000-01-01", "ns") + day * np.timedelta64(1, "D"),
    }
    store = xr.Dataset(
        series | {n: ("basin", v) for n, v in static.items()},
        coords,
        {"format_version": FORMAT_VERSION},
    )
    encoding = encode(store, 2 * chunk_basins, chunk_basins, 400)
    store.to_zarr(path, zarr_format=3, consolidated=False, encoding=encoding)
    consolidate(path)
    return path


def experiment(**sections: Any) -> Experiment:
    """Small settings; `sections` replace whole sections of the defaults here."""
    content: dict[str, Any] = {
        "data": {
            "attributes": ["aridity", "geol_1st_class"],
            "split": {
                "kind": "temporal",
                "train": {"start": "2000-01-01", "end": "2001-03-31"},
                "test": {"start": "2001-04-01", "end": "2002-03-10"},
                "frac_holdout": 0.2,
            },
        },
        "model": {
            "phy": {"name": "hbv_1_0", "dynamic": ["BETA"]},
            "nn": {"name": "lstm", "hidden_size": 4, "dropout": 0.1},
            "num_components": 2,
        },
        "train": {
            "epochs": 2, "steps_per_epoch": 2, "batch_size": 3, "window": 20, "warmup": 10,
        },
    }  # fmt: skip
    return parse(Experiment, content | sections, "test")


def write_preprocessed(experiment: Experiment, store: Path, out: Path) -> Path:
    """Preprocess in this process."""
    data = experiment.data
    split = build_split(experiment, IDS, open_zarr(store))
    preprocess(
        store, out, basins=IDS, splits=split, forcings=data.forcings,
        attributes=data.attributes, log_forcings=data.log_forcings, workers=0,
    )  # fmt: skip
    return out
