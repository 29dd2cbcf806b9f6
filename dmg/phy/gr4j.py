"""GR4J: a production store, two unit hydrographs, a routing store and an exchange with outside.

References
----------
Perrin, Michel and Andreassian 2003, J. Hydrol. 279, 275, doi:10.1016/S0022-1694(03)00225-7.
Equation numbers at the right of a line are those of this paper.

The unit hydrographs are part of the state: `UH1_k` and `UH2_k` hold the water that leaves them k
days from now. A step adds the day's inflow, spread by the ordinates, and moves all up by a day.
So the water in transit is counted, a run in pieces equals one run, x4 may change in time without
loss of water, and the model is one pointwise step that fuses like any other. A convolution between
two loops would need the same memory, in a form of its own.

Differences from the publication: hyperbolic tangents are not cut off at an argument of 13. The
relative content of the production store counts as at most 1, which it exceeds only where x1 falls
in time. Powers that are taken by a root have an argument of at least `NEAR_ZERO`. The exchange is
limited by the water at hand, as there; `regional_flow` is what was exchanged, and may be negative.

Shape legend: B basins, E components; every state, flux and parameter of a step is `[B, E]`.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy.base import ProcessModel

PARAMETERS = {
    "x1": Parameter(1.0, 2000.0, "mm", "capacity of the production store", scale="log"),
    "x2": Parameter(-20.0, 20.0, "mm d-1", "exchange with outside at a full routing store"),
    "x3": Parameter(1.0, 300.0, "mm", "capacity of the routing store", scale="log"),
    "x4": Parameter(0.5, 15.0, "d", "time base of the first unit hydrograph"),
}

LENGTH = 15
"""Ordinates of the first unit hydrograph, the upper bound of x4; the second has twice as many."""

NEAR_ZERO = 1e-6
"""Least argument of powers that are taken by a root, whose slope at zero has no bound.

It changes shares by 1e-15, and takes away an exchange of 1e-20 mm d-1.
"""


def _fields() -> tuple[str, ...]:
    first = (f"UH1_{k}" for k in range(1, LENGTH))
    second = (f"UH2_{k}" for k in range(1, 2 * LENGTH))
    return ("S", "R", *first, *second)


class State(namedtuple("State", _fields())):  # type: ignore[misc]
    """Storages, `[B, E]` each."""

    S: Tensor  # production store [mm]
    R: Tensor  # routing store [mm]
    UH1_k: Tensor  # water that leaves the first unit hydrograph in k days, k = 1 to 14 [mm]
    UH2_k: Tensor  # water that leaves the second unit hydrograph in k days, k = 1 to 29 [mm]


class Flux(NamedTuple):
    """Fluxes of one step, `[B, E]` each [mm d-1]."""

    streamflow: Tensor  # routed_flow + direct_flow
    routed_flow: Tensor  # outflow of the routing store, Qr
    direct_flow: Tensor  # flow beside the routing store, Qd
    aet: Tensor  # actual evapotranspiration: interception and Es
    regional_flow: Tensor  # gained from outside by both branches, negative where lost
    exchange: Tensor  # what each branch would gain if it had the water to lose, F
    infiltration: Tensor  # rain into the production store, Ps
    percolation: Tensor  # out of the production store, Perc


def step(
    state: Any, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[Any, Flux]:
    """Advance one day.

    Forcing: `precipitation` [mm d-1], `pet` [mm d-1], `[B, 1]` each.
    """
    S, R, *waiting = state
    UH1, UH2 = waiting[: LENGTH - 1], waiting[LENGTH - 1 :]
    P, E = forcing["precipitation"], forcing["pet"]
    x1, x2, x3, x4 = (parameters[name] for name in PARAMETERS)

    # Production store
    Pn, En = (P - E).clamp(min=0), (E - P).clamp(min=0)  # 1, 2
    s, rain, sun = (S / x1).clamp(max=1), torch.tanh(Pn / x1), torch.tanh(En / x1)
    Ps = x1 * (1 - s * s) * rain / (1 + s * rain)  # 3
    Es = S * (2 - s) * sun / (1 + (1 - s) * sun)  # 4
    S = S - Es + Ps  # 5
    Perc = S * _drained(4 / 9 * S / x1)  # 6
    S = S - Perc  # 7
    Pr = Perc + (Pn - Ps)  # 8

    # Unit hydrographs
    SH1, SH2 = s_curves(x4)
    Q9, UH1 = _released(UH1, 0.9 * Pr, SH1)
    Q1, UH2 = _released(UH2, Pr - 0.9 * Pr, SH2)

    # Exchange and routing store
    r = (R / x3).clamp(min=NEAR_ZERO)
    F = x2 * r * r * r * torch.sqrt(r)  # 18
    routed, direct = torch.maximum(F, -(R + Q9)), torch.maximum(F, -Q1)
    R = R + Q9 + routed  # 19
    Qr = R * _drained(R / x3)  # 20
    R = R - Qr  # 21
    Qd = Q1 + direct  # 22

    return State._make([S, R, *UH1, *UH2]), Flux(
        Qr + Qd, Qr, Qd, torch.minimum(P, E) + Es, routed + direct, F, Ps, Perc
    )  # fmt: skip


def s_curves(x4: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Share of a day's water that has left the unit hydrographs after 0, 1, 2, ... days.

    From one to two times x4 the second rises as it did before, upside down.
    """
    days = [k / x4 for k in range(2 * LENGTH + 1)]
    base = [torch.minimum(t, 2 - t).clamp(min=NEAR_ZERO) for t in days]
    power = [x * x * torch.sqrt(x) for x in base]
    SH1 = [torch.where(t < 1, p, 1.0) for t, p in zip(days, power, strict=True)]  # 9 to 11
    SH2 = [torch.where(t < 1, p / 2, 1 - p / 2) for t, p in zip(days, power, strict=True)]  # 12-15
    return SH1[: LENGTH + 1], SH2


def _drained(x: Tensor) -> Tensor:
    """Share of its water that a store gives in a day, x: its relative content."""
    return 1 - 1 / torch.sqrt(torch.sqrt(1 + (x * x) * (x * x)))


def _released(
    water: Sequence[Tensor], inflow: Tensor, share: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """Water that leaves a unit hydrograph today, and what is left in it by days to go."""
    days = len(share) - 1
    spread = [(share[k + 1] - share[k]) * inflow for k in range(days)]
    waiting = [*(w + s for w, s in zip(water, spread, strict=False)), spread[-1]]
    return waiting[0], waiting[1:]


class Gr4j(ProcessModel):
    """GR4J (Perrin et al. 2003), daily: production store, unit hydrographs, routing store."""

    forcings = ("precipitation", "pet")
    PARAMETERS = PARAMETERS
    SOURCE = "Perrin et al. 2003, wider"
    State = State
    Flux = Flux
    BALANCE: ClassVar = {"precipitation": +1, "streamflow": -1, "aet": -1, "regional_flow": +1}
    SIGNED = ("regional_flow", "exchange")
    RUNOFF = ("streamflow", "routed_flow", "direct_flow")
    RECOMMENDED_DYNAMIC = ("x1", "x2")

    step = staticmethod(step)
