"""Implicit δHBV: the equations of HBV as one system, solved by backward Euler.

References
----------
Song et al. 2024, HESS 28, 3051, doi:10.5194/hess-28-3051-2024.
Feng, Liu, Lawson and Shen 2022, WRR 58, e2022WR032404, doi:10.1029/2022WR032404 (δHBV 1.0).

All fluxes of a day are taken at the stores of its end, which no order of the processes decides.
Capillary rise is off (C = 0) unless C and NDC are given or learned.

Differences from the publication: the iterations are damped, start where the soil is wetted by
the day's water, and each element stops on its own; the gradient is that of the solution
(implicit function theorem), as there. The new state follows from the fluxes, so that the water
balance closes exactly. The power laws are held constant below 1e-5 mm of soil moisture, not
1e-8 mm, and stores start with 0.001 mm, not empty.

Shape legend: B basins, E components; every state, flux and parameter of a step is `[B, E]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy import hbv_1_0
from dmg.phy.base import ProcessModel
from dmg.phy.hbv_1_0 import SM_MIN, State
from dmg.scan.implicit import implicit_euler

PARAMETERS = {
    **hbv_1_0.PARAMETERS,
    "BETAET": Parameter(0.3, 5.0, "1", "shape of the evapotranspiration curve"),
    "C": Parameter(
        0.0, 1.0, "d-1", "capillary rise relative to the lower zone, at dry soil", default=0.0,
        source="Song et al. 2024",
    ),
    "NDC": Parameter(
        0.05, 0.95, "1", "fraction of FC above which no water rises", default=0.95,
        source="Song et al. 2024",
    ),
}  # fmt: skip


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
    residual: Tensor  # what the solution of the equations lacks, at most


def tendency(
    state: Any, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Rates of change of the stores, and the fluxes that make them, all at one state [mm d-1].

    Forcing: `precipitation` [mm d-1], `temperature` [degC], `pet` [mm d-1], `[B, 1]` each.
    """
    SNOWPACK, MELTWATER, SM, SUZ, SLZ = state
    P, T, PET = forcing["precipitation"], forcing["temperature"], forcing["pet"]
    BETA, FC, K0, K1, K2, LP, PERC, UZL, TT, CFMAX, CFR, CWH, BETAET, C, NDC = (
        parameters[name] for name in PARAMETERS
    )

    # Snow: the phase switch passes no gradient to TT, melt and refreezing do.
    rain = torch.where(T >= TT, P, 0.0)
    snowmelt = torch.minimum(SNOWPACK, (CFMAX * (T - TT)).clamp(min=0))
    refreezing = torch.minimum(MELTWATER, (CFR * CFMAX * (TT - T)).clamp(min=0))
    infiltration = (MELTWATER - CWH * SNOWPACK).clamp(min=0)

    # Soil: powers from one logarithm, at least that of SM_MIN / FC, see SM_MIN.
    moisture = torch.log(SM.clamp(min=SM_MIN) / FC)
    recharge = (rain + infiltration) * torch.exp(BETA * moisture).clamp(max=1)
    excess = (SM - FC).clamp(min=0)
    aet = torch.minimum(SM, PET * torch.exp(BETAET * (moisture - LP.log())).clamp(max=1))
    capillary = C * SLZ * (1 - (SM / (NDC * FC)).clamp(max=1))

    # Response
    percolation = torch.minimum(SUZ, PERC)
    surface_flow = K0 * (SUZ - UZL).clamp(min=0)
    interflow = K1 * SUZ
    baseflow = K2 * SLZ
    streamflow = surface_flow + interflow + baseflow

    return (
        (P - rain) + refreezing - snowmelt,
        snowmelt - refreezing - infiltration,
        rain + infiltration - recharge - excess - aet + capillary,
        recharge + excess - percolation - surface_flow - interflow,
        percolation - baseflow - capillary,
    ), (
        streamflow, surface_flow, interflow, baseflow, aet,
        snowmelt, infiltration, recharge, excess, percolation, capillary,
    )  # fmt: skip


def guess(
    state: State, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[Tensor, ...]:
    """Old state, but with the soil wetted by the rain and melt at hand, to just below FC.

    Recharge grows ever faster with soil moisture until FC: from above, Newton's method goes
    straight to the solution; from a dry soil it leaps over it, and at FC the slope has two values.
    """
    thaw = forcing["temperature"] - parameters["TT"]
    melt = torch.minimum(state.SNOWPACK, (parameters["CFMAX"] * thaw).clamp(min=0))
    at_hand = torch.where(thaw >= 0, forcing["precipitation"], 0.0) + melt + state.MELTWATER
    return state._replace(SM=torch.minimum(state.SM + at_hand, 0.99 * parameters["FC"]))


class HbvImplicit(ProcessModel):
    """Implicit δHBV (Song et al. 2024), daily.

    With `capillary`, C and NDC have no default: they must be given, or learned.
    """

    forcings = ("precipitation", "temperature", "pet")
    PARAMETERS = PARAMETERS
    SOURCE = "Feng et al. 2022"
    State = State
    Flux = Flux
    BALANCE: ClassVar = {"precipitation": +1, "streamflow": -1, "aet": -1}
    RUNOFF = ("streamflow", "surface_flow", "interflow", "baseflow")
    RECOMMENDED_DYNAMIC = ("BETA", "FC", "BETAET")

    step = staticmethod(implicit_euler(tendency, Flux, guess, passes=6))
    INITIAL_STORAGE = 0.001  # as the explicit versions; empty stores are a kink of several fluxes

    def __init__(self, dt: float = 1.0, capillary: bool = False) -> None:
        super().__init__(dt)
        if capillary:
            self.PARAMETERS = {  # type: ignore[misc]  # of this instance only
                n: replace(p, default=None) for n, p in PARAMETERS.items()
            }
