"""A small river network with weather of its units and flow at its gauges, written by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from dmg.config import Experiment, parse
from dmg.data.drainage import drainage
from dmg.data.network import Network, generate
from dmg.data.store import FORMAT_VERSION
from dmg.data.zarrs import consolidate, encode

NUM_DAYS = 500
FORCINGS = ("precipitation", "temperature", "pet")
ATTRIBUTES = ("slope_mean", "area", "aridity")


def network() -> Network:
    """Sixty reaches with a unit each and twelve gauges, some of them nested."""
    return generate(60, 3, num_gauges=12)


def write_units(path: Path, whole: Network, **changed: np.ndarray) -> Path:
    """Wet weather of every unit from 2000-01-01 on: flow, and gradients, after a few days.

    `changed` series replace the random ones.
    """
    rng = np.random.default_rng(1)
    size = (whole.num_units, NUM_DAYS)
    mean = 8 + 10 * np.sin(2 * np.pi * np.arange(NUM_DAYS) / 365.25) + rng.normal(0, 3, size)
    series = {
        "precipitation": ("mm d-1", rng.gamma(0.5, 30, size)),
        "temperature_min": ("degC", mean - 5),
        "temperature_max": ("degC", mean + 5),
    }
    static = {
        "area": whole.area[whole.unit_reach],
        "unit_area": whole.unit_area,
        "elevation": whole.unit_elevation,
        "latitude": whole.unit_latitude,
        "slope_mean": whole.slope[whole.unit_reach],
    }
    units = {name: (unit, changed.get(name, values)) for name, (unit, values) in series.items()}
    return _write(path, whole.unit_id, units, static)


def write_gauges(path: Path, whole: Network, **changed: np.ndarray) -> Path:
    """Store of the gauges: flow, and weather that nobody reads."""
    rng = np.random.default_rng(2)
    size = (whole.num_gauges, NUM_DAYS)
    area = whole.area[whole.gauge_reach]
    series = {
        "precipitation": ("mm d-1", np.zeros(size)),
        "temperature_min": ("degC", np.zeros(size)),
        "temperature_max": ("degC", np.ones(size)),
        "discharge": ("m3 s-1", rng.gamma(2, 1, size) * area[:, None] / 86.4),
    }
    static = {
        "area": area,
        "latitude": np.full(whole.num_gauges, 40.0),
        "longitude": np.full(whole.num_gauges, -90.0),
    }
    gauges = {name: (unit, changed.get(name, values)) for name, (unit, values) in series.items()}
    return _write(path, whole.gauge_id, gauges, static)


def _write(path: Path, ids: np.ndarray, series: dict[str, Any], static: dict[str, Any]) -> Path:
    days = np.datetime64("2000-01-01", "ns") + np.arange(NUM_DAYS) * np.timedelta64(1, "D")
    variables = {
        n: (("basin", "time"), values.astype("f4"), {"units": unit})
        for n, (unit, values) in series.items()
    }
    store = xr.Dataset(
        variables | {n: ("basin", values) for n, values in static.items()},
        {"basin": ids.astype(object), "time": days},
        {"format_version": FORMAT_VERSION},
    )
    encoding = encode(store, 16, 8, 200)
    store.to_zarr(path, zarr_format=3, consolidated=False, encoding=encoding)
    consolidate(path)
    return path


def experiment(**sections: Any) -> Experiment:
    """Small settings; `sections` are merged into the defaults here, key by key."""
    content: dict[str, Any] = {
        "data": {
            "source": "nhm",
            "dataset": "small",
            "forcing": {"name": "spatial_interpolation", "store": "gauges"},
            "gauges": {"store": "gauges"},
            "attributes": list(ATTRIBUTES),
            "split": {
                "kind": "temporal",
                "train": {"start": "2000-01-01", "end": "2000-10-31"},
                "test": {"start": "2000-11-01", "end": "2001-05-14"},
                "frac_holdout": 0.3,
            },
        },
        "model": {
            "phy": {"name": "hbv_2_0", "dynamic": ["BETA", "K0", "BETAET"]},
            "nn": {"name": "lstm_mlp", "hidden_size": 4, "mlp_hidden_sizes": [6]},
            "num_components": 2,
        },
        "train": {
            "epochs": 2, "steps_per_epoch": 3, "units_per_batch": 40, "window": 20, "warmup": 10,
        },
    }  # fmt: skip
    for name, section in sections.items():
        content[name] = content.get(name, {}) | section
    return parse(Experiment, content, "test")


def largest_gauge(whole: Network) -> str:
    """Id of the gauge with the most units upstream."""
    return str(whole.gauge_id[drainage(whole).num_units.argmax()])
