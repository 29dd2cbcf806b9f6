"""PRMS: seven stores for snow, canopy, impervious area, two soil layers, interflow, groundwater.

References
----------
Leavesley, Lichty, Troutman and Saindon 1983, USGS Water-Resources Investigations Report 83-4238.
Markstrom et al. 2015, USGS Techniques and Methods 6-B7, doi:10.3133/tm6B7 (PRMS-IV).
Knoben et al. 2019, GMD 12, 2463, doi:10.5194/gmd-12-2463-2019 (the form with 18 parameters).

This is the explicit form used in parameter learning: the operators of a day act in turn.

Differences from the publications: fluxes are limited by the store that they leave, so that the
water balance closes exactly; published codes floor stores at 1e-5 mm, which creates water. The
store RES drains in proportion to itself below 1e-5 mm, where the slope by K2 would be unbounded.

Shape legend: B basins, E components; every state, flux and parameter of a step is `[B, E]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy.base import ProcessModel

PARAMETERS = {
    "TT": Parameter(-3.0, 5.0, "degC", "temperature that separates snow from rain"),
    "DDF": Parameter(0.0, 20.0, "mm degC-1 d-1", "degree-day factor of snowmelt"),
    "ALPHA": Parameter(0.0, 1.0, "1", "share of the rain on pervious area that plants intercept"),
    "BETA": Parameter(0.0, 1.0, "1", "pervious share of the area"),
    "STOR": Parameter(0.0, 5.0, "mm", "interception that plants can hold"),
    "RETIP": Parameter(0.0, 50.0, "mm", "water that the impervious area can hold"),
    "FSCN": Parameter(0.0, 1.0, "1", "contributing area of a dry soil relative to SCX"),
    "SCX": Parameter(0.0, 1.0, "1", "contributing area of a wet soil, the largest"),
    "FLZ": Parameter(0.005, 0.995, "1", "share of STOT in the lower zone"),
    "STOT": Parameter(1.0, 2000.0, "mm", "water that recharge zone and lower zone can hold"),
    "CGW": Parameter(0.0, 20.0, "mm d-1", "drainage of excess soil water to groundwater, at most"),
    "RESMAX": Parameter(1.0, 300.0, "mm", "scale of RES in its drainage to groundwater"),
    "K1": Parameter(0.0, 1.0, "mm d-1", "drainage of RES to groundwater at RESMAX"),
    "K2": Parameter(1.0, 5.0, "1", "exponent of the drainage of RES to groundwater"),
    "K3": Parameter(0.0, 1.0, "d-1", "linear recession of interflow"),
    "K4": Parameter(0.0, 1.0, "mm-1 d-1", "quadratic recession of interflow"),
    "K5": Parameter(0.0, 1.0, "d-1", "recession of baseflow"),
    "K6": Parameter(0.0, 1.0, "d-1", "loss of groundwater out of the basin"),
}

RES_MIN = 1e-5
"""Storage below which RES drains to groundwater linearly [mm]."""


class State(NamedTuple):
    """Storages, `[B, E]` each."""

    SNOW: Tensor  # snowpack [mm]
    XIN: Tensor  # water on plants of the pervious area [mm]
    RSTOR: Tensor  # water on the impervious area [mm]
    RECHR: Tensor  # recharge zone, the upper soil [mm]
    SMAV: Tensor  # lower zone of the soil [mm]
    RES: Tensor  # reservoir that feeds interflow [mm]
    GW: Tensor  # groundwater [mm]


class Flux(NamedTuple):
    """Fluxes of one step, `[B, E]` each [mm d-1]."""

    streamflow: Tensor  # surface_flow + interflow + baseflow
    surface_flow: Tensor  # flow from impervious and from wet pervious area
    interflow: Tensor  # flow of RES
    baseflow: Tensor  # flow of GW
    aet: Tensor  # actual evapotranspiration, of all four stores that lose it
    sink: Tensor  # groundwater that leaves the basin below the gauge
    snowmelt: Tensor  # melt of the snowpack
    interception: Tensor  # evaporation of water on plants
    soil_evaporation: Tensor  # evapotranspiration of the recharge zone
    infiltration: Tensor  # rain and meltwater that enter the recharge zone
    percolation: Tensor  # recharge zone to lower zone
    excess: Tensor  # soil water above what both zones hold
    seepage: Tensor  # the part of the excess that goes to groundwater, at most CGW
    drainage: Tensor  # RES to groundwater


def step(
    state: State, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[State, Flux]:
    """Advance one day; the operators act in turn, each on the stores that the last one left.

    Forcing: `precipitation` [mm d-1], `temperature` [degC], `pet` [mm d-1], `[B, 1]` each.
    """
    SNOW, XIN, RSTOR, RECHR, SMAV, RES, GW = state
    P, T, PET = forcing["precipitation"], forcing["temperature"], forcing["pet"]
    TT, DDF, ALPHA, BETA, STOR, RETIP, FSCN, SCX, FLZ, STOT, CGW, RESMAX, K1, K2, K3, K4, K5, K6 = (
        parameters[name] for name in PARAMETERS
    )
    REMX, SMAX, IMPERV = (1 - FLZ) * STOT, FLZ * STOT, 1 - BETA

    # Snow: the phase switch passes no gradient to TT, melt does.
    rain = torch.where(T > TT, P, 0.0)
    SNOW = SNOW + (P - rain)
    snowmelt = torch.minimum((DDF * (T - TT)).clamp(min=0), SNOW)
    SNOW = SNOW - snowmelt

    # Plants on the pervious area, and the impervious area
    XIN, interception, throughfall = wetted(XIN, ALPHA * BETA * rain, STOR, BETA * PET)
    RSTOR, evaporation, overflow = wetted(RSTOR, IMPERV * (rain + snowmelt), RETIP, IMPERV * PET)
    demand = (PET - interception - evaporation).clamp(min=0)

    # Soil: the lower zone transpires where the recharge zone holds less than the demand.
    water = BETA * (snowmelt + (1 - ALPHA) * rain) + throughfall
    runoff = contributing_area(RECHR, REMX, FSCN, SCX) * water
    infiltration = water - runoff
    percolation = (RECHR + infiltration - REMX).clamp(min=0)
    RECHR = RECHR + infiltration - percolation
    soil_evaporation = RECHR * (demand / REMX).clamp(max=1)
    RECHR = RECHR - soil_evaporation
    excess = (SMAV + percolation - SMAX).clamp(min=0)
    SMAV = SMAV + percolation - excess
    unmet = torch.where(demand > RECHR, (demand - soil_evaporation).clamp(min=0), 0.0)
    transpiration = SMAV * (unmet / SMAX).clamp(max=1)
    SMAV = SMAV - transpiration

    # Response
    seepage = torch.minimum(CGW, excess)
    RES = RES + (excess - seepage)
    drainage = torch.minimum(drainage_of(RES, RESMAX, K1, K2), RES)
    RES = RES - drainage
    interflow = torch.minimum(K3 * RES + K4 * RES * RES, RES)
    RES = RES - interflow
    GW = GW + (drainage + seepage)
    baseflow = K5 * GW
    sink = K6 * (GW - baseflow)
    GW = GW - baseflow - sink

    surface_flow = overflow + runoff
    streamflow = surface_flow + interflow + baseflow
    aet = interception + evaporation + soil_evaporation + transpiration

    return State(SNOW, XIN, RSTOR, RECHR, SMAV, RES, GW), Flux(
        streamflow, surface_flow, interflow, baseflow, aet, sink, snowmelt,
        interception, soil_evaporation, infiltration, percolation, excess, seepage, drainage,
    )  # fmt: skip


def wetted(
    S: Tensor, inflow: Tensor, capacity: Tensor, demand: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Fill XIN or RSTOR; return it, its evaporation, and what was above its capacity."""
    S = S + inflow
    overflow = (S - capacity).clamp(min=0)
    S = S - overflow
    evaporation = torch.minimum(demand, S)
    return S - evaporation, evaporation, overflow


def contributing_area(RECHR: Any, REMX: Tensor, FSCN: Tensor, SCX: Tensor) -> Any:
    """Share of the pervious area that sheds its water: SCN = FSCN * SCX if dry, SCX if wet."""
    return SCX * (FSCN + (1 - FSCN) * (RECHR / REMX).clamp(max=1))


def drainage_of(RES: Any, RESMAX: Tensor, K1: Tensor, K2: Tensor) -> Any:
    """K1 * (RES / RESMAX)**K2 [mm d-1], of a base of at least RES_MIN / RESMAX, see there."""
    return K1 * (RES / RESMAX) * (RES.clamp(min=RES_MIN) / RESMAX) ** (K2 - 1)


class Prms(ProcessModel):
    """PRMS with 18 parameters (Knoben et al. 2019), explicit, daily."""

    forcings = ("precipitation", "temperature", "pet")
    PARAMETERS = PARAMETERS
    SOURCE = "Knoben et al. 2019"
    State = State
    Flux = Flux
    BALANCE: ClassVar = {"precipitation": +1, "streamflow": -1, "aet": -1, "sink": -1}
    RUNOFF = ("streamflow", "surface_flow", "interflow", "baseflow")
    RECOMMENDED_DYNAMIC = ("ALPHA", "SCX", "CGW", "RESMAX", "K1", "K2")

    step = staticmethod(step)
    INITIAL_STORAGE = 0.001
