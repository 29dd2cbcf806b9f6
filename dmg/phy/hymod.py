"""HYMOD: a soil of distributed capacity, three quick stores in a row and a slow one beside them.

References
----------
Moore 2007, HESS 11, 483, doi:10.5194/hess-11-483-2007 (probability-distributed soil capacity).
Boyle 2000, PhD thesis, University of Arizona (HYMOD).
Wagener et al. 2001, HESS 5, 13, doi:10.5194/hess-5-13-2001 (the form and ranges used here).

Differences from the publications: stores give K (X + in) and keep the rest, which is their
X <- (1 - K) (X + in), out = K / (1 - K) X without the division. All rain that the soil rejects is
split between the quick and the slow stores; some versions send the part that falls on full points
to the quick ones alone. The relative deficit of the soil is at least `DRYNESS_MIN`.

Shape legend: B basins, E components; every state, flux and parameter of a step is `[B, E]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy.base import ProcessModel

PARAMETERS = {
    "Cmax": Parameter(1.0, 500.0, "mm", "largest storage capacity of a point of the soil"),
    "B": Parameter(0.0, 2.0, "1", "shape of the distribution of capacities; 0: all are Cmax"),
    "alpha": Parameter(0.0, 1.0, "1", "share of runoff that goes to the quick stores"),
    "Kq": Parameter(0.1, 0.99, "d-1", "share of its water that a quick store gives in a day"),
    "Ks": Parameter(
        0.001, 0.1, "d-1", "share of its water that the slow store gives in a day", scale="log"
    ),
}  # fmt: skip

DRYNESS_MIN = 1e-9
"""Relative deficit of the soil below which it is held constant.

Its root 1 / (1 + B) has no slope at a full soil. Less than 1e-6 mm of storage are concerned, and
no water is made, because what the soil takes in is what is not rejected.
"""


class State(NamedTuple):
    """Storages, `[B, E]` each."""

    S: Tensor  # soil [mm]
    X1: Tensor  # first quick store [mm]
    X2: Tensor  # second quick store [mm]
    X3: Tensor  # third quick store [mm]
    XS: Tensor  # slow store [mm]


class Flux(NamedTuple):
    """Fluxes of one step, `[B, E]` each [mm d-1]."""

    streamflow: Tensor  # quickflow + baseflow
    quickflow: Tensor  # outflow of the third quick store
    baseflow: Tensor  # outflow of the slow store
    aet: Tensor  # actual evapotranspiration
    saturation_excess: Tensor  # rain on points that are full before the day
    infiltration_excess: Tensor  # rain on points that fill up during the day


def step(
    state: State, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[State, Flux]:
    """Advance one day.

    Forcing: `precipitation` [mm d-1], `pet` [mm d-1], `[B, 1]` each.
    """
    S, X1, X2, X3, XS = state
    P, PET = forcing["precipitation"], forcing["pet"]
    Cmax, B, alpha, Kq, Ks = (parameters[name] for name in PARAMETERS)

    # Soil: points of capacity above c hold c. With d = 1 - c / Cmax, S = Smax (1 - d^(1 + B)).
    Smax = Cmax / (1 + B)
    d0 = (1 - S / Smax).clamp(min=DRYNESS_MIN) ** (1 / (1 + B))
    er1 = (P - Cmax * d0).clamp(min=0)
    d1 = (d0 - (P - er1) / Cmax).clamp(min=0)
    er2 = (P - er1 - (Smax * (1 - d1 ** (1 + B)) - S)).clamp(min=0)
    S = S + (P - er1 - er2)
    aet = S * (PET / Smax).clamp(max=1)
    S = S - aet

    # Routing
    runoff = er1 + er2
    X1, q1 = _linear(X1, alpha * runoff, Kq)
    X2, q2 = _linear(X2, q1, Kq)
    X3, quickflow = _linear(X3, q2, Kq)
    XS, baseflow = _linear(XS, runoff - alpha * runoff, Ks)

    return State(S, X1, X2, X3, XS), Flux(
        quickflow + baseflow, quickflow, baseflow, aet, er1, er2
    )  # fmt: skip


def _linear(X: Tensor, inflow: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
    """Return new storage and outflow of a linear store."""
    outflow = K * (X + inflow)
    return X + inflow - outflow, outflow


class Hymod(ProcessModel):
    """HYMOD (Boyle 2000), daily: probability-distributed soil, quick and slow linear stores."""

    forcings = ("precipitation", "pet")
    PARAMETERS = PARAMETERS
    SOURCE = "Wagener et al. 2001"
    State = State
    Flux = Flux
    BALANCE: ClassVar = {"precipitation": +1, "streamflow": -1, "aet": -1}
    RUNOFF = ("streamflow", "quickflow", "baseflow")
    RECOMMENDED_DYNAMIC = ("B", "alpha")

    step = staticmethod(step)
