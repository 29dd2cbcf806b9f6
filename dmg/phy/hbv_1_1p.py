"""δHBV 1.1p: δHBV 1.0 with capillary rise from the lower groundwater zone into the soil.

References
----------
Feng, Liu, Lawson and Shen 2022, WRR 58, e2022WR032404, doi:10.1029/2022WR032404 (δHBV 1.0).
Song et al. 2024, HESS 28, 3051, doi:10.5194/hess-28-3051-2024 (capillary rise).
Song et al. 2026, WRR 62, e2025WR040414, doi:10.1029/2025WR040414 (δHBV 1.1p).

Differences from the publications: fluxes are limited by the store that they leave, so that the
water balance closes exactly; published codes floor soil moisture and the lower zone at 1e-5 mm,
which creates water. Capillary rise stops at FC, not at a fraction of it (Song et al. 2024).

Shape legend: B basins, E components; every state, flux and parameter of a step is `[B, E]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy import hbv_1_0
from dmg.phy.base import ProcessModel
from dmg.phy.hbv_1_0 import SM_MIN, State

PARAMETERS = {
    **hbv_1_0.PARAMETERS,
    "BETAET": Parameter(0.3, 5.0, "1", "shape of the evapotranspiration curve"),
    "C": Parameter(0.0, 1.0, "d-1", "capillary rise relative to the lower zone, at dry soil"),
}


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


def step(
    state: State, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[State, Flux]:
    """Advance one day; the operators act in turn, each on the stores that the last one left.

    Forcing: `precipitation` [mm d-1], `temperature` [degC], `pet` [mm d-1], `[B, 1]` each.
    """
    SNOWPACK, MELTWATER, SM, SUZ, SLZ = state
    P, T, PET = forcing["precipitation"], forcing["temperature"], forcing["pet"]
    BETA, FC, K0, K1, K2, LP, PERC, UZL, TT, CFMAX, CFR, CWH, BETAET, C = (
        parameters[name] for name in PARAMETERS
    )

    # Snow: the phase switch passes no gradient to TT, melt and refreezing do.
    rain = torch.where(T >= TT, P, 0.0)
    SNOWPACK = SNOWPACK + (P - rain)
    snowmelt = torch.minimum((CFMAX * (T - TT)).clamp(min=0), SNOWPACK)
    SNOWPACK, MELTWATER = SNOWPACK - snowmelt, MELTWATER + snowmelt
    refreezing = torch.minimum((CFR * CFMAX * (TT - T)).clamp(min=0), MELTWATER)
    SNOWPACK, MELTWATER = SNOWPACK + refreezing, MELTWATER - refreezing
    infiltration = (MELTWATER - CWH * SNOWPACK).clamp(min=0)
    MELTWATER = MELTWATER - infiltration

    # Soil: both powers have a base of at least SM_MIN / FC, see SM_MIN.
    wetness = (SM.clamp(min=SM_MIN) / FC) ** BETA
    recharge = (rain + infiltration) * wetness.clamp(max=1)
    SM = SM + (rain + infiltration - recharge)
    excess = (SM - FC).clamp(min=0)
    SM = SM - excess
    aet_factor = ((SM.clamp(min=SM_MIN) / (LP * FC)) ** BETAET).clamp(max=1)
    aet = torch.minimum(PET * aet_factor, SM)
    SM = SM - aet

    # Capillary rise: at most SLZ, since C and the deficit are at most 1.
    capillary = C * SLZ * (1 - (SM / FC).clamp(max=1))
    SM, SLZ = SM + capillary, SLZ - capillary

    # Response
    SUZ = SUZ + (recharge + excess)
    percolation = torch.minimum(SUZ, PERC)
    SUZ = SUZ - percolation
    surface_flow = K0 * (SUZ - UZL).clamp(min=0)
    SUZ = SUZ - surface_flow
    interflow = K1 * SUZ
    SUZ = SUZ - interflow
    SLZ = SLZ + percolation
    baseflow = K2 * SLZ
    SLZ = SLZ - baseflow
    streamflow = surface_flow + interflow + baseflow

    return State(SNOWPACK, MELTWATER, SM, SUZ, SLZ), Flux(
        streamflow, surface_flow, interflow, baseflow, aet,
        snowmelt, infiltration, recharge, excess, percolation, capillary,
    )  # fmt: skip


class Hbv11p(ProcessModel):
    """δHBV 1.1p (Song et al. 2026), daily."""

    forcings = ("precipitation", "temperature", "pet")
    PARAMETERS = PARAMETERS
    SOURCE = "Feng et al. 2022"
    State = State
    Flux = Flux
    BALANCE: ClassVar = {"precipitation": +1, "streamflow": -1, "aet": -1}
    RUNOFF = ("streamflow", "surface_flow", "interflow", "baseflow")
    RECOMMENDED_DYNAMIC = ("BETA", "K0", "BETAET")

    step = staticmethod(step)
    INITIAL_STORAGE = 0.001
