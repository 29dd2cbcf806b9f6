"""Snow-17: energy and water of a snowpack from air temperature, with areal depletion and routing.

A module that feeds a soil model, see `dmg.phy.compose`; alone it gives rain and melt.

References
----------
Anderson 1973, NOAA Technical Memorandum NWS HYDRO-17.
Anderson 2006, Snow accumulation and ablation model - SNOW-17, NOAA NWS.
Newman et al. 2015, HESS 19, 209, doi:10.5194/hess-19-209-2015 (default depletion curve).

Differences from the publications: a day is one step. South of the equator the melt factor is
largest in December. No updating with observed snow cover (AEADJ). One store (EXLAG) holds what is
lagged: the lag ends within a day; hourly outflows are summed in closed form. Snowfall below SNOF
stays on the depletion curve, as published; the public Fortran runs with a threshold of 0.

Shape legend: B basins, E components; every state, flux and parameter of a step is `[B, E]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy.base import ProcessModel
from dmg.scan import while_loop

PARAMETERS = {
    "SCF": Parameter(0.7, 1.4, "1", "snowfall that falls per snowfall that gauges catch"),
    "PXTEMP": Parameter(-2.0, 2.0, "degC", "temperature that separates rain from snow"),
    "MFMAX": Parameter(0.5, 2.0, "mm degC-1 (6 h)-1", "melt factor without rain on 21 June"),
    "MFMIN": Parameter(0.05, 0.6, "mm degC-1 (6 h)-1", "melt factor without rain on 21 December"),
    "NMF": Parameter(0.05, 0.5, "mm degC-1 (6 h)-1", "largest negative melt factor"),
    "MBASE": Parameter(0.0, 1.0, "degC", "base temperature of melt without rain"),
    "TIPM": Parameter(0.01, 1.0, "1", "weight of the last 6 h in the antecedent temperature"),
    "UADJ": Parameter(0.01, 0.2, "mm mbar-1 (6 h)-1", "wind function during rain on snow"),
    "PLWHC": Parameter(0.01, 0.3, "1", "liquid water that the pack holds"),
    "DAYGM": Parameter(0.0, 0.3, "mm d-1", "melt at the ground"),
    "SI": Parameter(0.0, 2000.0, "mm", "water equivalent above which the cover is complete"),
    "SNOF": Parameter(0.0, 10.0, "mm d-1", "snowfall that leaves the curve below", default=4.8),
} | {
    f"ADC{i + 1}": Parameter(0.05, 1.0, "1", f"cover at {i / 10:g} of the full pack", default=value)
    for i, value in enumerate((0.05, 0.15, 0.26, 0.45, 0.5, 0.56, 0.61, 0.65, 0.69, 0.82))
}

SIX_HOURS = 4.0
"""Steps of 6 h in a day."""
SNEW, RMIN = 1.5 * 24, 0.25 * 24
"""Snowfall that sets the antecedent temperature; rain that melts by energy balance [mm d-1]."""
STEFAN = 0.0612 * 24  # Stefan-Boltzmann constant [mm (100 K)-4 d-1]
DAY_ANGLE = 2 * 3.1416 / 366
"""Angle of a day in the year [rad], with as many digits as the Weather Service takes."""
WE_MIN = 1e-4
"""Pack below which attenuation is held constant [mm]: the slope of its power has no bound."""

Pair = tuple[Tensor, Tensor]
MAX_PARTS = 32
"""Parts that excess water is lagged in, at most: enough for 20 m a day."""


class State(NamedTuple):
    """Storages and memory of the pack, `[B, E]` each."""

    WE: Tensor  # water equivalent of the ice [mm]
    NEGHS: Tensor  # heat deficit, as water that would freeze [mm]
    LIQW: Tensor  # liquid water held by the pack [mm]
    TINDEX: Tensor  # antecedent temperature index, never above 0 [degC]
    ACCMAX: Tensor  # largest WE + LIQW since snow began to accumulate [mm]
    SB: Tensor  # WE + LIQW before new snow fell on a partly bare area [mm]
    SBAESC: Tensor  # snow cover before that snow fell [1]
    SBWS: Tensor  # WE + LIQW below which that new snow no longer covers all [mm]
    STORGE: Tensor  # excess water on its way through the pack [mm]
    EXLAG: Tensor  # excess water that lag holds back until the next day [mm]


class Flux(NamedTuple):
    """Fluxes of one step, `[B, E]` each [mm d-1]."""

    rain_plus_melt: Tensor  # water that reaches the soil
    correction: Tensor  # snowfall that SCF adds to (or takes from) the precipitation
    snowmelt: Tensor  # melt at the surface and at the ground
    cover: Tensor  # fraction of the area under snow at the end of the step [1]


def step(
    state: State, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[State, Flux]:
    """Advance one day. Forcing `[B, 1]` each: `precipitation` [mm d-1], `temperature` [degC].

    Also `elevation` [m], `latitude` [degrees] and `day_of_year`.
    """
    p, P, TA = parameters, forcing["precipitation"], forcing["temperature"]
    snows = TA <= p["PXTEMP"]
    rain = torch.where(snows, 0.0, P)
    S = torch.where(snows, p["SCF"] * P, 0.0)
    state = snowfall(state, S, TA, p)
    WE, NEGHS, LIQW, TINDEX, _, _, _, _, STORGE, EXLAG = state
    held = WE + LIQW + STORGE + EXLAG + rain
    AESC, state = areal_cover(state, p)

    # Surface: heat exchange and melt, of a full cover at first
    MF = melt_factor(forcing, p)
    CNHS = MF / p["MFMAX"] * p["NMF"] * SIX_HOURS * (TINDEX - TA.clamp(max=0))
    TINDEX = (TINDEX + (1 - (1 - p["TIPM"]) ** 4) * (TA - TINDEX)).clamp(max=0)
    M = torch.where(
        rain > RMIN,
        rain_on_snow(TA, forcing["elevation"], p["UADJ"]),
        SIX_HOURS * MF * (TA - p["MBASE"]).clamp(min=0),
    )
    M = AESC * (M + 0.0125 * rain * TA.clamp(min=0)).clamp(min=0)
    bare = (1 - AESC) * rain

    # Ground; a pack that melts altogether is gone, and its values below have no meaning
    thin = WE <= p["DAYGM"]
    ground = AESC * p["DAYGM"]
    drawn = ground * LIQW / torch.where(thin, 1.0, WE)
    gone = thin | (M >= WE - ground)
    snowmelt = torch.where(gone, WE, M + ground)
    WE, LIQW = (WE - ground - M).clamp(min=0), LIQW - drawn

    # Heat and water of the pack
    heat = torch.maximum(AESC * CNHS, -NEGHS) - TA.clamp(max=0) * S / 160
    NEGHS = torch.minimum((NEGHS + heat).clamp(min=0), 0.33 * WE)
    water = M + rain - bare
    excess = water + LIQW - NEGHS - p["PLWHC"] * (WE + NEGHS)
    freezing = torch.where(excess >= 0, NEGHS, torch.minimum(water, NEGHS))
    excess = excess.clamp(min=0)
    WE, NEGHS, LIQW = WE + freezing, NEGHS - freezing, LIQW + (water - freezing - excess)
    TINDEX = torch.where(NEGHS <= 0, 0.0, TINDEX)
    outflow, STORGE, EXLAG = routed(excess, WE, AESC, STORGE, EXLAG)

    state = state._replace(WE=WE, NEGHS=NEGHS, LIQW=LIQW, TINDEX=TINDEX, STORGE=STORGE, EXLAG=EXLAG)
    cover, state = areal_cover(state, p)
    released = torch.where(gone, held, outflow + ground + drawn + bare)
    state = State(*(torch.where(gone, 0.0, value) for value in state))
    return state, Flux(released, S + rain - P, snowmelt, torch.where(gone, 0.0, cover))


def snowfall(state: State, S: Tensor, TA: Tensor, p: Mapping[str, Tensor]) -> State:
    """Pack after the snowfall S [mm]: new snow covers all until a quarter of it has melted."""
    before = state.WE + state.LIQW
    after, covered, deep = before + S, before >= state.SBWS, (S >= p["SNOF"]) & (S > 0)
    fresh = torch.where(deep, before + 0.75 * S, state.SBWS)
    SB = torch.where(covered & deep, torch.minimum(state.SB, before), state.SB)
    return state._replace(
        WE=state.WE + S,
        TINDEX=torch.where(S > SNEW, TA.clamp(max=0), state.TINDEX),
        ACCMAX=torch.where((S > 0) & (after >= 3 * SB), after, state.ACCMAX),
        SB=SB,
        SBWS=torch.where(covered, state.SBWS + 0.75 * S, fresh),
    )


def areal_cover(state: State, p: Mapping[str, Tensor]) -> tuple[Tensor, State]:
    """Fraction of the area under snow by the depletion curve, and what the pack remembers of it."""
    TWE = (state.WE + state.LIQW).clamp(min=0)  # rounding could take it below an Ai of 0
    ACCMAX = torch.maximum(state.ACCMAX, TWE)
    Ai = torch.minimum(ACCMAX, p["SI"])
    full = TWE >= Ai
    on_curve = ~full & (TWE <= state.SB)
    between = ~full & ~on_curve & (TWE < state.SBWS)
    x = 10 * TWE / torch.where(full, 1.0, Ai)
    ordinates = [*(p[f"ADC{i + 1}"] for i in range(10)), torch.ones_like(TWE)]
    curve = ordinates[0]
    for i, (low, high) in enumerate(pairwise(ordinates)):
        curve = curve + (high - low) * (x - i).clamp(min=0, max=1)
    new = (TWE - state.SB) / torch.where(between, state.SBWS - state.SB, 1.0)
    AESC = torch.where(between, state.SBAESC + (1 - state.SBAESC) * new, 1.0)
    AESC = torch.where(on_curve, curve, AESC).clamp(min=0.05, max=1)
    return AESC, state._replace(
        ACCMAX=ACCMAX,
        SB=torch.where(full, TWE, torch.where(on_curve, TWE + p["SNOF"], state.SB)),
        SBAESC=torch.where(on_curve, AESC, state.SBAESC),
        SBWS=torch.where(full | on_curve, TWE, state.SBWS),
    )


def melt_factor(forcing: Mapping[str, Tensor], p: Mapping[str, Tensor]) -> Tensor:
    """Melt factor without rain [mm degC-1 (6 h)-1]: a sine of the year, less in the far north."""
    latitude, n = forcing["latitude"], forcing["day_of_year"] - 80  # days since 21 March
    n = torch.where(n < 0, n + 365, n)
    n = torch.where(latitude < 0, torch.where(n < 183, n + 183, n - 183), n)
    wave = 0.5 + 0.5 * torch.sin(DAY_ANGLE * n)
    light = torch.where(n < 92, n + 91, (n - 275).abs()) / 183
    rise = ((light - 0.48) / 0.22).clamp(min=0, max=1)
    return p["MFMIN"] + (p["MFMAX"] - p["MFMIN"]) * torch.where(
        latitude.abs() < 54, wave, wave * rise
    )


def rain_on_snow(TA: Tensor, elevation: Tensor, UADJ: Tensor) -> Tensor:
    """Melt by radiation, vapour and warm air under rain, at 90 % humidity [mm d-1]."""
    height = (elevation / 100).clamp(min=1e-9)  # its power needs a logarithm
    PA = 33.86 * (29.9 - 0.335 * height + 0.00022 * height**2.4)
    ea = 0.9 * 2.7489e8 * torch.exp(-4278.63 / (TA + 242.792))
    kelvin = (TA + 273) / 100
    QN = STEFAN * (kelvin**2 * kelvin**2 - 55.55)
    return QN + (8.5 * (ea - 6.11) + 7.5 * 0.000646 * PA * TA) * UADJ * SIX_HOURS


def routed(
    excess: Tensor, WE: Tensor, AESC: Tensor, STORGE: Tensor, EXLAG: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Outflow of the pack [mm d-1], and the water left in attenuation and in lag [mm]."""
    lags = (excess >= 0.1) & (WE >= 1)
    amount = torch.where(lags, excess, 1.0)
    n = ((4 * amount) ** 0.3 + 0.5).floor().clamp(min=1, max=MAX_PARTS)

    def lag(carried: Pair, of: Pair) -> Pair:
        (i, hours), (n, ratio) = carried, of
        lag = 5.33 * (1 - torch.exp(-(ratio * n / (i - 0.5)).clamp(max=150)))
        return i + 1, hours + lag

    start = torch.ones_like(n), torch.zeros_like(n)
    ratio = 0.03 * SIX_HOURS * torch.where(lags, WE, 0.0) / amount
    _, hours = while_loop(lambda c, of: c[0] <= of[0], lag, start, (n, ratio), MAX_PARTS)
    lagged = torch.where(lags, hours / (24 * n) * excess, 0.0)

    # Attenuation: 24 hourly shares R1 = 1 / (1 + stays) of what is stored, a geometric series
    inflow = EXLAG + (excess - lagged)
    hourly, pack = inflow / 24, WE.clamp(min=WE_MIN)
    stays = 5 * torch.exp(-(500 * hourly / pack * (25.4 * AESC / pack) ** 0.3).clamp(max=150))
    left = ((((stays / (1 + stays)) ** 3) ** 2) ** 2) ** 2  # each a multiplication
    kept = STORGE * left + hourly * stays * (1 - left)
    kept = torch.where((STORGE + inflow < 0.1) | (kept <= 0.001), 0.0, kept)
    return STORGE + inflow - kept, kept, lagged


class Snow17(ProcessModel):
    """Snow-17 of the US National Weather Service (Anderson 2006), daily; feeds any soil model."""

    forcings = ("precipitation", "temperature", "elevation", "latitude", "day_of_year")
    PARAMETERS = PARAMETERS
    SOURCE = "calibration ranges of jsnow17"
    State = State
    Flux = Flux
    BALANCE: ClassVar = {"precipitation": +1, "correction": +1, "rain_plus_melt": -1}
    SIGNED = ("correction", "TINDEX")
    RUNOFF = ("rain_plus_melt",)

    step = staticmethod(step)

    def storage(self, state: Any, parameters: Mapping[str, Tensor]) -> Tensor:
        """Ice, liquid water and water on its way through the pack, `[B, E]` [mm]."""
        return torch.stack((state.WE, state.LIQW, state.STORGE, state.EXLAG)).sum(0)
