"""δHBV 1.0: snow, soil and two groundwater stores (HBV-light with parallel components).

References
----------
Seibert and Vis 2012, HESS 16, 3315, doi:10.5194/hess-16-3315-2012 (HBV-light).
Feng, Liu, Lawson and Shen 2022, WRR 58, e2022WR032404, doi:10.1029/2022WR032404 (δHBV).

Differences from the publications: fluxes are limited by the store that they leave, so that the
water balance closes exactly; published codes floor soil moisture at 1e-5 mm, which creates
water. BETAET is 1 (linear evapotranspiration) unless a network gives it.

Shape legend: B basins, E components; every state, flux and parameter of a step is `[B, E]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy.base import ProcessModel

PARAMETERS = {
    "BETA": Parameter(1.0, 6.0, "1", "shape of the recharge curve"),
    "FC": Parameter(50.0, 1000.0, "mm", "field capacity, the largest soil moisture"),
    "K0": Parameter(0.05, 0.9, "d-1", "recession of surface flow"),
    "K1": Parameter(0.01, 0.5, "d-1", "recession of interflow"),
    "K2": Parameter(0.001, 0.2, "d-1", "recession of baseflow"),
    "LP": Parameter(0.2, 1.0, "1", "fraction of FC above which aet reaches pet"),
    "PERC": Parameter(0.0, 10.0, "mm d-1", "percolation from the upper to the lower zone"),
    "UZL": Parameter(0.0, 100.0, "mm", "upper-zone storage above which surface flow starts"),
    "TT": Parameter(-2.5, 2.5, "degC", "temperature that separates snow from rain"),
    "CFMAX": Parameter(0.5, 10.0, "mm degC-1 d-1", "degree-day factor of snowmelt"),
    "CFR": Parameter(0.0, 0.1, "1", "refreezing relative to CFMAX"),
    "CWH": Parameter(0.0, 0.2, "1", "liquid water that the snowpack holds"),
    "BETAET": Parameter(0.3, 5.0, "1", "shape of the evapotranspiration curve", default=1.0),
}

SM_MIN = 1e-5
"""Soil moisture below which the power laws are held constant [mm].

Near zero the slope of x**BETAET with BETAET < 1 grows without bound; holding x leaves the
gradient finite, and no water is made because the fluxes stay limited by SM itself.
"""


class State(NamedTuple):
    """Storages, `[B, E]` each."""

    SNOWPACK: Tensor  # solid water of the snowpack [mm]
    MELTWATER: Tensor  # liquid water held in the snowpack [mm]
    SM: Tensor  # soil moisture [mm]
    SUZ: Tensor  # upper groundwater zone [mm]
    SLZ: Tensor  # lower groundwater zone [mm]


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


def step(
    state: State, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[State, Flux]:
    """Advance one day; the operators act in turn, each on the stores that the last one left.

    Forcing: `precipitation` [mm d-1], `temperature` [degC], `pet` [mm d-1], `[B, 1]` each.
    """
    SNOWPACK, MELTWATER, SM, SUZ, SLZ = state
    P, T, PET = forcing["precipitation"], forcing["temperature"], forcing["pet"]

    SNOWPACK, MELTWATER, rain, snowmelt, infiltration = snow(SNOWPACK, MELTWATER, P, T, parameters)
    SM, recharge, excess, aet = soil(SM, rain + infiltration, PET, parameters)
    SUZ, percolation, surface_flow, interflow = upper_zone(SUZ, recharge + excess, parameters)
    SLZ = SLZ + percolation
    baseflow = parameters["K2"] * SLZ
    SLZ = SLZ - baseflow
    streamflow = surface_flow + interflow + baseflow

    return State(SNOWPACK, MELTWATER, SM, SUZ, SLZ), Flux(
        streamflow, surface_flow, interflow, baseflow, aet,
        snowmelt, infiltration, recharge, excess, percolation,
    )  # fmt: skip


def snow(
    SNOWPACK: Tensor, MELTWATER: Tensor, P: Tensor, T: Tensor, parameters: Mapping[str, Tensor]
) -> tuple[Tensor, ...]:
    """Snowfall, melt, refreezing; what the pack cannot hold goes to the soil.

    The phase switch passes no gradient to TT, melt and refreezing do.
    """
    TT, CFMAX, CFR, CWH = (parameters[name] for name in ("TT", "CFMAX", "CFR", "CWH"))
    rain = torch.where(T >= TT, P, 0.0)
    SNOWPACK = SNOWPACK + (P - rain)
    snowmelt = torch.minimum((CFMAX * (T - TT)).clamp(min=0), SNOWPACK)
    SNOWPACK, MELTWATER = SNOWPACK - snowmelt, MELTWATER + snowmelt
    refreezing = torch.minimum((CFR * CFMAX * (TT - T)).clamp(min=0), MELTWATER)
    SNOWPACK, MELTWATER = SNOWPACK + refreezing, MELTWATER - refreezing
    infiltration = (MELTWATER - CWH * SNOWPACK).clamp(min=0)
    MELTWATER = MELTWATER - infiltration
    return SNOWPACK, MELTWATER, rain, snowmelt, infiltration


def soil(
    SM: Tensor, inflow: Tensor, PET: Tensor, parameters: Mapping[str, Tensor]
) -> tuple[Tensor, ...]:
    """Recharge passes the soil, the excess over FC follows it, evapotranspiration takes its part.

    Both powers have a base of at least SM_MIN / FC, see SM_MIN.
    """
    BETA, FC, LP, BETAET = (parameters[name] for name in ("BETA", "FC", "LP", "BETAET"))
    wetness = (SM.clamp(min=SM_MIN) / FC) ** BETA
    recharge = inflow * wetness.clamp(max=1)
    SM = SM + (inflow - recharge)
    excess = (SM - FC).clamp(min=0)
    SM = SM - excess
    aet_factor = ((SM.clamp(min=SM_MIN) / (LP * FC)) ** BETAET).clamp(max=1)
    aet = torch.minimum(PET * aet_factor, SM)
    return SM - aet, recharge, excess, aet


def upper_zone(SUZ: Tensor, inflow: Tensor, parameters: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    """Percolation to the lower zone first, then surface flow above UZL, then interflow."""
    K0, K1, PERC, UZL = (parameters[name] for name in ("K0", "K1", "PERC", "UZL"))
    SUZ = SUZ + inflow
    percolation = torch.minimum(SUZ, PERC)
    SUZ = SUZ - percolation
    surface_flow = K0 * (SUZ - UZL).clamp(min=0)
    SUZ = SUZ - surface_flow
    interflow = K1 * SUZ
    return SUZ - interflow, percolation, surface_flow, interflow


class Hbv10(ProcessModel):
    """δHBV 1.0 (Feng et al. 2022), daily."""

    forcings = ("precipitation", "temperature", "pet")
    PARAMETERS = PARAMETERS
    SOURCE = "Feng et al. 2022"
    State = State
    Flux = Flux
    BALANCE: ClassVar = {"precipitation": +1, "streamflow": -1, "aet": -1}
    RUNOFF = ("streamflow", "surface_flow", "interflow", "baseflow")
    RECOMMENDED_DYNAMIC = ("BETA", "BETAET")

    step = staticmethod(step)
    INITIAL_STORAGE = 0.001
