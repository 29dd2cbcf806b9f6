"""Climate indices of places whose weather is known, for networks that read attributes.

References
----------
Addor et al. 2017, Hydrology and Earth System Sciences 21, doi:10.5194/hess-21-5293-2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

BLOCK = 256
"""Basins in memory at once."""

CLIMATE = {
    "p_mean": ("mm d-1", "mean precipitation"),
    "pet_mean": ("mm d-1", "mean potential evapotranspiration"),
    "aridity": ("1", "pet_mean / p_mean"),
    "frac_snow": ("1", "fraction of precipitation on days below 0 degC"),
    "high_prec_freq": ("d yr-1", "days with at least five times the mean precipitation"),
    "low_prec_freq": ("d yr-1", "days with less than 1 mm of precipitation"),
}
"""Unit and meaning of each index; names are those of CAMELS."""

DRIEST = 1e-3
"""Mean precipitation that aridity is at least divided by [mm d-1]."""


def climate_indices(
    precipitation: NDArray[Any], temperature: NDArray[Any], pet: NDArray[Any]
) -> dict[str, NDArray[np.float64]]:
    """Give the indices of `CLIMATE`, `[B]` each, from series `[B, T]`.

    Parameters
    ----------
    precipitation, pet
        [mm d-1].
    temperature
        Daily mean [degC].
    """
    rain = precipitation.astype(np.float64)
    p_mean, pet_mean = rain.mean(1), pet.astype(np.float64).mean(1)
    total = np.maximum(rain.sum(1), DRIEST)
    heavy = (rain >= 5 * p_mean[:, None]) & (rain > 0)
    return {
        "p_mean": p_mean,
        "pet_mean": pet_mean,
        "aridity": pet_mean / np.maximum(p_mean, DRIEST),
        "frac_snow": np.where(temperature < 0, rain, 0).sum(1) / total,
        "high_prec_freq": 365.25 * heavy.mean(1),
        "low_prec_freq": 365.25 * (rain < 1).mean(1),
    }


def training_years(splits: pd.DataFrame) -> slice:
    """Days from the first to the last of any training."""
    train = splits[splits["role"] == "train"]
    return slice(train["start"].min(), train["end"].max())


def climate_of(
    weather: xr.Dataset, derived: xr.Dataset, basins: Sequence[str], days: slice
) -> pd.DataFrame:
    """Climate indices of some basins, a row each.

    Parameters
    ----------
    weather, derived
        Store with precipitation, and what is derived from it; dims `(basin, time)`, same days.
    basins
        Basins in order.
    days
        Days that count, as a slice of dates.
    """
    blocks = []
    for first in range(0, len(basins), BLOCK):
        some = list(basins[first : first + BLOCK])
        rain = weather["precipitation"].sel(basin=some, time=days).to_numpy()
        other = derived[["temperature", "pet"]].sel(basin=some, time=days)
        found = climate_indices(rain, other["temperature"].to_numpy(), other["pet"].to_numpy())
        blocks.append(pd.DataFrame(found, index=some))
    return pd.concat(blocks)
