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

from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy import hbv_1_0
from dmg.phy.base import ProcessModel
from dmg.phy.hbv_1_0 import State, snow, soil, upper_zone

PARAMETERS = {
    **hbv_1_0.PARAMETERS,
    "BETAET": Parameter(0.3, 5.0, "1", "shape of the evapotranspiration curve"),
    "C": Parameter(
        0.0, 1.0, "d-1", "capillary rise relative to the lower zone, at dry soil",
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
    SM, SLZ, capillary = capillary_rise(SM, SLZ, parameters)
    SUZ, percolation, surface_flow, interflow = upper_zone(SUZ, recharge + excess, parameters)
    SLZ = SLZ + percolation
    baseflow = parameters["K2"] * SLZ
    SLZ = SLZ - baseflow
    streamflow = surface_flow + interflow + baseflow

    return State(SNOWPACK, MELTWATER, SM, SUZ, SLZ), Flux(
        streamflow, surface_flow, interflow, baseflow, aet,
        snowmelt, infiltration, recharge, excess, percolation, capillary,
    )  # fmt: skip


def capillary_rise(
    SM: Tensor, SLZ: Tensor, parameters: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Soil, lower zone and the water that rises between them, the more the drier the soil."""
    capillary = parameters["C"] * SLZ * (1 - (SM / parameters["FC"]).clamp(max=1))  # at most SLZ
    return SM + capillary, SLZ - capillary, capillary


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
