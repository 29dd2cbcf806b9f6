"""Weights of components in an average: one more parameter, by which every flux is multiplied.

Shape legend: T time, B basins, E components.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from dmg.scan.shapes import rebuilt

WEIGHTS = "weights of components"
"""Name of that parameter; a step does not see it."""


def with_weights(parameters: Mapping[str, Tensor], weights: Tensor | None) -> Mapping[str, Tensor]:
    """Return parameters of a step that `weighted` makes; the mean is then the weighted sum."""
    if weights is None:
        return parameters
    return {**parameters, WEIGHTS: weights * weights.shape[-1]}


def weighted(step: Callable[..., Any]) -> Callable[..., Any]:
    """Return the step whose fluxes are multiplied by the weights, where they are given."""

    def multiplied(state: Any, forcing: Any, parameters: Mapping[str, Tensor]) -> Any:
        own = dict(parameters)
        weights = own.pop(WEIGHTS, None)
        state, flux = step(state, forcing, own)
        return state, flux if weights is None else rebuilt(flux, [f * weights for f in flux])

    return multiplied


def averaged(flux: Tensor, weights: Tensor | None) -> Tensor:
    """Return the mean over components, `[T, B]`."""
    return flux.mean(-1) if weights is None else (flux * weights).sum(-1)
