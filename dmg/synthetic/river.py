"""A twin experiment on a generated river network: units, gauges, and flow of a known model.

The gauges' basins have generated weather, which the units get by interpolation, as on a real
network; a known HBV makes runoff of each unit, whose mean by area is the flow at a gauge. The
gauges become a CAMELS-US tree, so that the same reader takes them; beside it lie the network and
the units' attributes. Rivers have no travel time here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from dmg.data.drainage import drainage
from dmg.data.network import Network
from dmg.data.network import generate as generate_network
from dmg.data.weather.interpolation import interpolate, weights
from dmg.files import atomic
from dmg.synthetic.basins import GRADIENTS, make_basins
from dmg.synthetic.signatures import climate, hydrology
from dmg.synthetic.tree import write_tree, write_truth
from dmg.synthetic.truth import hargreaves, make_parameters, simulate
from dmg.synthetic.twin import WARMUP, observe, simulated_days
from dmg.synthetic.weather import make_weather

Floats = NDArray[np.float64]

PLACE = ("gauge_lat", "gauge_lon", "area_gages2", "area_geospa_fabric")
NEIGHBOURS, POWER, LAPSE_RATE = 4, 2.0, -6.5  # as data.forcing has them by default


def generate(
    out: Path,
    *,
    num_reaches: int = 200,
    num_gauges: int = 16,
    start: dt.date = dt.date(2000, 10, 1),
    years: int = 6,
    noise: float = 0.05,
    frac_missing: float = 0.02,
    seed: int = 1,
) -> None:
    """Write a network, its units' attributes and a CAMELS-US tree of its gauges, with their truth.

    Parameters
    ----------
    out
        Folder to be made; replaced as a whole if it is there.
    num_reaches, num_gauges
        Size of the network, one unit a reach.
    start, years
        First day and length of the record.
    noise, frac_missing
        As in `dmg.synthetic.generate`.
    seed
        Seed of everything random.
    """
    streams = np.random.default_rng(seed).spawn(4)
    days = simulated_days(start, years)
    network = generate_network(num_reaches, seed, num_gauges=num_gauges)
    units = _units(network, streams[0])
    gauges, shares = _gauges(network, units, make_basins(num_gauges, streams[1]))
    network = replace(network, gauge_id=gauges.index.to_numpy(str))
    of_gauges = make_weather(gauges, days, streams[2])
    of_units = _interpolated(of_gauges, gauges, units)
    runoff = simulate(make_parameters(units), of_units, hargreaves(units, days, of_units))
    flow = (shares @ runoff)[:, WARMUP:]
    record = days[WARMUP:]
    of_gauges, of_units = _cut(of_gauges), _cut(of_units)
    observed = observe(flow, noise, frac_missing, streams[3])
    rain = of_gauges["precipitation"]
    gauges = gauges.assign(**_climate(gauges, record, of_gauges))
    gauges = gauges.assign(**hydrology(record, observed, rain))
    units = units.assign(**_climate(units, record, of_units))
    with atomic(out) as temporary:
        write_tree(temporary, gauges, record, of_gauges, observed)
        write_truth(temporary, make_parameters(gauges), record, flow)
        network.write(temporary / "network.zarr")
        known = [*GRADIENTS, *PLACE]  # the network has them, or nobody
        numbers = units.select_dtypes("number").drop(columns=known, errors="ignore")
        numbers.to_csv(temporary / "attributes.csv", index_label="unit_id")


def _units(network: Network, rng: np.random.Generator) -> pd.DataFrame:
    """Attributes of the units, at their places, a row per unit."""
    place = {
        "gauge_lat": network.unit_latitude,
        "gauge_lon": network.unit_longitude,
        "elev_mean": network.unit_elevation,
        "area_gages2": network.unit_area,
        "area_geospa_fabric": network.unit_area,
    }
    table = make_basins(network.num_units, rng).sample(frac=1, random_state=0)
    return table.set_axis(network.unit_id).assign(**place)


def _gauges(
    network: Network, units: pd.DataFrame, table: pd.DataFrame
) -> tuple[pd.DataFrame, csr_array]:
    """Attributes of the gauges' basins, and the share `[G, U]` of each unit in them by area."""
    found = drainage(network)
    inside = [np.arange(a, b) for a, b in zip(found.first, found.stop, strict=True)]
    columns = np.concatenate(inside)
    rows = np.repeat(np.arange(len(inside)), [len(units) for units in inside])
    area = network.unit_area[columns] / found.gauge_area[rows]
    shares = csr_array((area, (rows, columns)), (len(inside), network.num_units))
    numbers = units.select_dtypes("number")
    means = pd.DataFrame(shares @ numbers.to_numpy(), table.index, numbers.columns)
    means["area_gages2"] = means["area_geospa_fabric"] = found.gauge_area
    return table.assign(**means.round(5)), shares


def _interpolated(
    weather: Mapping[str, Floats], gauges: pd.DataFrame, units: pd.DataFrame
) -> dict[str, Floats]:
    """Weather of the units from that of the gauges, as `data.forcing` interpolates it."""
    here, there = (
        [table[name].to_numpy(np.float64) for name in ("gauge_lat", "gauge_lon")]
        for table in (gauges, units)
    )
    chosen = weights(here, there, NEIGHBOURS, POWER)
    lift = units["elev_mean"].to_numpy() - chosen @ gauges["elev_mean"].to_numpy()
    return {name: interpolate(name, chosen, v, lift, LAPSE_RATE) for name, v in weather.items()}


def _cut(weather: Mapping[str, Floats]) -> dict[str, Floats]:
    return {name: series[:, WARMUP:] for name, series in weather.items()}


def _climate(
    table: pd.DataFrame, days: pd.DatetimeIndex, weather: Mapping[str, Floats]
) -> dict[str, Floats | list[str]]:
    mean = (weather["temperature_min"] + weather["temperature_max"]) / 2
    return climate(days, weather["precipitation"], mean, hargreaves(table, days, weather))
