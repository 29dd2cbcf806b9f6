"""Explicit Euler, and several short steps in place of one: from tendencies to pure steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch

from dmg.scan.eager import Step, Values

Rates = Callable[[Any, Values, Values], tuple[tuple[Any, ...], tuple[Any, ...]]]
"""`(state, forcing, parameters) -> (rates of the stores, fluxes)`, pointwise."""


def explicit_euler(tendency: Rates, flux: Any, *, dt: float = 1.0) -> Step:
    """Return the explicit Euler step of a model: `S1 = S0 + dt * rates(S0)`.

    Parameters
    ----------
    tendency
        Pure and pointwise `tendency(state, forcing, parameters) -> (rates, fluxes)`: rates of
        change of the stores [mm d-1] in their order, and the fluxes in the order of `flux`, all
        from one state. No store gets below zero if `dt` times what leaves it is at most what it
        holds.
    flux
        Named tuple of the fluxes; its last field, `residual`, is zero: the step is what it says.
    dt
        Length of the step [d].

    Returns
    -------
    step
        `step(state, forcing, parameters) -> (state, flux)` for `dmg.scan.scan`.
    """

    def step(state: Any, forcing: Values, parameters: Values) -> tuple[Any, Any]:
        rates, fluxes = tendency(state, forcing, parameters)
        new = [s + dt * r for s, r in zip(state, rates, strict=True)]
        return type(state)._make(new), flux(*fluxes, torch.zeros_like(new[0]))

    return step


def in_turn(steps: Sequence[Step]) -> Step:
    """Return the step that takes short steps of equal length one after the other.

    Its fluxes are the means of theirs, but the `residual` is the largest. Forcings and parameters
    stay the same throughout.
    """
    if len(steps) == 1:
        return steps[0]

    def step(state: Any, forcing: Values, parameters: Values) -> tuple[Any, Any]:
        found = []
        for short in steps:
            state, flux = short(state, forcing, parameters)
            found.append(flux)
        *means, _ = (sum(parts) / len(steps) for parts in zip(*found, strict=True))
        largest = reduce(torch.maximum, [flux.residual for flux in found])
        return state, type(found[0])(*means, largest)

    return step
