"""EXP-HYDRO: a snow store and a catchment store whose flow grows exponentially with its content.

References
----------
Patil and Stieglitz 2014, Hydrol. Process. 28, 1159, doi:10.1002/hyp.9660 (the model).
Jiang, Zheng and Solomatine 2020, GRL 47, e2020GL088229, doi:10.1029/2020GL088229 (ranges).
Höge, Scheidegger, Baity-Jesi, Albert and Fenicia 2022, HESS 26, 5085,
    doi:10.5194/hess-26-5085-2022 (steps made smooth).

The model is a pair of differential equations, given by `rhs`; `dmg.phy.ode` solves them, by the
backward Euler method unless told otherwise. Its switches (is it cold, is the store full) are
smooth, H(x) = (1 + tanh 5x) / 2 = sigmoid(10x), so that temperatures have gradients too.

Differences from the publications: melt and flow are limited by the water of a store over a day,
where the smooth forms would take some from an empty one; melt is not negative just below Tmax;
and what the smooth surface flow is below zero just under Smax is taken off the baseflow.

Shape legend: B basins, E components; every state, flux and parameter is `[B, E]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy.ode import OdeModel

PARAMETERS = {
    "f": Parameter(0.0, 0.1, "mm-1", "decline of baseflow with the deficit of the store"),
    "Smax": Parameter(100.0, 1500.0, "mm", "capacity of the catchment store"),
    "Qmax": Parameter(10.0, 50.0, "mm d-1", "baseflow of the full store"),
    "Df": Parameter(0.0, 5.0, "mm degC-1 d-1", "degree-day factor of snowmelt"),
    "Tmax": Parameter(0.0, 3.0, "degC", "temperature above which snow melts"),
    "Tmin": Parameter(-3.0, 0.0, "degC", "temperature below which snow falls"),
}


class State(NamedTuple):
    """Storages, `[B, E]` each."""

    S0: Tensor  # snow [mm]
    S1: Tensor  # catchment [mm]


class Flux(NamedTuple):
    """Fluxes of one step, `[B, E]` each [mm d-1]."""

    streamflow: Tensor  # surface_flow + baseflow
    surface_flow: Tensor  # above the capacity of the store, Qs
    baseflow: Tensor  # flow of the store, Qb
    aet: Tensor  # actual evapotranspiration, ET
    snowmelt: Tensor  # melt of the snow, M
    residual: Tensor  # what the solution of the equations lacks, at most


Switch = Callable[[Any, Any], Any]


def sharp_switch(x: Any, y: Any) -> Any:
    """Return y where x > 0, else 0."""
    return torch.where(x > 0, y, 0.0)


def smooth_switch(x: Any, y: Any) -> Any:
    """Return y H(x), which turns from 0 to y within some tenths around x = 0."""
    return torch.sigmoid(10 * x) * y


def right_hand_side(H: Switch) -> Callable[..., tuple[tuple[Any, ...], tuple[Any, ...]]]:
    """Return the equations of the stores with sharp or smooth switches."""

    def rhs(
        t: Any, state: Any, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Rates of change of the stores, and the fluxes that make them [mm d-1].

        Forcing: `precipitation` [mm d-1], `temperature` [degC], `pet` [mm d-1].
        """
        S0, S1 = state
        P, T, E = forcing["precipitation"], forcing["temperature"], forcing["pet"]
        f, Smax, Qmax, Df, Tmax, Tmin = (parameters[name] for name in PARAMETERS)
        above = S1 - Smax

        # Snow
        Ps = H(Tmin - T, P)
        M = H(T - Tmax, H(S0, torch.minimum(S0, Df * (T - Tmax)))).clamp(min=0)

        # Catchment: each flux at most what the ones before it leave of a store
        evaporation = E * S1 / Smax
        ET = torch.minimum(S1, H(S1, evaporation + H(above, E - evaporation)))
        recession = Qmax * torch.exp(f * above.clamp(max=10))  # H is 0 or 1 from there on
        Qb = H(S1, recession + H(above, Qmax - recession))
        Qs = torch.minimum(S1 - ET, H(S1, H(above, above)))
        Q = torch.minimum(S1 - ET, Qb + Qs).clamp(min=0)
        Qs = Qs.clamp(min=0)

        return (Ps - M, P - Ps + M - ET - Q), (Q, Qs, Q - Qs, ET, M)

    return rhs


class ExpHydro(OdeModel):
    """EXP-HYDRO (Patil and Stieglitz 2014), daily: two stores, solved as differential equations.

    With `sharp` its switches are those of the first publication, and Tmin has no gradient. The
    other options are those of `dmg.phy.ode.OdeModel`.
    """

    forcings = ("precipitation", "temperature", "pet")
    PARAMETERS = PARAMETERS
    SOURCE = "Jiang et al. 2020"
    State = State
    Flux = Flux
    BALANCE: ClassVar = {"precipitation": +1, "streamflow": -1, "aet": -1}
    RUNOFF = ("streamflow", "surface_flow", "baseflow")
    RECOMMENDED_DYNAMIC = ("f", "Smax", "Qmax")

    rhs = staticmethod(right_hand_side(smooth_switch))

    def __init__(
        self,
        dt: float = 1.0,
        solver: str = "implicit",
        substeps: int = 1,
        passes: int = 6,
        rtol: float = 1e-6,
        atol: float = 1e-6,
        adjoint: bool = True,
        sharp: bool = False,
    ) -> None:
        if sharp:
            self.rhs = right_hand_side(sharp_switch)  # type: ignore[misc]  # of this instance
        super().__init__(dt, solver, substeps, passes, rtol, atol, adjoint)
