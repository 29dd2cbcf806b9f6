"""Units of a river network, with weather from elsewhere: from basins around them, or from a grid.

Rows follow the network's order, in which everything upstream of a reach is one contiguous run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dmg.data.basins import match_basins
from dmg.data.network import Network
from dmg.data.sources import Block
from dmg.data.weather import Weather

Days = NDArray[np.datetime64]


class Units:
    """The units of a network as the rows of a store.

    Parameters
    ----------
    network
        Units and the reaches that they drain to.
    weather
        Series at the network's units, in its order.
    attributes
        Reads the network's own static attributes, a row per unit; units and names in `attrs`.
    origin
        Where the network lies, for messages.

    Raises
    ------
    ValueError
        If a unit has no area, or no place on the map.
    """

    def __init__(
        self,
        network: Network,
        weather: Weather,
        attributes: Callable[[], pd.DataFrame],
        origin: str,
    ) -> None:
        require_sound_units(network, origin)
        self.network, self.weather, self.origin = network, weather, origin
        self.about = dict(weather.about)
        self.variables = weather.variables
        self._read_attributes = attributes
        self._row = {unit: row for row, unit in enumerate(network.unit_id.tolist())}

    def choose(self, wanted: Sequence[str] | None) -> list[str]:
        """Ids of the wanted units, or of all, in the network's order."""
        known: list[str] = self.network.unit_id.tolist()
        if wanted is None:
            return known
        found = set(match_basins(wanted, known, self.origin))
        return [unit for unit in known if unit in found]

    def span(self, basins: Sequence[str]) -> tuple[np.datetime64, np.datetime64]:
        """Days of the weather."""
        return self.weather.span()

    def fingerprints(self, basins: Sequence[str]) -> list[str]:
        """Hash the weather's origin with each unit's place."""
        origin = self.weather.fingerprint()
        places = np.stack([self.network.unit_latitude, self.network.unit_longitude,
                           self.network.unit_elevation], 1)[self._rows(basins)]  # fmt: skip
        return [hashlib.sha256(origin.encode() + p.tobytes()).hexdigest() for p in places]

    def blocks(self, basins: Sequence[str], days: Days) -> Iterator[tuple[str, Block]]:
        """Give each variable of some units `[B, T]`, one after another."""
        yield from self.weather.blocks(self._rows(basins), days)

    def peak_mb(self, num_basins: int, num_days: int) -> float:
        """Give what the weather holds, and one more block."""
        return self.weather.held_mb + 4e-6 * num_basins * num_days

    def attributes(self, basins: Sequence[str]) -> pd.DataFrame:
        """Area of the units and of all upstream, place, and the network's own attributes."""
        network, rows = self.network, self._rows(basins)
        reach = network.unit_reach
        upstream = np.where(reach < 0, network.unit_area, network.area[reach])
        own = pd.DataFrame(
            {
                "area": upstream,
                "unit_area": network.unit_area,
                "elevation": network.unit_elevation,
                "latitude": network.unit_latitude,
                "longitude": network.unit_longitude,
            },
            index=network.unit_id,
        )
        others = self._read_attributes()
        frame = own.join(others).iloc[rows]
        frame.attrs = {"units": {}, "long_names": {}} | others.attrs
        return frame

    def _rows(self, basins: Sequence[str]) -> NDArray[np.int64]:
        return np.array([self._row[basin] for basin in basins], np.int64)


def require_sound_units(network: Network, origin: str) -> None:
    """Raise `ValueError` for units without area or place, with their ids."""
    _require_each(
        network, np.logical_not(network.unit_area > 0), f"{origin}: expected units with an area > 0"
    )
    places = (network.unit_latitude, network.unit_longitude, network.unit_elevation)
    lost = np.logical_not(np.isfinite(np.stack(places)).all(axis=0))
    _require_each(network, lost, f"{origin}: expected units with latitude, longitude and elevation")


def _require_each(network: Network, wrong: NDArray[np.bool_], expected: str) -> None:
    if wrong.any():
        some = ", ".join(network.unit_id[wrong][:5].tolist())
        raise ValueError(
            f"{expected}, found {wrong.sum()} without: {some}; correct them or leave them out of"
            " the network"
        )


def read_attributes(path: Path, units: NDArray[np.str_]) -> pd.DataFrame:
    """Read a table of attributes, CSV with ids in the first column; none if there is no file."""
    if not path.is_file():
        return pd.DataFrame(index=units)
    table = pd.read_csv(path, index_col=0, dtype={0: str}).reindex(units)
    table.attrs = {"units": {}, "long_names": {}}
    return table
