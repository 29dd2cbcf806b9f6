"""Backward Euler: from the tendency of the stores to a pure step that can be fused.

A step solves `S1 = S0 + dt * rates(S1)` for each element by damped Newton iterations. Each pass
evaluates the rates and their Jacobian once at a trial point; where the largest residual fell,
the next trial is a whole Newton step from there, elsewhere half the last one. The first steps may
raise it, see `GROWTH`. An element is done once a whole step more brings it to rounding.

The iterations run on detached values, and their result `S*` is not differentiated. The step then
takes rates and fluxes at `S*` and adds what one more Newton step would change in them, by the
detached Jacobian: next to nothing in value, but its ordinary gradient is that of the implicit
function theorem. Second derivatives would need those of the Jacobian and are not right.

The new state follows from these fluxes, so that the water balance closes to rounding however good
the solution is; `residual` is what the equations lack at `S*`. No store gets below zero if each
flux out of it is at most a multiple of what it holds, and S* is solved to a few digits. Nothing is
clamped; `residual` says where it was not so.

Shape legend: B basins, E components.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dmg.scan.dual import Dual, variables
from dmg.scan.eager import Step, Values
from dmg.scan.explicit import Rates
from dmg.scan.loop import while_loop

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
) -> Step:
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
        Number of iterations after which an element stops in any case.

    Returns
    -------
    step
        `step(state, forcing, parameters) -> (state, flux)` for `dmg.scan.scan`.
    """

    def step(state: Any, forcing: Values, parameters: Values) -> tuple[Any, Any]:
        def at(point: Sequence[Tensor], forcing: Values, parameters: Values) -> Any:
            return tendency(type(state)._make(variables(point)), forcing, parameters)

        def residuals(point: Sequence[Tensor], given: Given) -> tuple[list[Tensor], Matrix]:
            return _euler(point, given.old, at(point, given.forcing, given.parameters)[0], dt)

        fixed = Given(tuple(s.detach() for s in state), _detached(forcing), _detached(parameters))
        start = guess(type(state)._make(fixed.old), *fixed[1:]) if guess else fixed.old
        found = _iterate(residuals, start, fixed, passes)
        rates, fluxes = at(found, forcing, parameters)
        residual, jacobian = _euler(found, state, rates, dt)
        fixed_jacobian = {k: v.detach() for k, v in jacobian.items()}
        step = [-c for c in eliminate(fixed_jacobian, residual)]
        new = [s + dt * _moved(r, step) for s, r in zip(state, rates, strict=True)]
        error = _largest(residual).detach() / dt
        error = torch.where(error <= _rounding(found), 0.0, error)
        return type(state)._make(new), flux(*(_moved(f, step) for f in fluxes), error)

    return step


class Given(NamedTuple):
    """What stays while a step is solved."""

    old: tuple[Tensor, ...]
    forcing: Values
    parameters: Values


def _moved(value: Any, step: Sequence[Tensor]) -> Any:
    """Return a value some way from where it was taken, by its derivatives there."""
    if not isinstance(value, Dual):
        return value
    return reduce(torch.add, (s.detach() * step[i] for i, s in value.slopes.items()), value.value)


def _rounding(point: Sequence[Tensor]) -> Tensor:
    return ROUNDING * torch.finfo(point[0].dtype).eps * (1 + _largest(point))


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


class Search(NamedTuple):
    """Where the iterations of an element stand."""

    trial: tuple[Tensor, ...]
    change: tuple[Tensor, ...]  # which led there, to be subtracted
    best: Tensor  # largest residual of the best trial so far
    done: Tensor  # passes


def _iterate(
    residuals: Callable[[Sequence[Tensor], Given], tuple[list[Tensor], Matrix]],
    start: Sequence[Tensor],
    given: Given,
    passes: int,
) -> tuple[Tensor, ...]:
    """Return the last trial, which the step evaluates anyway."""

    def body(flat: tuple[Tensor, ...], constants: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        search = _search(flat)
        residual, jacobian = residuals(search.trial, _given(constants[1:], given))
        largest = _largest(residual)
        fell = largest < torch.where(search.done <= FREE, GROWTH * search.best, search.best)
        fresh = eliminate(jacobian, residual)
        steps = list(zip(search.trial, search.change, fresh, strict=True))
        return (
            *(torch.where(fell, t - f, t + 0.5 * c) for t, c, f in steps),
            *(torch.where(fell, f, 0.5 * c) for _, c, f in steps),
            torch.where(fell, largest, search.best),
            search.done + 1,
        )

    def is_far(flat: tuple[Tensor, ...], constants: tuple[Tensor, ...]) -> Tensor:
        return _search(flat).best > constants[0]

    # the first trial is taken as it is, for the best residual so far is infinite
    nothing = torch.zeros_like(start[0])
    first = (*start, *(nothing for _ in start), nothing + torch.inf, nothing)
    enough = torch.finfo(nothing.dtype).eps ** 0.5 + _rounding(start)
    constants = (enough, *given.old, *given.forcing.values(), *given.parameters.values())
    return _search(while_loop(is_far, body, first, constants, passes)).trial


def _search(flat: tuple[Tensor, ...]) -> Search:
    size = (len(flat) - 2) // 2
    return Search(flat[:size], flat[size:-2], *flat[-2:])


def _given(flat: Sequence[Tensor], like: Given) -> Given:
    """Return values put back to their places."""
    values = iter(flat)
    return Given(
        tuple(next(values) for _ in like.old),
        {n: next(values) for n in like.forcing}, {n: next(values) for n in like.parameters},
    )  # fmt: skip


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
