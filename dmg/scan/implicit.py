"""Backward Euler: from the tendency of the stores to a pure step that can be fused.

A step solves `S1 = S0 + dt * rates(S1)` for each element by damped Newton iterations of a fixed
number. Each pass evaluates the rates and their Jacobian once at a trial point; where the largest
residual fell, the next trial is a whole Newton step from there, elsewhere half the last one. The
first steps may raise it, see `GROWTH`.

The iterations run on detached values. One more Newton step, with the Jacobian detached, is
differentiable: its ordinary gradient is that of the implicit function theorem, whatever the
iterations did. Second derivatives would need those of the Jacobian and are not right.

The new state is `S0 + dt * rates(S*)` with the solution S*, not S* itself: stores are what the
fluxes say, and the water balance closes to rounding however good the solution is. The
`residual` is their largest distance. No store gets below zero if each flux out of it is at most
a multiple of what it holds at S*, and S* is solved to a few digits: then S* is at least a
fraction of the water that came to it. Nothing is clamped; `residual` says where it was not so.

Shape legend: B basins, E components.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from dmg.scan.dual import variables

Values = Mapping[str, Tensor]
Rates = Callable[[Any, Values, Values], tuple[tuple[Any, ...], tuple[Any, ...]]]
"""`(state, forcing, parameters) -> (rates of the stores, fluxes)`, pointwise."""
Guess = Callable[[Any, Values, Values], Sequence[Tensor]]
Matrix = dict[tuple[int, int], Tensor]

ROUNDING = 16
"""Residuals up to so many units in the last place of the fullest store are reported as zero."""
FREE, GROWTH = 2, 10.0
"""Newton steps in which the residual may grow, and by how much.

A residual that grows beyond a kink of the rates often leads to the piece where the solution
lies; halving the step would creep up to the kink, where the slope of the wrong piece holds.
"""


def implicit_euler(
    tendency: Rates, flux: Any, guess: Guess | None = None, *, dt: float = 1.0, passes: int = 8
) -> Callable[[Any, Values, Values], tuple[Any, Any]]:
    """Return the backward-Euler step of a model.

    Parameters
    ----------
    tendency
        Pure and pointwise `tendency(state, forcing, parameters) -> (rates, fluxes)`: rates of
        change of the stores [mm d-1] in their order, and the fluxes in the order of `flux`, all
        from one state. It is called with tensors and with dual numbers (see `dmg.scan.dual` for
        what it may use). Water should leave a store faster the more it holds, so that the
        Jacobian can be eliminated along its diagonal.
    flux
        Named tuple of the fluxes; its last field, `residual`, takes what the solution lacks: the
        largest of the stores' residuals [mm d-1].
    guess
        Where the iterations start, from the arguments of a step; none: the old state.
    dt
        Length of the step [d].
    passes
        Number of iterations before the differentiable one.

    Returns
    -------
    step
        `step(state, forcing, parameters) -> (state, flux)` for `dmg.scan.scan`.
    """

    def step(state: Any, forcing: Values, parameters: Values) -> tuple[Any, Any]:
        def residuals(
            at: Sequence[Tensor], old: Sequence[Tensor], forcing: Values, parameters: Values
        ) -> tuple[list[Tensor], Matrix]:
            rates, _ = tendency(type(state)._make(variables(at)), forcing, parameters)
            return _euler(at, old, rates, dt)

        fixed = tuple(s.detach() for s in state), _detached(forcing), _detached(parameters)
        start = guess(type(state)._make(fixed[0]), *fixed[1:]) if guess else fixed[0]
        found = _iterate(lambda at: residuals(at, *fixed), start, passes)
        residual, jacobian = residuals(found, state, forcing, parameters)
        change = eliminate({k: v.detach() for k, v in jacobian.items()}, residual)
        solution = [s - c for s, c in zip(found, change, strict=True)]
        rates, fluxes = tendency(type(state)._make(solution), forcing, parameters)
        new = [s + dt * r for s, r in zip(state, rates, strict=True)]
        error = _largest([(s - n) / dt for s, n in zip(solution, new, strict=True)])
        rounding = ROUNDING * torch.finfo(error.dtype).eps * (1 + _largest(solution))
        error = torch.where(error <= rounding, 0.0, error)
        return type(state)._make(new), flux(*fluxes, error)

    return step


def _detached(values: Values) -> Values:
    return {n: v.detach() for n, v in values.items()}


def _euler(
    at: Sequence[Tensor], old: Sequence[Tensor], rates: Sequence[Any], dt: float
) -> tuple[list[Tensor], Matrix]:
    """Return `S - S0 - dt * rates` and the part of its Jacobian that is not zero."""
    residual: list[Tensor] = []
    jacobian: Matrix = {}
    for row, (s, s0, rate) in enumerate(zip(at, old, rates, strict=True)):
        residual.append(s - s0 - dt * rate.value)
        slopes = {(row, column): dt * slope for column, slope in rate.slopes.items()}
        diagonal = slopes.pop((row, row), torch.zeros_like(s))
        jacobian |= {place: -slope for place, slope in slopes.items()} | {(row, row): 1 - diagonal}
    return residual, jacobian


def _iterate(
    residuals: Callable[[Sequence[Tensor]], tuple[list[Tensor], Matrix]],
    start: Sequence[Tensor],
    passes: int,
) -> Sequence[Tensor]:
    """Return the last trial, which the differentiable step evaluates anyway."""
    # the first trial is taken as it is, for the best residual so far is infinite
    point = trial = start
    best, change = torch.full_like(start[0], torch.inf), start
    for i in range(passes):
        residual, jacobian = residuals(trial)
        largest = _largest(residual)
        fell = largest < (GROWTH * best if i <= FREE else best)
        best = torch.where(fell, largest, best)
        point = [torch.where(fell, t, p) for t, p in zip(trial, point, strict=True)]
        fresh = eliminate(jacobian, residual)
        change = [torch.where(fell, f, 0.5 * c) for f, c in zip(fresh, change, strict=True)]
        trial = [p - c for p, c in zip(point, change, strict=True)]
    return trial


def _largest(values: Sequence[Tensor]) -> Tensor:
    return reduce(torch.maximum, [v.abs() for v in values])


def eliminate(matrix: Matrix, right: Sequence[Tensor]) -> list[Tensor]:
    """Solve a small linear system element by element, along the diagonal.

    Parameters
    ----------
    matrix
        Its entries by row and column, `[B, E]` each; those left out are zero. The diagonal must
        be there, and dominate its columns.
    right
        Right-hand side, `[B, E]` each.
    """
    left, right, size = dict(matrix), list(right), len(right)
    inverse = {}
    for k in range(size):
        inverse[k] = 1 / left[k, k]
        for row in range(k + 1, size):
            if (row, k) not in left:
                continue
            ratio = left[row, k] * inverse[k]
            for column in range(k + 1, size):
                if (k, column) in left:
                    term = ratio * left[k, column]
                    old = left.get((row, column))
                    left[row, column] = -term if old is None else old - term
            right[row] = right[row] - ratio * right[k]
    for k in reversed(range(size)):
        for column in range(k + 1, size):
            if (k, column) in left:
                right[k] = right[k] - left[k, column] * right[column]
        right[k] = right[k] * inverse[k]
    return right
