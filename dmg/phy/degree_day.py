"""Degree-day snow: a pack that melts with warmth, refreezes with cold and holds some water.

A module that feeds a soil model, see `dmg.phy.compose`; alone it gives rain and melt.

References
----------
Bergström 1976, SMHI Reports RHO 7, Norrköping (HBV).
Seibert and Vis 2012, HESS 16, 3315, doi:10.5194/hess-16-3315-2012 (HBV-light).

Differences from the publications: no snowfall correction factor (SFCF of HBV-light is 1); melt
and refreezing are limited by the store that they leave.

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
    "TT": Parameter(-3.0, 3.0, "degC", "temperature that separates snow from rain"),
    "CFMAX": Parameter(0.4, 12.0, "mm degC-1 d-1", "degree-day factor of snowmelt"),
    "CFR": Parameter(0.0, 0.1, "1", "refreezing relative to CFMAX"),
    "CWH": Parameter(0.0, 0.2, "1", "liquid water that the snowpack holds"),
}


class State(NamedTuple):
    """Storages, `[B, E]` each."""

    SNOWPACK: Tensor  # solid water of the snowpack [mm]
    MELTWATER: Tensor  # liquid water held in the snowpack [mm]


class Flux(NamedTuple):
    """Fluxes of one step, `[B, E]` each [mm d-1]."""

    rain_plus_melt: Tensor  # rain + pack_outflow
    rain: Tensor  # precipitation that is not snow
    snowmelt: Tensor  # melt of the snowpack
    pack_outflow: Tensor  # meltwater that leaves the snowpack


def step(
    state: State, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[State, Flux]:
    """Advance one day; the operators act in turn, each on the stores that the last one left.

    Forcing: `precipitation` [mm d-1], `temperature` [degC], `[B, 1]` each.
    """
    SNOWPACK, MELTWATER = state
    P, T = forcing["precipitation"], forcing["temperature"]
    TT, CFMAX, CFR, CWH = (parameters[name] for name in PARAMETERS)

    # The phase switch passes no gradient to TT, melt and refreezing do.
    rain = torch.where(T >= TT, P, 0.0)
    SNOWPACK = SNOWPACK + (P - rain)
    snowmelt = torch.minimum((CFMAX * (T - TT)).clamp(min=0), SNOWPACK)
    SNOWPACK, MELTWATER = SNOWPACK - snowmelt, MELTWATER + snowmelt
    refreezing = torch.minimum((CFR * CFMAX * (TT - T)).clamp(min=0), MELTWATER)
    SNOWPACK, MELTWATER = SNOWPACK + refreezing, MELTWATER - refreezing
    pack_outflow = (MELTWATER - CWH * SNOWPACK).clamp(min=0)
    MELTWATER = MELTWATER - pack_outflow

    fluxes = Flux(rain + pack_outflow, rain, snowmelt, pack_outflow)
    return State(SNOWPACK, MELTWATER), fluxes


class DegreeDay(ProcessModel):
    """Degree-day snow as in HBV (Bergström 1976), daily; feeds any soil model."""

    forcings = ("precipitation", "temperature")
    PARAMETERS = PARAMETERS
    SOURCE = "Rahmani et al. 2023"
    State = State
    Flux = Flux
    BALANCE: ClassVar = {"precipitation": +1, "rain_plus_melt": -1}
    RUNOFF = ("rain_plus_melt",)

    step = staticmethod(step)
    INITIAL_STORAGE = 0.001
