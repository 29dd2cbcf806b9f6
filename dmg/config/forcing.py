"""Weather of units that have none of their own: from basins around them, or from a grid."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from dmg.config.base import Period, Section

ForcingVariable = Literal[
    "precipitation",
    "temperature_min",
    "temperature_max",
    "shortwave",
    "vapour_pressure",
    "daylength",
]
"""Variables of a store that weather has."""


class SpatialInterpolation(Section):
    """Weather of basins with data, interpolated to the centres of units."""

    name: Literal["spatial_interpolation"] = "spatial_interpolation"
    store: str = Field(description="Name of the store of the basins: `stores/<store>.zarr`")
    variables: tuple[ForcingVariable, ...] = Field(
        ("precipitation", "temperature_min", "temperature_max"),
        min_length=1,
        description="Variables to interpolate",
    )
    neighbours: int = Field(4, ge=1, description="Nearest basins that a unit is interpolated from")
    power: float = Field(
        2.0, ge=0, description="Exponent of distance: weights are 1 / distance ** power"
    )
    lapse_rate: float = Field(
        -6.5, description="Change of temperature with elevation [K km-1]; 0: none"
    )
    period: Period | None = Field(None, description="Days to interpolate; none: all of the basins'")


class GridVariable(Section):
    """One variable of a grid, and how it becomes ours: `factor * value + offset`, day by day."""

    name: str = Field(description="Name in the grid's files")
    factor: float = Field(1.0, description="What values are multiplied by")
    offset: float = Field(0.0, description="What is added then, in our unit")
    daily: Literal["mean", "sum", "min", "max"] = Field(
        "mean", description="How steps of less than a day become a day"
    )


class Gridded(Section):
    """Weather of a latitude-longitude grid, as the mean over each unit."""

    name: Literal["gridded"] = "gridded"
    path: Path = Field(description="NetCDF file or Zarr folder of the grid")
    variables: dict[ForcingVariable, GridVariable] = Field(
        min_length=1, description="The grid's variable behind each of ours"
    )
    latitude: str = Field("latitude", description="Name of the grid's latitudes [degrees]")
    longitude: str = Field("longitude", description="Name of the grid's longitudes [degrees]")
    polygons: Path | None = Field(
        None,
        description="GeoJSON file of the units' outlines, with `id` or a property `unit_id`;"
        " none: a unit has the weather of the cell that its centre lies in",
    )
    period: Period | None = Field(None, description="Days to read; none: all of the grid's")


Forcing = Annotated[SpatialInterpolation | Gridded, Field(discriminator="name")]


class SyntheticNetwork(Section):
    """A generated river network with gauges, and the flow that a known model gives there."""

    num_reaches: int = Field(200, ge=10, description="Reaches of the generated network")
    num_gauges: int = Field(16, ge=4, description="Gauges on it")
    start: dt.date = Field(dt.date(2000, 10, 1), description="First generated day")
    years: int = Field(6, ge=2, description="Length of the generated record [years]")
    noise: float = Field(0.05, ge=0, lt=1, description="Relative error of the observed flow [1]")
    frac_missing: float = Field(0.02, ge=0, lt=1, description="Fraction of missing flow days [1]")
    seed: int = Field(1, description="Seed of the generator")


class Layout(Section):
    """How a store lies on the disk: a shard is a file, a chunk is what is unpacked at once."""

    shard_basins: int = Field(64, ge=1, description="Basins of a shard, a multiple of a chunk's")
    chunk_basins: int = Field(8, ge=1, description="Basins of a chunk")
    chunk_days: int = Field(1461, ge=1, description="Days of a chunk [d]")

    @model_validator(mode="after")
    def _whole_chunks(self) -> Layout:
        if self.shard_basins % self.chunk_basins:
            raise ValueError(
                f"shard_basins: expected a multiple of chunk_basins ({self.chunk_basins}), found"
                f" {self.shard_basins}; change one of them"
            )
        return self
