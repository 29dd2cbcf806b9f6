"""Which backend runs a step.

Shape legend: T time, B basins, E components.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from dmg.scan import eager
from dmg.scan.aten import UnsupportedError
from dmg.scan.report import report_once
from dmg.scan.weights import averaged, with_weights

BACKENDS = ("auto", "eager", "fused")


def scan(
    step: Callable[..., Any],
    state: Any,
    forcing: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    outputs: Sequence[str] | None = None,
    backend: str = "eager",
    *,
    mean: bool = False,
    weights: Tensor | None = None,
    checkpoint_every: int | None = None,
) -> tuple[dict[str, Tensor], Any]:
    """Apply `step` to every time step in turn.

    Parameters
    ----------
    step
        Pure function `step(state, forcing, parameters) -> (state, flux)`, both named tuples of
        `[B, E]`. What else it reads (constants, attributes) is taken as it is when first met.
    state
        State before the first step.
    forcing, parameters
        `[T, B]` series, or `[B]` where constant in time; `[T, B, E]` where dynamic, else `[B, E]`.
    outputs
        Names of the fluxes to keep; none: all.
    backend
        "fused": one compiled loop over time with its exact adjoint; "eager": a loop in Python;
        "auto": fused where it can be, else eager with one line in the log.
    mean
        Average the fluxes over components.
    weights
        Weights of the components in that average, `[B, E]`, each basin's of sum 1; none: equal.
    checkpoint_every
        Steps from one state that the fused loop stores for its adjoint to the next; none: 1 where
        that is a small part of memory, else the root of their number. It changes no bit.

    Returns
    -------
    fluxes, state
        Kept fluxes by name, `[T, B, E]` or `[T, B]`, and the state after the last step.

    Raises
    ------
    ValueError
        If an argument is none of these, or the step, its data or this machine is beyond "fused":
        the text names the operation.
    """
    _check(backend, mean, weights, checkpoint_every)
    if backend != "eager":
        from dmg.scan import fused  # tracing imports much of torch

        try:
            known = with_weights(parameters, weights)
            return fused.scan(step, state, forcing, known, outputs, mean, checkpoint_every)
        except UnsupportedError as error:
            if backend == "fused":
                raise
            report_once(f"scan runs eagerly, many times slower: {error}")
    fluxes, state = eager.scan(step, state, forcing, parameters, outputs)
    return {n: averaged(f, weights) for n, f in fluxes.items()} if mean else fluxes, state


def _check(backend: str, mean: bool, weights: Tensor | None, checkpoint_every: int | None) -> None:
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}; choose from {list(BACKENDS)}")
    if checkpoint_every is not None and checkpoint_every < 1:
        raise ValueError(f"checkpoint_every must be at least 1 step, found {checkpoint_every}")
    if weights is not None and (not mean or weights.ndim != 2):
        raise ValueError(
            "weights must be [B, E] and need mean=True,"
            f" found {tuple(weights.shape)} and mean={mean}"
        )
