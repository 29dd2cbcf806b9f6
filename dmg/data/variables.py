"""The canonical variables of a store: one name, one unit, one range each.

Names and units follow the CF conventions where those have a word. The range is what is physically
possible anywhere on Earth, not what is likely: values outside are reported, never changed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    """Unit, description and possible range of one variable."""

    unit: str
    long_name: str
    lower: float
    upper: float
    standard_name: str | None = None

    def attrs(self) -> dict[str, str]:
        """CF attributes of the variable in a file."""
        names = {"units": self.unit, "long_name": self.long_name}
        return names | ({"standard_name": self.standard_name} if self.standard_name else {})


DYNAMIC: dict[str, Variable] = {
    "precipitation": Variable(
        "mm d-1", "basin mean precipitation", 0, 2000, "lwe_precipitation_rate"
    ),
    "temperature_min": Variable("degC", "daily minimum air temperature", -90, 60),
    "temperature_max": Variable("degC", "daily maximum air temperature", -90, 60),
    "shortwave": Variable(
        "W m-2", "incoming shortwave radiation, mean over the daylight hours", 0, 1500
    ),
    "vapour_pressure": Variable(
        "Pa", "partial pressure of water vapour", 0, 10_000, "water_vapor_partial_pressure_in_air"
    ),
    "daylength": Variable("s", "duration of daylight", 0, 86_400),
    "discharge": Variable(
        "m3 s-1",
        "observed discharge at the gauge",
        0,
        500_000,
        "water_volume_transport_in_river_channel",
    ),
}

STATIC: dict[str, Variable] = {
    "area": Variable("km2", "drainage area", 0, 10_000_000),
    "unit_area": Variable("km2", "area of the unit alone", 0, 10_000_000),
    "elevation": Variable("m", "mean elevation", -430, 8850),
    "latitude": Variable("degrees_north", "latitude of the gauge or unit", -90, 90, "latitude"),
    "longitude": Variable("degrees_east", "longitude of the gauge or unit", -180, 180, "longitude"),
}

DERIVED: dict[str, Variable] = {
    "temperature": Variable(
        "degC", "mean of daily minimum and maximum air temperature", -90, 60, "air_temperature"
    ),
    "pet": Variable("mm d-1", "potential evapotranspiration", 0, 100),
    "streamflow": Variable("mm d-1", "observed discharge over drainage area", 0, 2000),
}
"""What an experiment computes from the variables of a store."""

CALENDAR: dict[str, Variable] = {"day_of_year": Variable("1", "day of the year, 1 to 366", 1, 366)}
"""What follows from the days themselves; no store holds it."""
