"""Implicit HYMOD: the differential equations of HYMOD, each store solved by backward Euler.

References
----------
Moore 2007, HESS 11, 483, doi:10.5194/hess-11-483-2007 (probability-distributed soil capacity).
Wagener et al. 2001, HESS 5, 13, doi:10.5194/hess-5-13-2001 (the form and ranges used here).
Knoben et al. 2019, GMD 12, 2463, doi:10.5194/gmd-12-2463-2019 (as differential equations).

All fluxes of a day are taken at the stores of its end. The parameters are those of HYMOD, of
which this is the limit of ever shorter steps.

Differences from the publications: Knoben et al. (2019) name B / (1 + B) as the shape, and
Cmax / (1 + B) as the capacity of the soil. No store acts on one above it, so that they are solved
one after the other, not as a system; the solution is the same. Where the soil lacks less than
a thousandth of its capacity, the rain that it takes falls linearly to none, since its power has
no bounded slope there and, with B = 0, none at all.

Shape legend: B basins, E components; every state, flux and parameter of a step is `[B, E]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from dmg.phy import hymod
from dmg.phy.base import ProcessModel
from dmg.phy.hymod import State
from dmg.scan.implicit_store import implicit_store

PARAMETERS = {
    **hymod.PARAMETERS,
    "Kq": replace(hymod.PARAMETERS["Kq"], meaning="outflow of a quick store per water in it"),
    "Ks": replace(hymod.PARAMETERS["Ks"], meaning="outflow of the slow store per water in it"),
}

DRYNESS_MIN = 1e-3
"""Relative deficit of the soil below which the rain that it takes falls linearly to none."""


class Flux(NamedTuple):
    """Fluxes of one step, `[B, E]` each [mm d-1]."""

    streamflow: Tensor  # quickflow + baseflow
    quickflow: Tensor  # outflow of the third quick store
    baseflow: Tensor  # outflow of the slow store
    aet: Tensor  # actual evapotranspiration
    excess: Tensor  # rain on points that are full


def step(
    state: State, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[State, Flux]:
    """Advance one day, store by store, each at its end.

    Forcing: `precipitation` [mm d-1], `pet` [mm d-1], `[B, 1]` each.
    """
    S, X1, X2, X3, XS = state
    P, PET = forcing["precipitation"], forcing["pet"]
    Cmax, B, alpha, Kq, Ks = (parameters[name] for name in PARAMETERS)
    Smax = Cmax / (1 + B)

    S, (excess, aet) = implicit_store(
        S, P, soil, (Smax, B / (1 + B), PET), start=(1 - 0.5 * DRYNESS_MIN) * Smax
    )
    X1, q1 = _linear(X1, alpha * excess, Kq)
    X2, q2 = _linear(X2, q1, Kq)
    X3, quickflow = _linear(X3, q2, Kq)
    XS, baseflow = _linear(XS, excess - alpha * excess, Ks)

    return State(S, X1, X2, X3, XS), Flux(quickflow + baseflow, quickflow, baseflow, aet, excess)


def soil(S: Any, P: Tensor, Smax: Tensor, b: Tensor, PET: Tensor) -> tuple[Any, Any]:
    """Excess of rain, and evapotranspiration.

    Points of capacity above c hold c: with d = 1 - c / Cmax, S = Smax (1 - d^(1 + B)), and the
    share d^B = (1 - S / Smax)^b of the points is not full.
    """
    filled = S / Smax
    deficit = 1 - filled
    open_points = deficit.clamp(min=DRYNESS_MIN) ** b * (deficit / DRYNESS_MIN).clamp(min=0, max=1)
    return P - P * open_points, torch.minimum(S, PET * filled)


def _linear(X: Tensor, inflow: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
    """Return new storage and outflow of a linear store, q = K X at its end."""
    outflow = K / (1 + K) * (X + inflow)
    return X + inflow - outflow, outflow


class HymodImplicit(ProcessModel):
    """Implicit HYMOD (Knoben et al. 2019), daily: distributed soil, quick and slow stores."""

    forcings = ("precipitation", "pet")
    PARAMETERS = PARAMETERS
    SOURCE = "Wagener et al. 2001"
    State = State
    Flux = Flux
    BALANCE: ClassVar = {"precipitation": +1, "streamflow": -1, "aet": -1}
    RUNOFF = ("streamflow", "quickflow", "baseflow")
    RECOMMENDED_DYNAMIC = ("B", "alpha")

    step = staticmethod(step)
