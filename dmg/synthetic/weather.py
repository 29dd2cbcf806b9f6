"""A seeded generator of daily weather, one independent series per basin.

Wet and dry spells follow a two-state Markov chain with gamma-distributed amounts, temperature an
annual cycle with autocorrelated anomalies (Richardson 1981, doi:10.1029/WR017i001p00182), and
radiation and humidity both. Values are rounded to the digits that the text files have, so that
whoever reads the files works with the very same weather.

Shape legend: B basins, T days.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dmg import pet

Floats = NDArray[np.float64]

PERSISTENCE = 0.3  # of wet and dry spells
MEMORY = 0.78  # of temperature anomalies from day to day
SPREAD = 0.75  # shape of the gamma distribution of daily amounts
PRECIPITATION_MAX = 200.0  # [mm d-1], as in the real files
SHORTWAVE_MAX = 800.0  # [W m-2]


def make_weather(
    basins: pd.DataFrame, days: pd.DatetimeIndex, rng: np.random.Generator
) -> dict[str, Floats]:
    """Draw the weather of all basins.

    Parameters
    ----------
    basins
        Table of `make_basins`.
    days
        Consecutive days.

    Returns
    -------
    dict
        `[B, T]` by canonical name: `daylength` [s], `precipitation` [mm d-1], `shortwave` (mean
        over daylight) [W m-2], `temperature_max`, `temperature_min` [degC], `vapour_pressure` [Pa].
    """
    season = 2 * np.pi * (days.day_of_year.to_numpy() - 200) / 365.25  # 0 in the warmest days
    precipitation = _precipitation(basins, season, rng)
    is_wet = precipitation > 0
    mean = _temperature(basins, season, is_wet, rng)
    half = _diurnal_range(basins, season, is_wet, rng) / 2
    light = _light(basins, days, is_wet, rng)
    low = mean - half
    saturation = 611 * np.exp(17.27 * low / (low + 237.3))
    humidity = np.clip(_column(basins, "wet") * 0.3 + 0.65 + 0.05 * is_wet, 0, 1)
    exact = light | {
        "precipitation": precipitation,
        "temperature_max": mean + half,
        "temperature_min": low,
        "vapour_pressure": saturation * humidity,
    }
    return {name: np.asarray(values).round(2) for name, values in sorted(exact.items())}


def _column(basins: pd.DataFrame, name: str) -> Floats:
    return basins[name].to_numpy(np.float64)[:, None]


def _precipitation(basins: pd.DataFrame, season: Floats, rng: np.random.Generator) -> Floats:
    wet, relief, east = (_column(basins, name) for name in ("wet", "relief", "east"))
    cycle = (0.7 * east - 0.4) * np.cos(season)  # the west has dry summers
    chance = np.clip((0.20 + 0.25 * wet) * (1 + cycle), 0.05, 0.8)
    amount = (1.5 + 3.6 * wet + 0.6 * relief) / (0.20 + 0.25 * wet)
    draws = rng.uniform(size=chance.shape)
    is_wet = np.empty(chance.shape, dtype=bool)
    state = draws[:, 0] < chance[:, 0]
    for day in range(chance.shape[1]):
        threshold = chance[:, day] * (1 - PERSISTENCE) + PERSISTENCE * state
        state = is_wet[:, day] = draws[:, day] < threshold
    depth = rng.gamma(SPREAD, size=chance.shape) * amount / SPREAD
    return np.where(is_wet, np.clip(depth, 0.01, PRECIPITATION_MAX), 0.0)


def _temperature(
    basins: pd.DataFrame, season: Floats, is_wet: NDArray[np.bool_], rng: np.random.Generator
) -> Floats:
    latitude, elevation = _column(basins, "gauge_lat"), _column(basins, "elev_mean")
    annual = 20.0 - 0.75 * (latitude - 31) - 0.0045 * elevation
    half_range = 6.5 + 0.25 * (latitude - 31) + 2.5 * _column(basins, "east")
    noise = rng.normal(size=is_wet.shape) * np.sqrt(1 - MEMORY**2)
    anomaly = np.empty(is_wet.shape)
    state = rng.normal(size=len(basins))
    for day in range(is_wet.shape[1]):
        state = anomaly[:, day] = MEMORY * state + noise[:, day]
    strength = 3.2 - 1.0 * np.cos(season)  # winters are more variable
    return annual + half_range * np.cos(season) + strength * anomaly - 1.0 * is_wet


def _diurnal_range(
    basins: pd.DataFrame, season: Floats, is_wet: NDArray[np.bool_], rng: np.random.Generator
) -> Floats:
    usual = 10.0 + 5.0 * (1 - _column(basins, "wet")) + 1.5 * np.cos(season)
    noise = np.exp(0.2 * rng.normal(size=is_wet.shape))
    return np.clip(usual * np.where(is_wet, 0.7, 1.05) * noise, 1.0, 30.0)


def _light(
    basins: pd.DataFrame,
    days: pd.DatetimeIndex,
    is_wet: NDArray[np.bool_],
    rng: np.random.Generator,
) -> dict[str, Floats]:
    latitude, day = _column(basins, "gauge_lat"), days.day_of_year.to_numpy(np.float64)
    daylength = pet.day_length(latitude, day)
    power = pet.extraterrestrial_radiation(latitude, day) * 1e6 / daylength
    clearness = np.where(is_wet, 0.42, 0.68) + 0.07 * rng.normal(size=is_wet.shape)
    shortwave = np.clip(np.clip(clearness, 0.12, 0.78) * power, 0, SHORTWAVE_MAX)
    return {"daylength": daylength, "shortwave": shortwave}
