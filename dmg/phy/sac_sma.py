"""SAC-SMA: the Sacramento soil moisture accounting of the US National Weather Service, in full.

Tension and free water in an upper and a lower zone; percolation between them that the need of
the lower zone drives; a part of the area that becomes impervious as it wets. Each day is cut
into increments of at most 5 mm of free water. `sac_sma` is fed by Snow-17.

References
----------
Burnash, Ferral and McGuire 1973, A generalized streamflow simulation system, NWS and California
Department of Water Resources.
Burnash 1995, The NWS river forecast system - catchment modeling, in Singh (ed.), Computer Models
of Watershed Hydrology.
Newman et al. 2015, HESS 19, 209, doi:10.5194/hess-19-209-2015 (with Snow-17, for CAMELS-US).

Differences from the publications: where the variable impervious area holds less than the upper
tension water (ADIMC < UZTWC), the published algorithm raises it, with water from nowhere; here
upper free water gives what it has, so that the balance closes exactly. Evapotranspiration of
that area is not let below 0. No frozen ground. A day has at most MAX_INCREMENTS increments.

Shape legend: B basins, E components; every state, flux and parameter of a step is `[B, E]`.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy.base import ProcessModel
from dmg.phy.compose import Composite
from dmg.phy.snow17 import Snow17
from dmg.scan import while_loop

PARAMETERS = {
    "UZTWM": Parameter(10.0, 150.0, "mm", "capacity of upper tension water"),
    "UZFWM": Parameter(1.0, 150.0, "mm", "capacity of upper free water"),
    "UZK": Parameter(0.15, 0.75, "d-1", "interflow of upper free water"),
    "PCTIM": Parameter(0.0, 0.1, "1", "fraction of area that is always impervious"),
    "ADIMP": Parameter(0.0, 0.4, "1", "fraction of area that becomes impervious as it wets"),
    "RIVA": Parameter(0.0, 0.2, "1", "fraction of area under riparian vegetation", default=0.0),
    "ZPERC": Parameter(1.0, 350.0, "1", "increase of percolation to a dry zone", scale="log"),
    "REXP": Parameter(1.0, 5.0, "1", "shape of the percolation curve"),
    "LZTWM": Parameter(1.0, 500.0, "mm", "capacity of lower tension water"),
    "LZFSM": Parameter(1.0, 1000.0, "mm", "capacity of supplemental free water", scale="log"),
    "LZFPM": Parameter(1.0, 1000.0, "mm", "capacity of primary free water", scale="log"),
    "LZSK": Parameter(0.01, 0.25, "d-1", "baseflow of supplemental free water", scale="log"),
    "LZPK": Parameter(0.001, 0.05, "d-1", "baseflow of primary free water", scale="log"),
    "PFREE": Parameter(0.0, 0.8, "1", "fraction of percolation that goes to free water at once"),
    "SIDE": Parameter(0.0, 0.5, "1", "deep recharge per baseflow to the channel", default=0.0),
    "RSERV": Parameter(
        0.0, 0.4, "1", "fraction of lower free water closed to evapotranspiration", default=0.3
    ),
}

MAX_INCREMENTS = 256
"""Largest number of increments of a day: 5 mm each up to 1275 mm of water."""


class State(NamedTuple):
    """Storages, `[B, E]` each."""

    UZTWC: Tensor  # upper tension water of the pervious area [mm]
    UZFWC: Tensor  # upper free water of the pervious area [mm]
    LZTWC: Tensor  # lower tension water of the pervious area [mm]
    LZFSC: Tensor  # supplemental free water of the pervious area [mm]
    LZFPC: Tensor  # primary free water of the pervious area [mm]
    ADIMC: Tensor  # tension water of the variable impervious area [mm]


class Flux(NamedTuple):
    """Fluxes of one step, `[B, E]` each [mm d-1]; the area's mean."""

    streamflow: Tensor  # TCI: all runoff and baseflow, less evapotranspiration of the riparian area
    impervious_runoff: Tensor  # ROIMP: from the impervious area
    direct_runoff: Tensor  # SDRO: from the variable impervious area
    surface_flow: Tensor  # SSUR: from a full upper zone
    interflow: Tensor  # SIF: flow of upper free water
    supplemental_baseflow: Tensor  # BFS: flow of supplemental free water to the channel
    primary_baseflow: Tensor  # BFP: flow of primary free water to the channel
    deep_recharge: Tensor  # BFNCC: baseflow that does not reach the channel
    aet: Tensor  # TET: actual evapotranspiration of all areas, snow aside
    percolation: Tensor  # upper to lower zone


Day = namedtuple("Day", "k UZFWC LZTWC LZFSC LZFPC ADIMC BFP BFS SSUR SIF SDRO SPERC")
"""What the increments of a day change: their number, stores [mm] and sums over the day [mm d-1]."""
Fixed = namedtuple(
    "Fixed",
    "NINC PINC DUZ DLZS DLZP UZTWC UZTWM UZFWM PCTIM ADIMP ZPERC REXP LZTWM LZFSM LZFPM PFREE",
)
"""What stays the same over the increments of a day."""


def step(
    state: State, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[State, Flux]:
    """Advance one day: evapotranspiration first, then rain and melt in increments.

    Forcing: `precipitation` (rain and melt) and `pet` [mm d-1], `[B, 1]` or `[B, E]` each.
    """
    PX, EP, p = forcing["precipitation"], forcing["pet"], parameters
    PAREA = 1 - p["PCTIM"] - p["ADIMP"]
    state, EUSED, E5 = evapotranspiration(state, EP, p)
    UZTWC, UZFWC, LZTWC, LZFSC, LZFPC, ADIMC = state

    TWX = (PX + UZTWC - p["UZTWM"]).clamp(min=0)
    UZTWC, ADIMC = UZTWC + (PX - TWX), ADIMC + (PX - TWX)
    NINC = (1 + 0.2 * (UZFWC + TWX)).floor().clamp(max=MAX_INCREMENTS)
    DUZ, DLZS, DLZP = (1 - (1 - p[name]) ** (1 / NINC) for name in ("UZK", "LZSK", "LZPK"))
    given = (p[name] for name in Fixed._fields if name in p)
    none = torch.zeros_like(NINC)
    day = while_loop(
        lambda day, fixed: day.k < fixed.NINC,
        increment,
        Day(none, UZFWC, LZTWC, LZFSC, LZFPC, ADIMC, none, none, none, none, none, none),
        Fixed(NINC, TWX / NINC, DUZ, DLZS, DLZP, UZTWC, *given),
        MAX_INCREMENTS,
    )

    ROIMP, SIF, channel = PX * p["PCTIM"], day.SIF * PAREA, PAREA / (1 + p["SIDE"])
    BFS, BFP = day.BFS * channel, day.BFP * channel
    BFNCC = p["SIDE"] * (BFS + BFP)
    TCI = ROIMP + day.SDRO + day.SSUR + SIF + BFS + BFP
    E4 = torch.minimum((EP - EUSED).clamp(min=0) * p["RIVA"], TCI)
    TET = EUSED * PAREA + E5 * p["ADIMP"] + E4

    # ADIMC is raised to UZTWC by the free water at hand
    rise = (UZTWC - day.ADIMC).clamp(min=0)
    need, have = rise * p["ADIMP"], day.UZFWC * PAREA
    met = torch.where(need > have, have / torch.where(need > have, need, 1.0), 1.0)
    UZFWC, ADIMC = day.UZFWC - met * need / PAREA.clamp(min=1e-9), day.ADIMC + met * rise
    return State(UZTWC, UZFWC, day.LZTWC, day.LZFSC, day.LZFPC, ADIMC), Flux(
        TCI - E4, ROIMP, day.SDRO, day.SSUR, SIF, BFS, BFP, BFNCC, TET, day.SPERC * PAREA
    )


def evapotranspiration(
    state: State, EP: Tensor, p: Mapping[str, Tensor]
) -> tuple[State, Tensor, Tensor]:
    """Draw evapotranspiration: stores, and its depth in the pervious and the variable area [mm]."""
    UZTWC, UZFWC, LZTWC, LZFSC, LZFPC, ADIMC = state
    UZTWM, UZFWM, LZTWM = p["UZTWM"], p["UZFWM"], p["LZTWM"]
    E1 = UZTWC * (EP / UZTWM).clamp(max=1)
    RED = EP - E1
    E2 = torch.where((EP > UZTWM) & (UZTWC > 0), torch.minimum(UZFWC, RED), 0.0)
    UZTWC, UZFWC, RED = UZTWC - E1, UZFWC - E2, RED - E2
    # free water moves to tension water until both are filled alike
    DEL = ((UZFWC * UZTWM - UZTWC * UZFWM) / (UZTWM + UZFWM)).clamp(min=0)
    UZTWC, UZFWC = UZTWC + DEL, UZFWC - DEL
    E3 = LZTWC * (RED / (UZTWM + LZTWM)).clamp(max=1)
    LZTWC = LZTWC - E3
    # the same below, but for the water held in reserve; supplemental water goes first
    free = p["LZFPM"] + p["LZFSM"]
    SAVED = p["RSERV"] * free
    RATLZ = (LZTWC + LZFPC + LZFSC - SAVED) / (LZTWM + free - SAVED)
    DEL = (RATLZ * LZTWM - LZTWC).clamp(min=0)
    from_s = torch.minimum(DEL, LZFSC)
    from_p = torch.minimum(DEL - from_s, LZFPC)
    LZTWC, LZFSC, LZFPC = LZTWC + from_s + from_p, LZFSC - from_s, LZFPC - from_p
    E5 = E1 + (RED + E2) * (ADIMC - E1 - UZTWC) / (UZTWM + LZTWM)
    E5 = torch.minimum(E5.clamp(min=0), ADIMC)
    return State(UZTWC, UZFWC, LZTWC, LZFSC, LZFPC, ADIMC - E5), E1 + E2 + E3, E5


def increment(day: Day, f: Fixed) -> Day:
    """One increment: baseflow, percolation, interflow, then the water that is added."""
    k, UZFWC, LZTWC, LZFSC, LZFPC, ADIMC, *_ = day
    RATIO = ((ADIMC - f.UZTWC) / f.LZTWM).clamp(min=0, max=1)
    ADDRO = f.PINC * RATIO**2
    LZFPC, BFP = drained(LZFPC, f.DLZP)
    LZFSC, BFS = drained(LZFSC, f.DLZS)

    # Percolation; the power has an exponent of at least 1, and no infinite slope
    wet = f.PINC + UZFWC > 0.01
    capacity = f.LZTWM + f.LZFPM + f.LZFSM
    lower = LZTWC + LZFPC + LZFSC
    DEFR = (1 - lower / capacity).clamp(min=0)
    PERCM = (f.LZFPM * f.DLZP + f.LZFSM * f.DLZS) * (1 + f.ZPERC * DEFR**f.REXP)
    PERC = UZFWC * (PERCM / f.UZFWM).clamp(max=1)
    PERC = torch.minimum(PERC, (capacity - lower).clamp(min=0))
    PERC = torch.where(wet, PERC, 0.0)
    SIF = torch.where(wet, (UZFWC - PERC) * f.DUZ, 0.0)
    UZFWC = UZFWC - PERC - SIF

    # To tension water first, but for PFREE; free water by relative deficit, the rest to tension
    PERCT = torch.minimum(PERC * (1 - f.PFREE), (f.LZTWM - LZTWC).clamp(min=0))
    PERCF = PERC - PERCT
    dp, ds = (1 - LZFPC / f.LZFPM).clamp(min=0), (1 - LZFSC / f.LZFSM).clamp(min=0)
    HPL = f.LZFPM / (f.LZFPM + f.LZFSM)
    FRACP = (2 * HPL * dp / (dp + ds).clamp(min=1e-9)).clamp(max=1)
    PERCS = torch.minimum(PERCF * (1 - FRACP), (f.LZFSM - LZFSC).clamp(min=0))
    PERCP = torch.minimum(PERCF - PERCS, (f.LZFPM - LZFPC).clamp(min=0))
    LZTWC, LZFSC, LZFPC = LZTWC + PERCT + (PERCF - PERCS - PERCP), LZFSC + PERCS, LZFPC + PERCP

    # Rain and melt fill upper free water, then run off; so they do in the variable area
    SUR = torch.minimum((f.PINC + UZFWC - f.UZFWM).clamp(min=0), f.PINC)
    UZFWC = UZFWC + (f.PINC - SUR)
    ADSUR = SUR * (1 - RATIO**2)
    ADIMC = ADIMC + (f.PINC - ADDRO - ADSUR)
    over = (ADIMC - f.UZTWM - f.LZTWM).clamp(min=0)
    return Day(
        k + 1, UZFWC, LZTWC, LZFSC, LZFPC, ADIMC - over,
        day.BFP + BFP, day.BFS + BFS,
        day.SSUR + SUR * (1 - f.PCTIM - f.ADIMP) + ADSUR * f.ADIMP,
        day.SIF + SIF, day.SDRO + (ADDRO + over) * f.ADIMP, day.SPERC + PERC,
    )  # fmt: skip


def drained(content: Tensor, depletion: Tensor) -> tuple[Tensor, Tensor]:
    """Store after its baseflow, and that; what would leave less than 1e-4 mm leaves nothing."""
    flow = torch.where(content * (1 - depletion) < 1e-4, content, content * depletion)
    return content - flow, flow


class SacSmaSoil(ProcessModel):
    """Soil of SAC-SMA, which reads rain and melt as `precipitation`."""

    forcings = ("precipitation", "pet")
    PARAMETERS = PARAMETERS
    SOURCE = "calibration ranges of jSACSMA"
    State = State
    Flux = Flux
    BALANCE: ClassVar = {"precipitation": +1, "streamflow": -1, "aet": -1, "deep_recharge": -1}
    RUNOFF = (
        "streamflow", "impervious_runoff", "direct_runoff", "surface_flow", "interflow",
        "supplemental_baseflow", "primary_baseflow",
    )  # fmt: skip
    RECOMMENDED_DYNAMIC = ("UZK", "ZPERC", "REXP")

    step = staticmethod(step)

    def storage(self, state: Any, parameters: Mapping[str, Tensor]) -> Tensor:
        """Water of the pervious and of the variable impervious area, `[B, E]` [mm]."""
        *pervious, ADIMC = state
        PCTIM, ADIMP = parameters["PCTIM"], parameters["ADIMP"]
        held: Tensor = (1 - PCTIM - ADIMP) * torch.stack(pervious).sum(0) + ADIMP * ADIMC
        return held


class SacSma(Composite):
    """SAC-SMA of the US National Weather Service with its increments, fed by Snow-17, daily."""

    snow, soil = Snow17, SacSmaSoil
