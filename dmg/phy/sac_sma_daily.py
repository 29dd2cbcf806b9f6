"""Daily SAC-SMA: five stores in one pass a day, fed by degree-day snow; made for learning.

References
----------
Burnash, Ferral and McGuire 1973, A generalized streamflow simulation system, NWS (SAC-SMA).
Knoben et al. 2019, GMD 12, 2463, doi:10.5194/gmd-12-2463-2019 (capacities as fractions of smax).
Rahmani et al. 2023, WRR 59, e2023WR034420, doi:10.1029/2023WR034420 (differentiable form).

Differences from the publications: every flux is limited by the store that it leaves, so that the
balance closes exactly; the published code floors stores at 1e-5 mm and drops as much with each
flux. Free water of the lower zone is shared between its two stores once; the published code
computes the second share after the first store has changed, so that shares need not add up to 1.

Shape legend: B basins, E components; every state, flux and parameter of a step is `[B, E]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy.base import ProcessModel
from dmg.phy.compose import Composite
from dmg.phy.degree_day import DegreeDay

PARAMETERS = {
    "pctim": Parameter(0.0, 1.0, "1", "fraction of impervious area"),
    "smax": Parameter(1.0, 3000.0, "mm", "capacity of all stores together"),
    "f1": Parameter(0.005, 0.995, "1", "fraction of smax that is upper tension water"),
    "f2": Parameter(0.005, 0.995, "1", "fraction of the rest that is upper free water"),
    "kuz": Parameter(0.0, 1.0, "d-1", "interflow of upper free water"),
    "rexp": Parameter(0.0, 8.0, "1", "exponent of percolation, less 1"),
    "f3": Parameter(0.005, 0.995, "1", "fraction of the rest that is lower tension water"),
    "f4": Parameter(0.005, 0.995, "1", "fraction of the rest that is primary free water"),
    "pfree": Parameter(0.0, 1.0, "1", "fraction of percolation that goes to free water at once"),
    "klzp": Parameter(0.0, 1.0, "d-1", "baseflow of primary free water"),
    "klzs": Parameter(0.0, 1.0, "d-1", "baseflow of supplemental free water"),
}

CAPACITY_MIN = 0.00125
"""Smallest capacity of a store [mm]: every one of them is a divisor."""
ZPERC_MAX = 1e5
"""Largest increase of percolation, where the lower zone hardly drains [1]."""


class State(NamedTuple):
    """Storages, `[B, E]` each."""

    UZTW: Tensor  # upper zone, tension water [mm]
    UZFW: Tensor  # upper zone, free water [mm]
    LZTW: Tensor  # lower zone, tension water [mm]
    LZFP: Tensor  # lower zone, primary free water [mm]
    LZFS: Tensor  # lower zone, supplemental free water [mm]


class Flux(NamedTuple):
    """Fluxes of one step, `[B, E]` each [mm d-1]."""

    streamflow: Tensor  # surface_flow + interflow + baseflow
    surface_flow: Tensor  # runoff of the impervious area, and of a full upper zone
    interflow: Tensor  # flow of upper free water
    baseflow: Tensor  # flow of primary and supplemental free water
    aet: Tensor  # actual evapotranspiration, snow aside
    percolation: Tensor  # upper to lower zone


def step(
    state: State, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[State, Flux]:
    """Advance one day; the operators act in turn, each on the stores that the last one left.

    Forcing: `precipitation` (rain), `melt` and `pet` [mm d-1], `[B, 1]` or `[B, E]` each. The
    impervious area sheds its part of the rain, not of the melt. Fractions of a store are limited
    to 1, not fluxes to the store: the slope of min(a x, x) at x = 0 would grow over a drought.
    """
    UZTW, UZFW, LZTW, LZFP, LZFS = state
    R, E = forcing["precipitation"], forcing["pet"]
    pctim, _, _, _, kuz, _, _, _, pfree, klzp, klzs = (parameters[name] for name in PARAMETERS)
    UZTWM, UZFWM, LZTWM, LZFPM, LZFSM = capacities(parameters)

    # Upper zone: tension water first, free water what exceeds it, runoff what exceeds both
    qdir = pctim * R
    UZTW = UZTW + (R - qdir) + forcing["melt"]
    UZTW, twexu = spilled(UZTW, UZTWM)
    UZFW, qsur = spilled(UZFW + twexu, UZFWM)
    ru = ((UZTWM * UZFW - UZFWM * UZTW) / (UZTWM + UZFWM)).clamp(min=0)
    UZTW, UZFW = UZTW + ru, UZFW - ru
    euztw = UZTW * (E / UZTWM).clamp(max=1)
    UZTW = UZTW - euztw
    qint = kuz * UZFW
    UZFW = UZFW - qint

    # Lower stores are above their capacity only where a dynamic parameter has lowered it
    LZTW, twexl = spilled(LZTW, LZTWM)
    LZFP, overp = spilled(LZFP, LZFPM)
    LZFS, overs = spilled(LZFS, LZFSM)

    # Percolation: the power has an exponent of at least 1, and no infinite slope
    capacity = LZTWM + LZFPM + LZFSM
    dry = (1 - (LZTW + LZFP + LZFS) / capacity).clamp(min=0)
    pc = UZFW * (demand(dry, parameters) / UZFWM).clamp(max=1)
    euzfw = torch.minimum((E - euztw).clamp(min=0), UZFW - pc)
    UZFW = UZFW - pc - euzfw

    # Lower zone: free water refills tension water; what tension water cannot hold becomes free
    free = LZFPM + LZFSM
    lack = (LZTWM * (LZFP + LZFS) - LZTW * free).clamp(min=0) / (free * capacity)
    rlp, rls = torch.minimum(LZFPM * lack, LZFP), torch.minimum(LZFSM * lack, LZFS)
    LZTW, excess = spilled(LZTW + rlp + rls + (1 - pfree) * pc, LZTWM)
    rest = (E - euztw - euzfw).clamp(min=0)
    elztw = LZTW * (rest / (UZTWM + LZTWM)).clamp(max=1)
    LZTW, LZFP, LZFS = LZTW - elztw, LZFP - rlp, LZFS - rls
    tofree = pfree * pc + twexl + excess
    toprimary = tofree * share(LZFP / LZFPM, LZFS / LZFSM)
    LZFP, qbfp = drained(LZFP + toprimary, klzp, LZFPM)
    LZFS, qbfs = drained(LZFS + (tofree - toprimary), klzs, LZFSM)

    surface_flow, baseflow = qdir + qsur, qbfp + overp + qbfs + overs
    streamflow, aet = surface_flow + qint + baseflow, euztw + euzfw + elztw
    state = State(UZTW, UZFW, LZTW, LZFP, LZFS)
    return state, Flux(streamflow, surface_flow, qint, baseflow, aet, pc)


def capacities(parameters: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Capacities UZTWM, UZFWM, LZTWM, LZFPM, LZFSM [mm]: successive fractions of what is left."""
    rest, found = parameters["smax"], []
    for name in ("f1", "f2", "f3", "f4"):
        found.append((parameters[name] * rest).clamp(min=CAPACITY_MIN))
        rest = (1 - parameters[name]) * rest
    UZTWM, UZFWM, LZTWM, LZFPM = found
    return UZTWM, UZFWM, LZTWM, LZFPM, rest.clamp(min=CAPACITY_MIN)


def demand(dry: Any, parameters: Mapping[str, Tensor]) -> Any:
    """Percolation [mm d-1] out of a full upper zone; `dry`: relative deficit of the lower one."""
    rexp, klzp, klzs = (parameters[name] for name in ("rexp", "klzp", "klzs"))
    _, _, LZTWM, LZFPM, LZFSM = capacities(parameters)
    PBASE = LZFPM * klzp + LZFSM * klzs
    ZPERC = (LZTWM + LZFSM * (1 - klzs) + LZFPM * (1 - klzp)) / PBASE.clamp(min=CAPACITY_MIN**2)
    return PBASE * (1 + ZPERC.clamp(max=ZPERC_MAX) * dry ** (1 + rexp))


def spilled(content: Tensor, capacity: Tensor) -> tuple[Tensor, Tensor]:
    """Store after it has lost what exceeds its capacity, and what it has lost."""
    excess = (content - capacity).clamp(min=0)
    return content - excess, excess


def share(primary: Any, supplemental: Any) -> Any:
    """Part of new free water that goes to the primary store, by the relative deficits of both."""
    dp, ds = (1 - primary).clamp(min=0), (1 - supplemental).clamp(min=0)
    return dp / (dp + ds).clamp(min=1e-6)  # none if both are full: it overflows all the same


def drained(content: Tensor, k: Tensor, capacity: Tensor) -> tuple[Tensor, Tensor]:
    """Store after its linear outflow and what then exceeds its capacity, and both together."""
    content, flow = content - k * content, k * content
    content, excess = spilled(content, capacity)
    return content, flow + excess


class SacSmaDailySoil(ProcessModel):
    """Soil of the daily SAC-SMA, which reads rain and melt."""

    forcings = ("precipitation", "melt", "pet")
    PARAMETERS = PARAMETERS
    SOURCE = "Rahmani et al. 2023"
    State = State
    Flux = Flux
    BALANCE: ClassVar = {"precipitation": +1, "melt": +1, "streamflow": -1, "aet": -1}
    RUNOFF = ("streamflow", "surface_flow", "interflow", "baseflow")
    RECOMMENDED_DYNAMIC = ("smax", "kuz", "rexp")

    step = staticmethod(step)
    INITIAL_STORAGE = 0.001


class SacSmaDaily(Composite):
    """Daily SAC-SMA with degree-day snow (Rahmani et al. 2023), made for learning."""

    snow, soil = DegreeDay, SacSmaDailySoil
    feeds: ClassVar = {"precipitation": "rain", "melt": "pack_outflow"}
    BALANCE: ClassVar = {"precipitation": +1, "streamflow": -1, "aet": -1}
