"""Adaptive Runge-Kutta steps by the packages `torchode` and `torchdiffeq` (extra `ode`).

A step integrates the stores together with the fluxes, whose integrals are zero at its start. As
Runge-Kutta methods keep every linear invariant, the water balance closes to rounding however loose
the tolerance is. Forcings and parameters ride along as variables that do not change, so that the
adjoint equation gives their gradients, element by element.

Shape legend: B basins, E components; N = B * E problems of M variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from dmg.scan.eager import Step, Values

Rhs = Callable[[Any, Any, Values, Values], tuple[tuple[Any, ...], tuple[Any, ...]]]
Solve = Callable[["_Field", Tensor], Tensor]
"""`(field, y at the start) -> y at the end`, `[N, M]`."""

MOST_STEPS = 10_000
"""Steps of a solver in one of the model's, after which `torchode` gives up."""
_FAILED = "{} could not keep the tolerance ({}); loosen rtol or atol, or look for NaN in the data"


def adaptive(
    rhs: Rhs, flux: Any, package: str, dt: float, rtol: float, atol: float, adjoint: bool
) -> Step:
    """Return the step of a model, integrated by an adaptive method of order 5 (Dormand, Prince).

    Parameters
    ----------
    rhs
        Pure and pointwise `rhs(t, state, forcing, parameters) -> (rates, fluxes)`, with `t` the
        time since the start of the step [d].
    flux
        Named tuple of the fluxes, which are means over the step; its last field, `residual`, is
        zero.
    package
        One of `PACKAGES`.
    dt
        Length of the step [d].
    rtol, atol
        Tolerances of the package.
    adjoint
        Gradients by the adjoint equation; else through the operations of the solver.

    Raises
    ------
    ValueError
        If the package is not installed.
    """
    solve = PACKAGES[package](_imported(package), dt, rtol, atol, adjoint)

    def step(state: Any, forcing: Values, parameters: Values) -> tuple[Any, Any]:
        field = _Field(rhs, type(state), len(flux._fields) - 1, forcing, parameters)
        shape = max((v.shape for v in (*state, *parameters.values())), key=prod)
        integrals = [torch.zeros_like(state[0]) for _ in range(field.num_fluxes)]
        start = [*state, *integrals, *forcing.values(), *parameters.values()]
        y = solve(field, torch.stack([v.expand(shape).flatten() for v in start], -1))
        end = [v.reshape(shape) for v in y.unbind(-1)]
        new, integrals = end[: len(state)], end[len(state) :][: field.num_fluxes]
        return type(state)._make(new), flux(*(i / dt for i in integrals), torch.zeros_like(new[0]))

    return step


class _Field(nn.Module):
    """Change of all variables in time: rates, fluxes, and zeros for what is constant."""

    def __init__(
        self, rhs: Rhs, state: Any, num_fluxes: int, forcing: Values, parameters: Values
    ) -> None:
        super().__init__()
        self.rhs, self.state, self.num_fluxes = rhs, state, num_fluxes
        self.forcing_names, self.parameter_names = tuple(forcing), tuple(parameters)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        """Evaluate at `[N, M]`, or at the `[M]` of one problem."""
        values = y.unbind(-1)
        num_states = len(self.state._fields)
        constants = values[num_states + self.num_fluxes :]
        forcing = dict(zip(self.forcing_names, constants, strict=False))
        held = constants[len(forcing) :]
        parameters = dict(zip(self.parameter_names, held, strict=True))
        rates, fluxes = self.rhs(t, self.state(*values[:num_states]), forcing, parameters)
        return torch.stack([*rates, *fluxes, *(torch.zeros_like(c) for c in constants)], -1)


def _torchode(package: Any, dt: float, rtol: float, atol: float, adjoint: bool) -> Solve:
    """Each problem takes steps of its own."""

    def solve(field: _Field, y: Tensor) -> Tensor:
        term = package.ODETerm(field, with_stats=False)
        method = package.Dopri5(term=term)
        control = package.IntegralController(atol, rtol, term=term)
        start, end = y.new_zeros(len(y)), y.new_full((len(y),), dt)
        problem = package.InitialValueProblem(y, start, end)
        if adjoint:
            solver = package.BacksolveAdjoint(term, method, control)
            solver.forward_adjoint.max_steps = solver.backward_adjoint.max_steps = MOST_STEPS
        else:
            solver = package.AutoDiffAdjoint(
                method, control, max_steps=MOST_STEPS, backprop_through_step_size_control=False
            )
        solution = solver.solve(problem)
        if (solution.status != 0).any():
            raise ValueError(_FAILED.format("torchode", package.Status(int(solution.status.max()))))
        return solution.ys[:, -1]  # type: ignore[no-any-return]

    return solve


def _torchdiffeq(package: Any, dt: float, rtol: float, atol: float, adjoint: bool) -> Solve:
    """All problems take the same steps."""

    def solve(field: _Field, y: Tensor) -> Tensor:
        times = y.new_tensor([0.0, dt])
        settings = {"rtol": rtol, "atol": atol, "method": "dopri5"}
        try:
            if adjoint:
                found = package.odeint_adjoint(field, y, times, adjoint_params=(), **settings)
            else:
                found = package.odeint(field, y, times, **settings)
        except AssertionError as error:  # how the package reports steps that get too short
            raise ValueError(_FAILED.format("torchdiffeq", error)) from error
        return found[-1]  # type: ignore[no-any-return]

    return solve


PACKAGES: Mapping[str, Callable[[Any, float, float, float, bool], Solve]] = {
    "torchode": _torchode,
    "torchdiffeq": _torchdiffeq,
}
"""Adapters by the name of the package."""


def _imported(package: str) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise ValueError(
            f"the solver {package} needs a package of this name; pip install 'dmg-hpc[ode]'"
        ) from error
