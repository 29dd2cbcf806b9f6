"""Configuration -> the reader of raw data: which dataset, and where its weather comes from."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd

from dmg.config import Data, Gridded, SpatialInterpolation
from dmg.data.network import Network, read_network
from dmg.data.sources import Source, nhm
from dmg.data.sources.camels_us import CamelsUs
from dmg.data.sources.units import Units, read_attributes
from dmg.data.weather import Weather
from dmg.data.weather.gridded import GriddedWeather, GridVariable
from dmg.data.weather.interpolation import InterpolatedWeather


def open_reader(data: Data, tree: Path, stores: Path) -> Source:
    """Open the raw data under `tree` as the configuration says.

    Parameters
    ----------
    data
        Configuration of the data.
    tree
        Folder of the raw dataset.
    stores
        Folder of the stores, one of which may hold the weather.
    """
    if data.source == "camels_us":
        return CamelsUs(tree, data.product)
    network = read_network(data.source, tree)
    attributes = {
        "nhm": partial(nhm.read_attributes, tree, network.unit_id),
        "synthetic_network": partial(read_attributes, tree / "attributes.csv", network.unit_id),
    }.get(data.source, partial(pd.DataFrame, index=network.unit_id))
    return Units(network, _weather(data, network, stores), attributes, str(tree))


def _weather(data: Data, network: Network, stores: Path) -> Weather:
    """Open the weather at the units of a network."""
    forcing = data.forcing
    period = (forcing.period.start, forcing.period.end) if forcing and forcing.period else None
    match forcing:
        case SpatialInterpolation():
            return InterpolatedWeather(
                stores / f"{forcing.store}.zarr",
                network.unit_latitude,
                network.unit_longitude,
                network.unit_elevation,
                variables=forcing.variables,
                neighbours=forcing.neighbours,
                power=forcing.power,
                lapse_rate=forcing.lapse_rate,
                period=period,
            )
        case Gridded():
            return GriddedWeather(
                forcing.path,
                network.unit_id,
                network.unit_latitude,
                network.unit_longitude,
                variables={n: GridVariable(**v.model_dump()) for n, v in forcing.variables.items()},
                axes=(forcing.latitude, forcing.longitude),
                polygons=forcing.polygons,
                period=period,
                cache=stores / f"{data.store_name}.weights",
            )
        case None:
            raise AssertionError("the configuration requires a forcing")
