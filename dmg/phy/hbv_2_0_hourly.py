"""Hourly δHBV 2.0: the equations of δHBV 2.0 in steps of an hour, and rain too strong to enter.

References
----------
Song et al. 2025, WRR 61, doi:10.1029/2024WR038928 (δHBV 2.0).
Horton 1933, Trans. AGU 14, 446, doi:10.1029/TR014i001p00446 (infiltration capacity).

Rates keep their units [mm d-1, d-1], those of forcing and fluxes too: rain of 1 mm in an hour is
a forcing of 24 mm d-1. A step takes rates times its length, and so works on depths [mm].

Differences from the published program, for which there is no publication yet: fluxes are limited
by the store that they leave, so that the water balance closes exactly; the program floors stores.
Runoff is routed outside, and without its lag.

Shape legend: B basins (units), E components; every state, flux and parameter of a step is
`[B, E]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy import hbv_2_0
from dmg.phy.base import ProcessModel
from dmg.phy.hbv_1_0 import State, snow, soil, upper_zone
from dmg.phy.hbv_1_1p import capillary_rise
from dmg.phy.hbv_2_0 import lower_zone, threshold

SOURCE = "published program"
PARAMETERS = {
    **hbv_2_0.PARAMETERS,
    "F0": Parameter(120.0, 2880.0, "mm d-1", "infiltration capacity of dry soil", source=SOURCE),
    "FMIN": Parameter(
        0.0, 1.0, "1", "infiltration capacity of wet soil, relative to F0", source=SOURCE
    ),
    "ALPHA": Parameter(
        0.5, 5.0, "1", "shape of the fall of infiltration capacity with moisture", source=SOURCE
    ),
}

HOUR = 1 / 24  # [d]
RATES = tuple(name for name, parameter in PARAMETERS.items() if "d-1" in parameter.unit)
SATURATED = 0.99
"""Wetness above which the infiltration capacity is held [1].

At 1 the slope of (1 - x)**ALPHA with ALPHA < 1 is without bound.
"""


class Flux(NamedTuple):
    """Fluxes of one step, `[B, E]` each [mm d-1]."""

    streamflow: Tensor  # surface_flow + interflow + baseflow + infiltration_excess
    surface_flow: Tensor  # fast flow of the upper zone above UZL
    interflow: Tensor  # flow of the upper zone
    baseflow: Tensor  # flow of the lower zone
    aet: Tensor  # actual evapotranspiration
    snowmelt: Tensor  # melt of the snowpack
    infiltration: Tensor  # meltwater that leaves the snowpack
    recharge: Tensor  # rain and meltwater that pass the soil
    excess: Tensor  # soil water above FC
    percolation: Tensor  # upper to lower zone
    capillary: Tensor  # lower zone to the soil
    regional_flow: Tensor  # groundwater from elsewhere into the lower zone; negative: lost
    infiltration_excess: Tensor  # rain and meltwater above the infiltration capacity


def step(
    state: State,
    forcing: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    dt: float = HOUR,
) -> tuple[State, Flux]:
    """Advance `dt` [d]; the operators act in turn, each on the stores that the last one left.

    Forcing: `precipitation` [mm d-1], `temperature` [degC], `pet` [mm d-1], and the constants
    `area` (all that drains through the unit) [km2] and `elevation` [m], `[B, 1]` each.
    """
    SNOWPACK, MELTWATER, SM, SUZ, SLZ = state
    P, T, PET = forcing["precipitation"] * dt, forcing["temperature"], forcing["pet"] * dt
    parameters = {name: p * dt if name in RATES else p for name, p in parameters.items()}
    parameters["TT"] = threshold(parameters["TT"], forcing["elevation"])

    SNOWPACK, MELTWATER, rain, snowmelt, infiltration = snow(SNOWPACK, MELTWATER, P, T, parameters)
    entering = torch.minimum(rain + infiltration, capacity(SM, parameters))
    infiltration_excess = rain + infiltration - entering
    SM, recharge, excess, aet = soil(SM, entering, PET, parameters)
    SM, SLZ, capillary = capillary_rise(SM, SLZ, parameters)
    SUZ, percolation, surface_flow, interflow = upper_zone(SUZ, recharge + excess, parameters)
    SLZ, regional_flow, baseflow = lower_zone(SLZ, percolation, forcing["area"], parameters)
    streamflow = surface_flow + interflow + baseflow + infiltration_excess

    depths = (
        streamflow, surface_flow, interflow, baseflow, aet,
        snowmelt, infiltration, recharge, excess, percolation, capillary, regional_flow,
        infiltration_excess,
    )  # fmt: skip
    return State(SNOWPACK, MELTWATER, SM, SUZ, SLZ), Flux(*(depth / dt for depth in depths))


def capacity(SM: Tensor, parameters: Mapping[str, Tensor]) -> Tensor:
    """Infiltration capacity, which falls from F0 to FMIN * F0 as the soil gets wet."""
    FC, F0, FMIN, ALPHA = (parameters[name] for name in ("FC", "F0", "FMIN", "ALPHA"))
    dryness = 1 - (SM / FC).clamp(max=SATURATED)
    return F0 * (FMIN + (1 - FMIN) * dryness**ALPHA)


class Hbv20Hourly(ProcessModel):
    """δHBV 2.0 (Song et al. 2025), hourly, with infiltration excess."""

    forcings = ("precipitation", "temperature", "pet", "area", "elevation")
    PARAMETERS = PARAMETERS
    SOURCE = "Feng et al. 2022"
    State = State
    Flux = Flux
    BALANCE: ClassVar = {"precipitation": +1, "streamflow": -1, "aet": -1, "regional_flow": +1}
    SIGNED = ("regional_flow",)
    RUNOFF = ("streamflow", "surface_flow", "interflow", "baseflow", "infiltration_excess")
    RECOMMENDED_DYNAMIC = ("BETA", "K0", "BETAET")
    TIMESTEPS = (HOUR,)

    step = staticmethod(step)
    INITIAL_STORAGE = 0.001

    def __init__(self, dt: float = HOUR) -> None:
        super().__init__(dt)
