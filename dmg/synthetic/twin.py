"""The twin experiment's data: generate weather, simulate a known HBV, observe it with errors."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dmg.files import atomic
from dmg.synthetic.basins import make_basins
from dmg.synthetic.signatures import climate, hydrology
from dmg.synthetic.tree import write_tree, write_truth
from dmg.synthetic.truth import hargreaves, make_parameters, simulate
from dmg.synthetic.weather import make_weather

Floats = NDArray[np.float64]

WARMUP = 365  # days simulated before the record, so that its stores are filled
RUN_DAYS = (5, 40)  # shortest and longest gap of a broken gauge [d]


def generate(
    out: Path,
    *,
    num_basins: int = 24,
    start: dt.date = dt.date(2000, 10, 1),
    years: int = 8,
    noise: float = 0.05,
    frac_missing: float = 0.02,
    seed: int = 1,
) -> None:
    """Write a synthetic CAMELS-US tree with its truth; the same arguments give the same bytes.

    Parameters
    ----------
    out
        Folder to be made; replaced as a whole if it is there.
    num_basins, start, years
        Basins, first day and length of the record.
    noise
        Relative standard deviation of the observed flow: independent log-normal factors with
        mean 1.
    frac_missing
        Fraction of days without observed flow, half of them in runs of days.
    seed
        Seed of everything random.
    """
    streams = np.random.default_rng(seed).spawn(3)
    all_days = simulated_days(start, years)
    basins = make_basins(num_basins, streams[0])
    weather = make_weather(basins, all_days, streams[1])
    pet = hargreaves(basins, all_days, weather)
    parameters = make_parameters(basins)
    flow = simulate(parameters, weather, pet)[:, WARMUP:]
    days, pet = all_days[WARMUP:], pet[:, WARMUP:]
    weather = {name: series[:, WARMUP:] for name, series in weather.items()}
    observed = observe(flow, noise, frac_missing, streams[2])
    mean = (weather["temperature_min"] + weather["temperature_max"]) / 2
    rain = weather["precipitation"]
    basins = basins.assign(**climate(days, rain, mean, pet), **hydrology(days, observed, rain))
    with atomic(out) as temporary:
        write_tree(temporary, basins, days, weather, observed)
        write_truth(temporary, parameters, days, flow)


def simulated_days(start: dt.date, years: int) -> pd.DatetimeIndex:
    """Days of a record of some years, and `WARMUP` days before."""
    first = pd.Timestamp(start)
    last = first + pd.DateOffset(years=years) - pd.Timedelta(days=1)
    return pd.date_range(first - pd.Timedelta(days=WARMUP), last)


def observe(flow: Floats, noise: float, frac_missing: float, rng: np.random.Generator) -> Floats:
    """Measured flow `[B, T]`: multiplied by noise, NaN where the gauge failed."""
    factor = np.exp(noise * rng.normal(size=flow.shape) - noise**2 / 2)
    gaps = np.stack([_gaps(flow.shape[1], frac_missing, rng) for _ in flow])
    return np.where(gaps, np.nan, flow * factor)


def _gaps(num_days: int, frac_missing: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Exactly the wanted fraction of days: runs for about half of it, then single days."""
    gaps, wanted = np.zeros(num_days, dtype=bool), round(frac_missing * num_days)
    while gaps.sum() < wanted // 2:
        length = min(int(rng.integers(*RUN_DAYS)), wanted - int(gaps.sum()))
        begin = int(rng.integers(num_days - length + 1))
        gaps[begin : begin + length] = True
    left = np.flatnonzero(~gaps)
    gaps[rng.choice(left, wanted - int(gaps.sum()), replace=False)] = True
    return gaps
