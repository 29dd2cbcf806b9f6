"""δHBV 2.0: δHBV 1.1p for the small units of a large domain, which exchange groundwater.

References
----------
Feng, Liu, Lawson and Shen 2022, WRR 58, e2022WR032404, doi:10.1029/2022WR032404 (δHBV 1.0).
Song et al. 2024, HESS 28, 3051, doi:10.5194/hess-28-3051-2024 (capillary rise).
Song et al. 2025, WRR 61, doi:10.1029/2024WR038928 (δHBV 2.0).

Differences from the publications: fluxes are limited by the store that they leave, so that the
water balance closes exactly; the groundwater that was really exchanged is a flux of its own,
`regional_flow`, which published programs do not report. The constants of the exchange and of the
elevation rule are those of the published program.

Shape legend: B basins (units), E components; every state, flux and parameter of a step is
`[B, E]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy import hbv_1_1p
from dmg.phy.base import ProcessModel
from dmg.phy.hbv_1_0 import State, snow, soil, upper_zone
from dmg.phy.hbv_1_1p import capillary_rise

SOURCE = "Song et al. 2025"
PARAMETERS = {
    **hbv_1_1p.PARAMETERS,
    "RT": Parameter(0.0, 20.0, "mm d-1", "regional groundwater exchange, at most", source=SOURCE),
    "AC": Parameter(
        0.0, 2500.0, "km2", "drainage area above which a unit gains groundwater", source=SOURCE
    ),
}

HIGH = 2000.0  # elevation from which on TT is TT_HIGH [m]
TT_HIGH = 4.0  # [degC]
LARGE = 2500.0  # drainage area from which on the gain decays [km2]
AREA_RISE, AREA_DECAY = 1000.0, 50.0  # drainage area over which the exchange grows, decays [km2]


class Flux(NamedTuple):
    """Fluxes of one step, `[B, E]` each [mm d-1]."""

    streamflow: Tensor  # surface_flow + interflow + baseflow
    surface_flow: Tensor  # fast flow of the upper zone above UZL
    interflow: Tensor  # flow of the upper zone
    baseflow: Tensor  # flow of the lower zone
    aet: Tensor  # actual evapotranspiration
    snowmelt: Tensor  # melt of the snowpack
    infiltration: Tensor  # meltwater that leaves the snowpack into the soil
    recharge: Tensor  # rain and meltwater that pass the soil
    excess: Tensor  # soil water above FC
    percolation: Tensor  # upper to lower zone
    capillary: Tensor  # lower zone to the soil
    regional_flow: Tensor  # groundwater from elsewhere into the lower zone; negative: lost


def step(
    state: State, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[State, Flux]:
    """Advance one day; the operators act in turn, each on the stores that the last one left.

    Forcing: `precipitation` [mm d-1], `temperature` [degC], `pet` [mm d-1], and the constants
    `area` (all that drains through the unit) [km2] and `elevation` [m], `[B, 1]` each.
    """
    SNOWPACK, MELTWATER, SM, SUZ, SLZ = state
    P, T, PET = forcing["precipitation"], forcing["temperature"], forcing["pet"]
    parameters = {**parameters, "TT": threshold(parameters["TT"], forcing["elevation"])}

    SNOWPACK, MELTWATER, rain, snowmelt, infiltration = snow(SNOWPACK, MELTWATER, P, T, parameters)
    SM, recharge, excess, aet = soil(SM, rain + infiltration, PET, parameters)
    SM, SLZ, capillary = capillary_rise(SM, SLZ, parameters)
    SUZ, percolation, surface_flow, interflow = upper_zone(SUZ, recharge + excess, parameters)
    SLZ, regional_flow, baseflow = lower_zone(SLZ, percolation, forcing["area"], parameters)
    streamflow = surface_flow + interflow + baseflow

    return State(SNOWPACK, MELTWATER, SM, SUZ, SLZ), Flux(
        streamflow, surface_flow, interflow, baseflow, aet,
        snowmelt, infiltration, recharge, excess, percolation, capillary, regional_flow,
    )  # fmt: skip


def threshold(TT: Tensor, elevation: Tensor) -> Tensor:
    """Temperature that separates snow from rain: that of high land is given, not learned."""
    return torch.where(elevation >= HIGH, TT_HIGH, TT)


def lower_zone(
    SLZ: Tensor, percolation: Tensor, area: Tensor, parameters: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Percolation first, then exchange with elsewhere, which takes no more than there is."""
    SLZ = SLZ + percolation
    exchange = parameters["RT"] * gain(area, parameters["AC"])
    regional_flow = torch.maximum(exchange, -SLZ)
    SLZ = SLZ + regional_flow
    baseflow = parameters["K2"] * SLZ
    return SLZ - baseflow, regional_flow, baseflow


def gain(area: Tensor, AC: Tensor) -> Tensor:
    """Groundwater exchange relative to RT: headwaters lose, larger units gain, rivers neither."""
    growing = ((area - AC) / AREA_RISE).clamp(min=-1, max=1)
    decaying = torch.exp((-(area - LARGE) / AREA_DECAY).clamp(min=-10, max=0))
    return torch.where(area < LARGE, growing, decaying)


class Hbv20(ProcessModel):
    """δHBV 2.0 (Song et al. 2025), daily."""

    forcings = ("precipitation", "temperature", "pet", "area", "elevation")
    PARAMETERS = PARAMETERS
    SOURCE = "Feng et al. 2022"
    State = State
    Flux = Flux
    BALANCE: ClassVar = {"precipitation": +1, "streamflow": -1, "aet": -1, "regional_flow": +1}
    SIGNED = ("regional_flow",)
    RUNOFF = ("streamflow", "surface_flow", "interflow", "baseflow")
    RECOMMENDED_DYNAMIC = ("BETA", "K0", "BETAET")

    step = staticmethod(step)
    INITIAL_STORAGE = 0.001
