"""Backward Euler of one store, for models whose stores feed one another in a row.

Where no store acts back on those above it, the system of all stores is solved one by one. That
is cheaper than `implicit_euler`, and safe: a single store has one solution within known bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dmg.scan.dual import variables
from dmg.scan.loop import while_loop

PASSES = 16
"""At most: enough for 40 days of up to 500 mm each into stores of a hundredth of a millimetre."""
ROUNDING = 64
"""Errors up to so many units in the last place of what a store holds at most are rounding."""


class _Bracket(NamedTuple):
    """A trial, the bounds that the solution lies between, and the error of the last trial."""

    trial: Tensor
    low: Tensor
    high: Tensor
    error: Tensor


def implicit_store(
    store: Tensor,
    inflow: Tensor,
    outflows: Callable[..., Sequence[Any]],
    given: Sequence[Tensor] = (),
    start: Tensor | None = None,
) -> tuple[Tensor, Sequence[Tensor]]:
    """Solve `S = store + inflow - sum(outflows(S, inflow, *given))` in each element.

    Newton's method, within bounds that every pass narrows; where it would leave them, they are
    halved. As in `implicit_euler`, one more Newton step makes the gradient that of the solution
    (implicit function theorem), and the new storage is what the fluxes leave, so that the water
    balance closes to rounding.

    Parameters
    ----------
    store
        Storage before the step, at least 0, `[B, E]` [mm].
    inflow
        What it receives in the step, `[B, E]` [mm].
    outflows
        Pure and pointwise `outflows(S, inflow, *given) -> fluxes` [mm] of a storage S, called
        with a tensor and with a dual number (see `dmg.scan.dual`). Their sum must grow with S,
        and at S = 0 be at most `inflow`; then the solution lies between 0 and `store + inflow`.
    given
        What else the outflows depend on, `[B, E]` each.
    start
        Where the iterations start; none, and where it is above `store + inflow`: there.

    Returns
    -------
    store, fluxes
        Storage after the step, and the outflows of the step.
    """
    full = store + inflow

    def surplus(at: Tensor, full: Tensor, *given: Tensor) -> tuple[Tensor, Tensor]:
        (s,) = variables([at])
        found = sum(outflows(s, *given), s - full)
        return found.value, found.slopes[0]

    fixed = [v.detach() for v in (full, inflow, *given)]
    top = fixed[0]
    bracket = _Bracket(top, torch.zeros_like(top), top, torch.full_like(top, torch.inf))
    if start is not None:  # which may be NaN, where an exponent is of no account
        bracket = bracket._replace(trial=torch.where(start.detach() < top, start.detach(), top))
    bracket = while_loop(
        lambda at, known: at.error.abs() > ROUNDING * torch.finfo(top.dtype).eps * (1 + known[0]),
        lambda at, known: _narrowed(at, *surplus(at.trial, *known)),
        bracket,
        tuple(fixed),
        PASSES,
    )
    error, slope = surplus(bracket.trial, full, inflow, *given)
    fluxes = outflows(bracket.trial - error / slope.detach(), inflow, *given)
    return full - sum(fluxes), fluxes


def _narrowed(bracket: _Bracket, error: Tensor, slope: Tensor) -> _Bracket:
    """Take the trial as a bound, and try where its tangent is zero, or else the middle.

    Also the middle where the error changed its sign and is not halved: about a point of
    inflection, tangents may lead to and fro for ever.
    """
    trial, low, high, last = bracket
    low, high = torch.where(error < 0, trial, low), torch.where(error < 0, high, trial)
    newton = trial - error / slope
    swings = (error * last < 0) & (2 * error.abs() > last.abs())
    good = (newton >= low) & (newton <= high) & ~swings
    return _Bracket(torch.where(good, newton, 0.5 * (low + high)), low, high, error)
