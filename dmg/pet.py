"""Potential evapotranspiration, for NumPy, Dask and PyTorch arrays alike.

One implementation serves the preprocessing of stores and differentiable use. Arguments broadcast
against each other: with `(basin, time)` arrays give latitude and elevation as `[B, 1]` and the day
of the year as `[T]`; with `[T, B]` tensors, `[B]` and `[T, 1]`.

References
----------
Hargreaves and Samani 1985, Appl. Eng. Agric. 1(2), 96-99, doi:10.13031/2013.26773.
Priestley and Taylor 1972, Mon. Weather Rev. 100, 81-92.
Hamon 1963, IAHS Publ. 63, 52-62.
Monteith 1965, Symp. Soc. Exp. Biol. 19, 205-234.
Allen et al. 1998, FAO Irrigation and Drainage Paper 56 (Penman-Monteith, radiation terms).
ASCE-EWRI 2005, The ASCE standardized reference evapotranspiration equation (cloudiness).
"""

from __future__ import annotations

from math import pi
from typing import Any

from array_api_compat import array_namespace

Array = Any  # an array of NumPy, Dask or PyTorch

SECONDS_PER_DAY = 86400.0
MJ_PER_WATT_DAY = 0.0864
SOLAR_CONSTANT = 0.082  # [MJ m-2 min-1]
MM_PER_MJ = 0.408  # evaporated depth per energy, the inverse of the latent heat [mm m2 MJ-1]
STEFAN_BOLTZMANN = 4.903e-9  # [MJ K-4 m-2 d-1]
RANGE_LINEAR = 1e-4
"""Temperature range below which its root is a straight line [degC].

The slope of a root grows without bound at zero, where it would turn every gradient to NaN. Files
give temperatures to 0.01 degC, so that no value differs but the one at zero, which stays zero.
"""
VAPOUR_MIN = 1e-4
"""Vapour pressure below which longwave loss stays the same, that of air at -75 degC [kPa].

Its root, too, would have no slope at zero.
"""


def hargreaves(temperature_min: Array, temperature_max: Array, radiation: Array) -> Array:
    """Potential evapotranspiration from daily temperature extremes [mm d-1].

    `0.0023 * 0.408 * radiation * (mean + 17.8) * sqrt(max - min)`, not below zero (Hargreaves and
    Samani 1985). Its gradient is finite everywhere, also where minimum and maximum are equal.

    Parameters
    ----------
    temperature_min, temperature_max
        Daily extremes [degC]; a minimum above the maximum counts as equal.
    radiation
        `extraterrestrial_radiation` of day and latitude [MJ m-2 d-1].
    """
    xp = array_namespace(temperature_min, temperature_max)
    mean = (temperature_min + temperature_max) / 2
    spread = _root(temperature_max - temperature_min, xp)
    return xp.clip(0.0023 * MM_PER_MJ * radiation * (mean + 17.8) * spread, min=0.0)


def priestley_taylor(
    temperature_min: Array,
    temperature_max: Array,
    shortwave: Array,
    radiation: Array,
    elevation: Array,
) -> Array:
    """Potential evapotranspiration from temperature and net radiation [mm d-1].

    `1.26 * 0.408 * slope / (slope + gamma) * net`, not below zero (Priestley and Taylor 1972), with
    net radiation, saturation slope and psychrometric constant of FAO-56; the dew point is taken
    as the minimum temperature, and cloudiness from 0.3 to 1 times the radiation of a clear sky
    (ASCE-EWRI 2005), without which an overcast sky would warm the ground.

    Parameters
    ----------
    temperature_min, temperature_max
        Daily extremes [degC].
    shortwave
        Incoming radiation as a mean over 24 hours [W m-2]; see `daily_shortwave` for data that
        give the mean over daylight.
    radiation
        `extraterrestrial_radiation` of day and latitude [MJ m-2 d-1].
    elevation
        Height above sea level [m].
    """
    slope, gamma = _slope((temperature_min + temperature_max) / 2), _psychrometric(elevation)
    vapour = _saturation(temperature_min, 0.611)
    extremes = temperature_min, temperature_max
    net = _net_radiation(*extremes, vapour, shortwave, radiation, elevation)
    pet = 1.26 * MM_PER_MJ * slope * net / (slope + gamma)
    return array_namespace(pet).clip(pet, min=0.0)


def penman_monteith(
    temperature_min: Array,
    temperature_max: Array,
    vapour_pressure: Array,
    wind: Array | float,
    shortwave: Array,
    radiation: Array,
    elevation: Array,
) -> Array:
    """Evapotranspiration of short grass, the reference of FAO-56, from energy and wind [mm d-1].

    `(0.408 * slope * net + gamma * 900 / (mean + 273) * wind * deficit)
    / (slope + gamma * (1 + 0.34 * wind))`, not below zero: the equation of Penman and Monteith
    (Monteith 1965) for grass of 0.12 m, FAO-56 equation 6, with a day's ground heat flux of zero
    and the bounds of cloudiness of ASCE-EWRI 2005.

    Parameters
    ----------
    temperature_min, temperature_max
        Daily extremes [degC].
    vapour_pressure
        Daily mean [Pa].
    wind
        Daily mean speed 2 m above the ground [m s-1]; FAO-56 takes 2 where none is measured.
    shortwave
        Incoming radiation as a mean over 24 hours [W m-2]; see `daily_shortwave` for data that
        give the mean over daylight.
    radiation
        `extraterrestrial_radiation` of day and latitude [MJ m-2 d-1].
    elevation
        Height above sea level [m].
    """
    extremes = temperature_min, temperature_max
    mean, vapour = (temperature_min + temperature_max) / 2, vapour_pressure / 1000
    slope, gamma = _slope(mean), _psychrometric(elevation)
    low, high = (_saturation(t, 0.6108) for t in extremes)
    deficit = (low + high) / 2 - vapour
    net = _net_radiation(*extremes, vapour, shortwave, radiation, elevation)
    drying = gamma * 900 / (mean + 273) * wind * deficit
    pet = (MM_PER_MJ * slope * net + drying) / (slope + gamma * (1 + 0.34 * wind))
    return array_namespace(pet).clip(pet, min=0.0)


def hamon(temperature: Array, daylength: Array, coefficient: float = 0.0055) -> Array:
    """Potential evapotranspiration from mean temperature and day length [mm d-1].

    `coefficient * (hours / 12)**2 * 25.4 * density` with the saturated vapour density [g m-3]
    (Hamon 1963).

    Parameters
    ----------
    temperature
        Daily mean [degC].
    daylength
        Time from sunrise to sunset [s].
    coefficient
        Hamon's constant [inch m3 g-1 d-1].
    """
    xp = array_namespace(temperature)
    pressure = 6.108 * xp.exp(17.26939 * temperature / (temperature + 237.3))  # [hPa]
    density = 216.7 * pressure / (temperature + 273.3)
    return coefficient * (daylength / 43200) ** 2 * density * 25.4


def extraterrestrial_radiation(latitude: Array, day_of_year: Array) -> Array:
    """Radiation at the top of the atmosphere [MJ m-2 d-1] (FAO-56, equation 21).

    Parameters
    ----------
    latitude
        [degrees], positive to the north.
    day_of_year
        1 to 366.
    """
    xp = array_namespace(latitude, day_of_year)
    phi, delta = latitude * (pi / 180), _declination(xp, day_of_year)
    omega = _sunset_angle(xp, phi, delta)
    distance = 1 + 0.033 * xp.cos(2 * pi / 365 * day_of_year)
    vertical = omega * xp.sin(phi) * xp.sin(delta)
    horizontal = xp.cos(phi) * xp.cos(delta) * xp.sin(omega)
    return 24 * 60 / pi * SOLAR_CONSTANT * distance * (vertical + horizontal)


def day_length(latitude: Array, day_of_year: Array) -> Array:
    """Time from sunrise to sunset [s] (FAO-56, equation 34); 0 in polar night.

    Arguments as in `extraterrestrial_radiation`.
    """
    xp = array_namespace(latitude, day_of_year)
    omega = _sunset_angle(xp, latitude * (pi / 180), _declination(xp, day_of_year))
    return SECONDS_PER_DAY / pi * omega


def daily_shortwave(shortwave: Array, daylength: Array) -> Array:
    """Mean over 24 hours from the mean over daylight, as Daymet delivers it [W m-2].

    Parameters
    ----------
    shortwave
        Mean from sunrise to sunset [W m-2].
    daylength
        [s].
    """
    return shortwave * daylength / SECONDS_PER_DAY


def _net_radiation(
    temperature_min: Array,
    temperature_max: Array,
    vapour: Array,
    shortwave: Array,
    radiation: Array,
    elevation: Array,
) -> Array:
    """Radiation that grass keeps [MJ m-2 d-1] (FAO-56, equations 37 to 40); vapour in kPa."""
    xp = array_namespace(vapour, shortwave)
    incoming = MJ_PER_WATT_DAY * shortwave
    clear = xp.clip((0.75 + 2e-5 * elevation) * radiation, min=0.1)  # dark days: avoid 0 / 0
    cloudiness = 1.35 * xp.clip(incoming / clear, min=0.3, max=1.0) - 0.35
    emissivity = 0.34 - 0.14 * xp.sqrt(xp.clip(vapour, min=VAPOUR_MIN))
    kelvin4 = ((temperature_max + 273.16) ** 4 + (temperature_min + 273.16) ** 4) / 2
    return 0.77 * incoming - STEFAN_BOLTZMANN * kelvin4 * emissivity * cloudiness


def _slope(temperature: Array) -> Array:
    """Slope of the saturation vapour pressure [kPa degC-1] (FAO-56, equation 13)."""
    return 4098 * _saturation(temperature, 0.6108) / (temperature + 237.3) ** 2


def _psychrometric(elevation: Array) -> Array:
    """Psychrometric constant [kPa degC-1] (FAO-56, equations 7 and 8)."""
    return 0.000665 * 101.3 * ((293 - 0.0065 * elevation) / 293) ** 5.26


def _saturation(temperature: Array, scale: float) -> Array:
    """Saturation vapour pressure [kPa]; publications round the scale differently."""
    xp = array_namespace(temperature)
    return scale * xp.exp(17.27 * temperature / (temperature + 237.3))


def _declination(xp: Any, day_of_year: Array) -> Array:
    return 0.409 * xp.sin(2 * pi / 365 * day_of_year - 1.39)


def _sunset_angle(xp: Any, phi: Array, delta: Array) -> Array:
    """Hour angle of sunset [rad]; its gradient is 0, not NaN, in polar day and night."""
    cosine = -xp.tan(phi) * xp.tan(delta)
    zero = 0.0 * cosine  # missing where the latitude is
    sets = abs(cosine) < 1
    constant = xp.where(cosine < 0, pi + zero, zero)
    return xp.where(sets, xp.acos(xp.where(sets, cosine, zero)), constant)


def _root(x: Array, xp: Any) -> Array:
    """Square root of the positive part, a straight line below `RANGE_LINEAR`."""
    line = xp.clip(x, min=0.0) / RANGE_LINEAR**0.5
    return xp.where(x > RANGE_LINEAR, xp.sqrt(xp.clip(x, min=RANGE_LINEAR)), line)
