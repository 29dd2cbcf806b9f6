"""The river network: reaches that flow into each other, units that feed them, gauges on them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from dmg.data.network.graph import OUTLET, Index, Real, accumulate, along_path
from dmg.data.zarrs import consolidate, open_zarr
from dmg.files import atomic

Text = NDArray[np.str_]

VARIABLES = {  # dimension, unit, long name
    "reach_id": ("reach", None, "identifier of the reach"),
    "downstream": ("reach", "1", "position of the reach downstream, -1 for an outlet"),
    "length": ("reach", "m", "length of the reach"),
    "slope": ("reach", "1", "slope of the bed"),
    "area": ("reach", "km2", "drainage area at the lower end of the reach, everything upstream"),
    "latitude": ("reach", "degrees_north", "latitude of the reach"),
    "longitude": ("reach", "degrees_east", "longitude of the reach"),
    "unit_id": ("unit", None, "identifier of the unit"),
    "unit_reach": ("unit", "1", "position of the reach that the unit drains to, -1 for none"),
    "unit_area": ("unit", "km2", "area of the unit alone"),
    "unit_latitude": ("unit", "degrees_north", "latitude of the unit's centroid"),
    "unit_longitude": ("unit", "degrees_east", "longitude of the unit's centroid"),
    "unit_elevation": ("unit", "m", "mean elevation of the unit"),
    "gauge_id": ("gauge", None, "identifier of the gauge"),
    "gauge_reach": ("gauge", "1", "position of the reach at whose lower end the gauge lies"),
    "gauge_area": ("gauge", "km2", "drainage area that the gauge's operator states"),
}
CHUNK = 1 << 18  # values of a chunk


@dataclass(frozen=True, eq=False)
class Network:
    """Reaches, the units that drain to them and the gauges on them; positions are array indices.

    Reaches stand upstream before downstream and each sub-network is one contiguous run that ends
    with its lowest reach: everything upstream of reach `i` is `first_upstream[i]..i`. Units stand
    in the order of their reaches, those off the network last; so the units upstream of a gauge are
    one contiguous run of rows too, in this network and in every store that follows its order.
    `assemble` brings tables in any order into this one.

    Attributes
    ----------
    reach_id
        `[N]`, unique.
    downstream
        `[N]`, position of the reach downstream; -1 for an outlet.
    length, slope
        `[N]`, of the channel [m], [1].
    area
        `[N]`, everything upstream of the lower end of the reach [km2].
    latitude, longitude
        `[N]`, a point on or near the reach [degrees]; NaN where unknown.
    unit_id
        `[U]`, unique.
    unit_reach
        `[U]`, position of the reach that the unit drains to; -1 off the network.
    unit_area
        `[U]`, of the unit alone [km2].
    unit_latitude, unit_longitude, unit_elevation
        `[U]`, of the unit's centroid [degrees], mean [m]; NaN where unknown.
    gauge_id
        `[G]`, unique.
    gauge_reach
        `[G]`, position of the reach at whose lower end the gauge lies.
    gauge_area
        `[G]`, drainage area that the gauge's operator states [km2]; NaN where unknown.
    """

    reach_id: Text
    downstream: Index
    length: Real
    slope: Real
    area: Real
    latitude: Real
    longitude: Real
    unit_id: Text
    unit_reach: Index
    unit_area: Real
    unit_latitude: Real
    unit_longitude: Real
    unit_elevation: Real
    gauge_id: Text
    gauge_reach: Index
    gauge_area: Real

    def __post_init__(self) -> None:
        _check_lengths(self)
        _check_positions(self)
        _check_order(self)

    @property
    def num_reaches(self) -> int:
        """Number of reaches N."""
        return len(self.reach_id)

    @property
    def num_units(self) -> int:
        """Number of units U."""
        return len(self.unit_id)

    @property
    def num_gauges(self) -> int:
        """Number of gauges G."""
        return len(self.gauge_id)

    @cached_property
    def first_upstream(self) -> Index:
        """`[N]`, position of the first reach of everything upstream of a reach."""
        return _first_upstream(self.downstream)

    @cached_property
    def area_of_units(self) -> Real:
        """`[N]`, area of all units upstream of the lower end of a reach [km2], as they add up."""
        on = self.unit_reach != OUTLET
        own = np.bincount(self.unit_reach[on], self.unit_area[on], self.num_reaches)
        return accumulate(self.downstream, own.astype(np.float64))

    @cached_property
    def way_out(self) -> Real:
        """`[N]`, length of the channels from the upper end of a reach to its outlet [m]."""
        return along_path(self.downstream, self.length)

    def positions(self, reach_ids: Text | list[str]) -> Index:
        """Positions of reaches by their ids; an unknown one is an error that names it."""
        found = pd.Index(self.reach_id).get_indexer(pd.Index(reach_ids))
        if (found < 0).any():
            raise ValueError(
                f"expected reaches of the network, found {reach_ids[int((found < 0).argmax())]!r}"
            )
        return np.asarray(found, np.int64)

    def write(self, path: str | Path, **attributes: str) -> None:
        """Write a Zarr file, whole or not at all; `attributes` are added to those of the file."""
        dataset = self.to_dataset().assign_attrs(attributes)
        encoding = {n: {"chunks": (min(v.size, CHUNK) or 1,)} for n, v in dataset.variables.items()}
        with atomic(path) as temporary:
            dataset.to_zarr(temporary, encoding=encoding, consolidated=False, zarr_format=3)
            consolidate(temporary)

    @classmethod
    def read(cls, path: str | Path) -> Network:
        """Read what `write` wrote."""
        if not (Path(path) / "zarr.json").is_file():
            raise FileNotFoundError(
                f"{path}: expected a river network, found none; run `dmg data network`"
            )
        dataset = open_zarr(Path(path))
        missing = [f"'{name}'" for name in VARIABLES if name not in dataset.variables]
        if missing:
            raise ValueError(
                f"{path}: expected a river network, found a file without {', '.join(missing)};"
                " run `dmg data network`"
            )
        return cls(**{name: _plain(dataset[name].to_numpy()) for name in VARIABLES})

    def to_dataset(self) -> xr.Dataset:
        """Give an xarray Dataset with CF attributes; dimensions reach, unit and gauge."""
        variables = {
            name: (dim, _stored(getattr(self, name)), _attrs(unit, long_name))
            for name, (dim, unit, long_name) in VARIABLES.items()
        }
        attrs = {"Conventions": "CF-1.11", "title": "river network", "format_version": 1}
        return xr.Dataset(variables, attrs=attrs).set_coords(["reach_id", "unit_id", "gauge_id"])


def _attrs(unit: str | None, long_name: str) -> dict[str, str]:
    return {"long_name": long_name} | ({"units": unit} if unit else {})


def _stored(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(object) if values.dtype.kind == "U" else values


def _plain(values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(str) if values.dtype == object else values


def _first_upstream(downstream: Index) -> Index:
    size = accumulate(downstream, np.ones(len(downstream))).astype(np.int64)
    return np.arange(len(size)) - size + 1


def _check_lengths(network: Network) -> None:
    expected = {
        "reach": network.num_reaches,
        "unit": network.num_units,
        "gauge": network.num_gauges,
    }
    for field in fields(network):
        dim, found = VARIABLES[field.name][0], getattr(network, field.name).shape
        if found != (expected[dim],):
            raise ValueError(f"{field.name}: expected shape ({expected[dim]},), found {found}")


def _check_positions(network: Network) -> None:
    for name, lowest in (("downstream", OUTLET), ("unit_reach", OUTLET), ("gauge_reach", 0)):
        values = getattr(network, name)
        wrong = (values < lowest) | (values >= network.num_reaches)
        if wrong.any():
            raise ValueError(
                f"{name}: expected positions {lowest}..{network.num_reaches - 1},"
                f" found {values[wrong][0]}"
            )


def _check_order(network: Network) -> None:
    """Check that every sub-network is a contiguous run that ends with its lowest reach."""
    down, here = network.downstream, np.arange(network.num_reaches)
    inner = down != OUTLET
    if (down[inner] <= here[inner]).any() or (
        network.first_upstream[inner] < network.first_upstream[down[inner]]
    ).any():
        raise ValueError(
            "expected reaches upstream before downstream and each sub-network in one run,"
            " found another order; use dmg.data.network.assemble"
        )
    reach = np.where(network.unit_reach == OUTLET, network.num_reaches, network.unit_reach)
    if (np.diff(reach) < 0).any():
        raise ValueError(
            "expected units in the order of their reaches, found another order;"
            " use dmg.data.network.assemble"
        )
