"""The reference backend: a Python loop over time whose cost is linear in the number of steps.

Series are cut into steps by one `unbind` and the fluxes are joined by one `stack`. Indexing
`series[t]` or assigning `out[t]` instead makes autograd touch a whole `[T, B, E]` tensor per
step, so that the backward cost grows with the square of the length.

Shape legend: T time, B basins, E components.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dmg.scan.shapes import extent_of, rebuilt

Values = Mapping[str, Tensor]
Step = Callable[[Any, Values, Values], tuple[Any, Any]]
"""`(state, forcing, parameters) -> (state, flux)` of one time step."""


def scan(
    step: Step,
    state: Any,
    forcing: Values,
    parameters: Values,
    outputs: Sequence[str] | None = None,
) -> tuple[dict[str, Tensor], Any]:
    """Apply `step` to every time step in turn.

    Parameters
    ----------
    step
        Pure function `step(state, forcing, parameters) -> (state, flux)` of one time step;
        `state` and `flux` are named tuples of `[B, E]` tensors.
    state
        State before the first step.
    forcing
        `[T, B]` series, or `[B]` where constant in time.
    parameters
        `[T, B, E]` where dynamic, `[B, E]` where static.
    outputs
        Names of the fluxes to keep; none: all.

    Returns
    -------
    fluxes, state
        Kept fluxes `[T, B, E]` by name, and the state after the last step.

    Raises
    ------
    ValueError
        If the shapes do not fit together, or nothing is a series of at least one step.
    """
    extent = extent_of(state if isinstance(state, tuple) else (), forcing, parameters)
    kept: list[tuple[Tensor, ...]] = []
    names: Sequence[str] = outputs or ()
    for forcing_t, parameters_t in zip(
        _steps(forcing, series_ndim=2, component=True),
        _steps(parameters, series_ndim=3, component=False),
        strict=False,  # one of them may be endless
    ):
        state, flux = step(state, forcing_t, parameters_t)
        names = outputs if outputs is not None else flux._fields
        kept.append(tuple(getattr(flux, name) for name in names))
    series = (_joined(s).expand(extent) for s in zip(*kept, strict=True))
    if isinstance(state, tuple):
        state = rebuilt(state, [s.expand(extent[1:]) for s in state])
    return dict(zip(names, series, strict=True)), state


def _joined(steps: tuple[Tensor, ...]) -> Tensor:
    series = torch.stack(steps)
    return series.reshape(-1, 1, 1) if series.ndim == 1 else series  # a number in each step


def _steps(values: Values, series_ndim: int, component: bool) -> Iterator[dict[str, Tensor]]:
    """Yield the values of each step; endless where nothing changes in time."""
    values = {n: v.unsqueeze(-1) if component else v for n, v in values.items()}
    ndim = series_ndim + component
    constant = {n: v for n, v in values.items() if v.ndim < ndim}
    series = {n: v.unbind(0) for n, v in values.items() if v.ndim == ndim}
    if not series:
        while True:
            yield constant
    for step in zip(*series.values(), strict=True):
        yield constant | dict(zip(series, step, strict=True))
