"""The loops that a fused scan is compared with, shared by all benchmarks of speed.

`field`: as the field writes it. Every parameter is repeated to `[T, B, E]`, indexed by `[t]` in
each step, and every flux is assigned into a preallocated tensor; the backward cost grows with
the square of the number of days.
`eager`: `dmg.scan` with its reference backend, linear in time (`unbind`, `stack`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dmg.phy import ProcessModel

Result = tuple[dict[str, Tensor], Any]


def field(
    model: ProcessModel,
    forcing: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    state: Any = None,
    outputs: Sequence[str] | None = None,
) -> Result:
    """Fluxes averaged over components, `[T, B]`, and the last state; all fluxes are computed."""
    num_steps, num_basins = next(iter(forcing.values())).shape
    repeated = {
        name: p if p.ndim == 3 else p.unsqueeze(0).repeat(num_steps, 1, 1)
        for name, p in parameters.items()
    }
    num_components = next(iter(repeated.values())).shape[-1]
    wide = {n: f.unsqueeze(-1).repeat(1, 1, num_components) for n, f in forcing.items()}
    like = next(iter(repeated.values()))
    if state is None:
        state = model.initial_state(num_basins, num_components, like)
    size = (num_steps, num_basins, num_components)
    series = {name: torch.zeros(size, dtype=like.dtype) for name in model.Flux._fields}
    for t in range(num_steps):
        state, flux = model.step(
            state, {n: f[t] for n, f in wide.items()}, {n: p[t] for n, p in repeated.items()}
        )
        for name, value in zip(flux._fields, flux, strict=True):
            series[name][t] = value
    return {name: series[name].mean(-1) for name in outputs or series}, state


def eager(
    model: ProcessModel,
    forcing: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    state: Any = None,
    outputs: Sequence[str] | None = None,
) -> Result:
    """Same, by the reference backend."""
    return _by_backend("eager", model, forcing, parameters, state, outputs)


def fused(
    model: ProcessModel,
    forcing: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    state: Any = None,
    outputs: Sequence[str] | None = None,
    scores: Collection[str] = (),
) -> Result:
    """Same, by the compiled loop, which stores only what is asked for and may start from scores."""
    return _by_backend("fused", model, forcing, parameters, state, outputs, scores)


def _by_backend(backend: str, model: ProcessModel, *args: Any) -> Result:
    forcing, parameters, state, outputs, *scores = args
    out = model(forcing, parameters, state, backend=backend, outputs=outputs, mean=True,
                check=False, scores=scores[0] if scores else ())  # fmt: skip
    return out.fluxes, out.state
