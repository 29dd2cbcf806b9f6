"""The known truth: HBV parameters as smooth functions of attributes, and the flow they give.

Every parameter is a weighted mean of a few scaled attributes, laid into an inner part of its
bounds. A network that sees these attributes can find the function again, also for a basin that it
was never trained on.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from dmg import pet
from dmg.phy import MODELS
from dmg.routing import UnitHydrograph

Floats = NDArray[np.float64]

SCALES = {
    "forest": ("frac_forest", 0.0, 1.0),
    "steep": ("slope_mean", 0.0, 115.0),
    "clay": ("clay_frac", 6.0, 38.0),
    "deep": ("soil_depth_pelletier", 0.0, 21.0),
    "high": ("elev_mean", 0.0, 2300.0),
    "large": ("log_area", 1.4, 3.3),
}
"""Attribute behind each driver, with the values that are 0 and 1."""

RULES: dict[str, tuple[float, float, dict[str, float]]] = {
    "BETA": (4.0, 1.5, {"clay": 0.7, "forest": 0.3}),
    "FC": (120.0, 450.0, {"deep": 0.6, "forest": 0.4}),
    "K0": (0.20, 0.60, {"steep": 1.0}),
    "K1": (0.24, 0.06, {"clay": 0.6, "deep": 0.4}),
    "K2": (0.060, 0.010, {"clay": 0.7, "deep": 0.3}),
    "LP": (0.90, 0.45, {"forest": 1.0}),
    "PERC": (2.8, 0.6, {"clay": 0.6, "steep": 0.4}),
    "UZL": (10.0, 45.0, {"deep": 0.5, "forest": 0.5}),
    "TT": (-0.8, 1.0, {"high": 1.0}),
    "CFMAX": (5.5, 2.0, {"forest": 1.0}),
    "CFR": (0.03, 0.07, {"high": 1.0}),
    "CWH": (0.14, 0.06, {"high": 1.0}),
    "route_a": (0.5, 2.2, {"large": 1.0}),
    "route_b": (0.4, 2.8, {"large": 0.8, "clay": 0.2}),
}
"""Value of each parameter where its mean driver is 0 and where it is 1, and the drivers."""


def make_parameters(basins: pd.DataFrame) -> pd.DataFrame:
    """Physical parameters of HBV and of the unit hydrograph: a row per basin."""
    table = basins.assign(log_area=np.log10(basins["area_gages2"]))
    drivers = {
        driver: ((table[name] - zero) / (one - zero)).clip(0, 1)
        for driver, (name, zero, one) in SCALES.items()
    }
    return pd.DataFrame(
        {
            name: at_zero + (at_one - at_zero) * sum(w * drivers[d] for d, w in weights.items())
            for name, (at_zero, at_one, weights) in RULES.items()
        }
    )


def hargreaves(
    basins: pd.DataFrame, days: pd.DatetimeIndex, weather: Mapping[str, Floats]
) -> Floats:
    """Potential evapotranspiration `[B, T]` [mm d-1], as the preprocessing computes it."""
    latitude = basins["gauge_lat"].to_numpy()[:, None]
    radiation = pet.extraterrestrial_radiation(latitude, days.day_of_year.to_numpy(np.float64))
    low, high = weather["temperature_min"], weather["temperature_max"]
    return np.asarray(pet.hargreaves(low, high, radiation))


def simulate(parameters: pd.DataFrame, weather: Mapping[str, Floats], potential: Floats) -> Floats:
    """Routed streamflow `[B, T]` [mm d-1] of the known HBV, from empty stores.

    Parameters
    ----------
    parameters
        Table of `make_parameters`.
    weather, potential
        Weather and potential evapotranspiration, `[B, T]`.
    """
    mean = (weather["temperature_min"] + weather["temperature_max"]) / 2
    forcing = {
        "precipitation": torch.tensor(weather["precipitation"].T),
        "temperature": torch.tensor(mean.T),
        "pet": torch.tensor(potential.T),
    }
    values = {name: torch.tensor(column.to_numpy()) for name, column in parameters.items()}
    routing = {str(n): values.pop(n) for n in list(values) if str(n) in UnitHydrograph.PARAMETERS}
    with torch.no_grad():
        model = MODELS["hbv_1_0"]()
        physical = {str(name): value.unsqueeze(-1) for name, value in values.items()}
        runoff = model(forcing, physical, outputs=["streamflow"]).fluxes["streamflow"]
        routed, _ = UnitHydrograph()(runoff.squeeze(-1), routing)
    return np.ascontiguousarray(routed.numpy().T)
