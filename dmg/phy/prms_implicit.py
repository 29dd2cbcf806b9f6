"""Implicit PRMS: the equations of PRMS made smooth, each store solved by backward Euler.

References
----------
Leavesley, Lichty, Troutman and Saindon 1983, USGS Water-Resources Investigations Report 83-4238.
Knoben et al. 2019, GMD 12, 2463, doi:10.5194/gmd-12-2463-2019 (the form with 18 parameters).
Trotter et al. 2022, GMD 15, 6359, doi:10.5194/gmd-15-6359-2022 (its numerics).

All fluxes of a day are taken at the stores of its end. A store overflows smoothly while it fills
up, and passes on no more than what comes in; the explicit form empties it down to its capacity.

Differences from the publications: no store acts on one above it, so that they are solved one
after the other, not as a system; the solution is the same. The water balance closes exactly, for
each store is what its fluxes leave. The contributing area and evapotranspiration grow no further
where a store holds more than its capacity. Smooth thresholds of stores are at least 0.001 mm
wide, and RES drains to groundwater linearly below 1e-5 mm, where slopes would be unbounded.

Shape legend: B basins, E components; every state, flux and parameter of a step is `[B, E]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from dmg.phy.base import ProcessModel
from dmg.phy.prms import PARAMETERS, Flux, Prms, State, contributing_area, drainage_of
from dmg.scan.implicit_store import implicit_store

SMOOTHING = 0.01
"""Width of smooth thresholds: of temperature [degC], of a store relative to its capacity [1]."""
NARROWEST = 1e-3
"""Least width of the smooth threshold of a store [mm]."""


def step(
    state: State, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[State, Flux]:
    """Advance one day, store by store, each at its end.

    Forcing: `precipitation` [mm d-1], `temperature` [degC], `pet` [mm d-1], `[B, 1]` each.
    """
    SNOW, XIN, RSTOR, RECHR, SMAV, RES, GW = state
    P, T, PET = forcing["precipitation"], forcing["temperature"], forcing["pet"]
    TT, DDF, ALPHA, BETA, STOR, RETIP, FSCN, SCX, FLZ, STOT, CGW, RESMAX, K1, K2, K3, K4, K5, K6 = (
        parameters[name] for name in PARAMETERS
    )
    REMX, SMAX, IMPERV = (1 - FLZ) * STOT, FLZ * STOT, 1 - BETA

    # Snow: melt is min(DDF * (T - TT), SNOW), which is solved by hand.
    rain = P * torch.sigmoid((T - TT) / SMOOTHING)
    water = SNOW + (P - rain)
    SNOW = torch.maximum(water - (DDF * (T - TT)).clamp(min=0), 0.5 * water)
    snowmelt = water - SNOW

    # Plants, on the pervious area
    intercepted = ALPHA * BETA * rain
    XIN, (interception, throughfall) = implicit_store(
        XIN, intercepted, surface, (STOR, BETA * PET), start=0.95 * STOR
    )

    # Impervious area
    RSTOR, (evaporation, overflow) = implicit_store(
        RSTOR, IMPERV * (rain + snowmelt), surface, (RETIP, IMPERV * PET), 0.95 * RETIP
    )
    demand = (PET - interception - evaporation).clamp(min=0)

    # Soil: the lower zone transpires where the recharge zone holds less than the demand.
    water = BETA * (snowmelt + (1 - ALPHA) * rain) + throughfall
    RECHR, (soil_evaporation, runoff, percolation) = implicit_store(
        RECHR, water, recharge_zone, (REMX, demand, FSCN, SCX), 0.95 * REMX
    )
    infiltration = water - runoff
    unmet = (demand - soil_evaporation) * (1 - filled(RECHR, demand))
    SMAV, (transpiration, excess) = implicit_store(
        SMAV, percolation, lower_zone, (SMAX, unmet), 0.95 * SMAX
    )

    # Response: RES is at most what would drain all its water.
    seepage = torch.minimum(CGW, excess)
    most = RESMAX * ((RES + excess - seepage) / K1) ** (1 / K2)
    RES, (drainage, interflow) = implicit_store(
        RES, excess - seepage, reservoir, (RESMAX, K1, K2, K3, K4), most
    )
    GW = (GW + drainage + seepage) / (1 + K5 + K6)
    baseflow, sink = K5 * GW, K6 * GW

    surface_flow = overflow + runoff
    streamflow = surface_flow + interflow + baseflow
    aet = interception + evaporation + soil_evaporation + transpiration

    return State(SNOW, XIN, RSTOR, RECHR, SMAV, RES, GW), Flux(
        streamflow, surface_flow, interflow, baseflow, aet, sink, snowmelt,
        interception, soil_evaporation, infiltration, percolation, excess, seepage, drainage,
    )  # fmt: skip


def surface(S: Any, inflow: Tensor, capacity: Tensor, demand: Tensor) -> tuple[Any, Any]:
    """Evaporation and overflow of XIN or RSTOR."""
    return torch.minimum(S, demand), inflow * filled(S, capacity)


def recharge_zone(
    RECHR: Any, water: Tensor, REMX: Tensor, demand: Tensor, FSCN: Tensor, SCX: Tensor
) -> tuple[Any, Any, Any]:
    """Evapotranspiration, surface runoff and percolation of the recharge zone."""
    runoff = contributing_area(RECHR, REMX, FSCN, SCX) * water
    percolation = (water - runoff) * filled(RECHR, REMX)
    return RECHR * (demand / torch.maximum(RECHR, REMX)).clamp(max=1), runoff, percolation


def lower_zone(SMAV: Any, inflow: Tensor, SMAX: Tensor, demand: Tensor) -> tuple[Any, Any]:
    """Transpiration and excess of the lower zone."""
    transpiration = SMAV * (demand / torch.maximum(SMAV, SMAX)).clamp(max=1)
    return transpiration, inflow * filled(SMAV, SMAX)


def reservoir(
    RES: Any, _: Tensor, RESMAX: Tensor, K1: Tensor, K2: Tensor, K3: Tensor, K4: Tensor
) -> tuple[Any, Any]:
    """Drainage to groundwater and interflow of RES."""
    return drainage_of(RES, RESMAX, K1, K2), torch.minimum(RES, K3 * RES + K4 * RES * RES)


def filled(S: Any, capacity: Tensor) -> Any:
    """Smooth step from 0 to 1, half of it where a store holds 95 % of its capacity."""
    width = (SMOOTHING * capacity).clamp(min=NARROWEST)
    return torch.sigmoid((S - capacity) / width + 5)


class PrmsImplicit(ProcessModel):
    """PRMS with 18 parameters (Knoben et al. 2019), smooth and implicit, daily."""

    forcings = ("precipitation", "temperature", "pet")
    PARAMETERS = PARAMETERS
    SOURCE = "Knoben et al. 2019"
    State = State
    Flux = Flux
    BALANCE: ClassVar = Prms.BALANCE
    RUNOFF = Prms.RUNOFF
    RECOMMENDED_DYNAMIC = Prms.RECOMMENDED_DYNAMIC

    step = staticmethod(step)
    INITIAL_STORAGE = 0.001
