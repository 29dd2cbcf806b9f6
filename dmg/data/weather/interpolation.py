"""Weather between basins: inverse distance, and temperature by its lapse with elevation.

A unit has the mean of the nearest basins' series, weighted by 1 / distance ** power (Shepard 1968,
doi:10.1145/800186.810616); temperature is brought from each basin's mean elevation to the unit's.
This is interpolation of basin means: it has less relief, and less rain on high ground, than a grid
of observations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import KDTree

from dmg.data.sources import Block
from dmg.data.store import open_store
from dmg.data.weather.gaps import fill_gaps

EARTH_RADIUS = 6371.0  # km
NEAREST = 1.0  # km: a basin's centre that lies closer does not outweigh all others
TEMPERATURES = ("temperature", "temperature_min", "temperature_max")

Floats = NDArray[np.float64]
F = TypeVar("F", np.float32, np.float64)


class InterpolatedWeather:
    """Series of a store's basins, interpolated to other places.

    Parameters
    ----------
    store
        Store of basins with `latitude`, `longitude` (for CAMELS: of the gauge) and `elevation`.
    latitude, longitude, elevation
        Of the places `[U]` [degrees], [m].
    variables
        Series to interpolate.
    neighbours
        Nearest basins that a place has its weather from.
    power
        Exponent of the distance.
    lapse_rate
        Change of temperature with elevation [K km-1].
    period
        First and last day; none: all of the store's.
    """

    def __init__(
        self,
        store: Path,
        latitude: Floats,
        longitude: Floats,
        elevation: Floats,
        *,
        variables: Sequence[str],
        neighbours: int = 4,
        power: float = 2.0,
        lapse_rate: float = -6.5,
        period: tuple[Any, Any] | None = None,
    ) -> None:
        self._store = open_store(store)
        self._path = store
        self._require_variables(variables)
        self.variables = tuple(variables)
        self._days = _period(self._store, period, store)
        basins = [self._store[n].to_numpy() for n in ("latitude", "longitude", "elevation")]
        self._weights = weights(basins[:2], (latitude, longitude), neighbours, power)
        self._lift = elevation - self._weights @ basins[2]  # m above the basins' mean
        self._lapse_rate = lapse_rate
        self._series: dict[str, Block] = {}
        self.held_mb = 4e-6 * len(basins[0]) * len(self._days) * len(self.variables)
        self.about = {
            "forcing": "spatial_interpolation",
            "forcing_store": store.stem,
            "forcing_neighbours": str(neighbours),
            "forcing_power": f"{power:g}",
            "forcing_lapse_rate": f"{lapse_rate:g} K km-1",
            "comment": f"weather interpolated from basin means of {store.stem}, not observed",
        }

    def span(self) -> tuple[np.datetime64, np.datetime64]:
        """First and last day."""
        return self._days[0], self._days[-1]

    def fingerprint(self) -> str:
        """Hash the plan of the basins' store and the settings."""
        parts = [self._store.attrs.get("plan"), self.about, self.variables, self._days[[0, -1]]]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def blocks(
        self, rows: NDArray[np.int64], days: NDArray[np.datetime64]
    ) -> Iterator[tuple[str, Block]]:
        """Give each variable at some of the places `[B, T]`: one sparse product each."""
        chosen = self._weights[rows].astype(np.float32)
        for name in self.variables:
            basins = self._basins(name, days)
            yield name, interpolate(name, chosen, basins, self._lift[rows], self._lapse_rate)

    def _basins(self, name: str, days: NDArray[np.datetime64]) -> Block:
        """Series of all basins, complete; read once."""
        if name not in self._series:
            first = int(np.searchsorted(self._store["time"].values, days[0]))
            values = self._store[name][:, first : first + len(days)].to_numpy()
            ids = self._store["basin"].values
            self._series[name] = fill_gaps(values, f"{self._path}: {name}", ids, days)
        assert self._series[name].shape[1] == len(days)
        return self._series[name]

    def _require_variables(self, variables: Sequence[str]) -> None:
        known = {str(n) for n, v in self._store.items() if v.dims == ("basin", "time")}
        for name in variables:
            if name not in known:
                raise ValueError(
                    f"data.forcing.variables: expected variables of {self._path}, found '{name}';"
                    f" there are {', '.join(sorted(known))}"
                )


def interpolate(
    name: str, weights: csr_array, basins: NDArray[F], lift: Floats, lapse_rate: float
) -> NDArray[F]:
    """Series `[U, T]` of a variable at places, from those of basins `[B, T]`.

    Parameters
    ----------
    name
        Variable; temperatures change with elevation.
    weights
        As `weights` gives them, `[U, B]`.
    lift
        Height of the places above the weighted basins `[U]` [m].
    lapse_rate
        Change of temperature with elevation [K km-1].
    """
    values: NDArray[F] = weights @ basins
    if name in TEMPERATURES:
        values += (lapse_rate * lift / 1000).astype(values.dtype)[:, None]
    return values


def weights(
    basins: Sequence[Floats], places: Sequence[Floats], neighbours: int, power: float
) -> csr_array:
    """Weights `[U, B]` of basins at places, rows that sum to 1; both by latitude and longitude."""
    count = min(neighbours, len(basins[0]))
    chord, nearest = KDTree(_on_sphere(*basins)).query(
        _on_sphere(*places), k=[*range(1, count + 1)]
    )
    distance = 2 * EARTH_RADIUS * np.arcsin(np.minimum(chord / 2, 1))  # haversine
    raw = np.maximum(distance, NEAREST) ** -power
    values = raw / raw.sum(1, keepdims=True)
    rows = np.arange(len(values) + 1) * count
    return csr_array((values.ravel(), nearest.ravel(), rows), (len(values), len(basins[0])))


def _on_sphere(latitude: Floats, longitude: Floats) -> Floats:
    """Points of the unit sphere, whose straight distances order as those on the ground do."""
    phi, theta = np.radians(latitude), np.radians(longitude)
    return np.stack([np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)], 1)


def _period(
    store: xr.Dataset, period: tuple[Any, Any] | None, path: Path
) -> NDArray[np.datetime64]:
    """Days to interpolate, all of them in the store."""
    days = store["time"].values.astype("datetime64[D]")
    if period is None:
        return np.asarray(days)
    first, last = (np.datetime64(day, "D") for day in period)
    if first < days[0] or last > days[-1]:
        raise ValueError(
            f"data.forcing.period: expected days within {days[0]}..{days[-1]} of {path}, found"
            f" {first}..{last}; change the period"
        )
    return np.asarray(days[(days >= first) & (days <= last)])
