"""Both backends on the same numbers: values and all gradients.

Shape legend: T time, B basins, E components.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dmg.phy import ProcessModel
from dmg.scan import scan
from dmg.testing.samples import at, random_parameters, weather


class Case(NamedTuple):
    """Arguments of a scan."""

    step: Callable[..., Any]
    state: Any
    forcing: dict[str, Tensor]
    parameters: dict[str, Tensor]

    def to(self, target: Any) -> Case:
        """Return the case with all tensors of another type, or on another device."""
        return Case(
            self.step,
            type(self.state)(*(s.to(target) for s in self.state)),
            {n: f.to(target) for n, f in self.forcing.items()},
            {n: p.to(target) for n, p in self.parameters.items()},
        )

    def leaves(self) -> list[Tensor]:
        """Return states, forcings and parameters, in this order."""
        return [*self.state, *self.forcing.values(), *self.parameters.values()]


def model_case(
    model: ProcessModel,
    size: tuple[int, int, int],
    dynamic: bool = False,
    seed: int = 0,
    forcing: dict[str, Tensor] | None = None,
) -> Case:
    """Return weather, parameters within bounds and filled stores.

    Parameters
    ----------
    model
        Whose step is run.
    size
        T, B and E.
    dynamic
        Let the recommended dynamic parameters change in time, or all where none is recommended.
    seed
        Of all random numbers.
    forcing
        Weather; none: that of `weather`.
    """
    num_steps, num_basins, num_components = size
    parameters = random_parameters(model, num_basins, num_components, seed)
    g = torch.Generator().manual_seed(seed)
    for name in (model.RECOMMENDED_DYNAMIC or model.PARAMETERS) if dynamic else ():
        parameters[name] = at(model.PARAMETERS[name], torch.rand(size, generator=g))
    state = model.initial_state(num_basins, num_components, torch.zeros(()))
    filled = (s + 20 * torch.rand(s.shape, generator=g) for s in state)
    if forcing is None:
        forcing = weather(num_steps, num_basins, seed, model.forcings, dt=model.dt)
    return Case(model.step, type(state)(*filled), forcing, parameters)


def results(case: Case, backend: str, **options: Any) -> tuple[list[Tensor], list[Tensor]]:
    """Return fluxes with last states, and gradients of everything by random weights."""
    leaves = [leaf.detach().requires_grad_() for leaf in case.leaves()]
    first, second = len(case.state), len(case.state) + len(case.forcing)
    state = type(case.state)(*leaves[:first])
    forcing = dict(zip(case.forcing, leaves[first:second], strict=True))
    parameters = dict(zip(case.parameters, leaves[second:], strict=True))
    fluxes, last = scan(case.step, state, forcing, parameters, backend=backend, **options)
    if not options.get("mean"):  # eager leaves what has no components without them
        like = next(iter(parameters.values())).shape[-2:]
        fluxes = {n: f.expand(len(f), *like) for n, f in fluxes.items()}
    values = [*fluxes.values(), *(s.expand(leaves[0].shape) for s in last)]
    g = torch.Generator().manual_seed(7)
    weights = [torch.rand(v.shape, generator=g, dtype=torch.float64).to(v) for v in values]
    learn = [i for i, v in enumerate(values) if v.requires_grad]
    gradients = torch.autograd.grad(
        [values[i] for i in learn], leaves, [weights[i] for i in learn],
        allow_unused=True, materialize_grads=True,
    )  # fmt: skip
    return [v.detach() for v in values], [*gradients]


def error(found: Sequence[Tensor], expected: Sequence[Tensor]) -> list[float]:
    """Return the largest error of each tensor, relative to its largest value."""
    return [
        float((f.double() - e.double()).abs().max() / e.double().abs().max().clamp(min=1e-300))
        for f, e in zip(found, expected, strict=True)
    ]


def assert_equal(case: Case, tolerance: float = 1e-12, **options: Any) -> None:
    """Fused and eager agree in double precision, values and gradients."""
    fused, eager = (results(case.to(torch.float64), b, **options) for b in ("fused", "eager"))
    for found, expected in zip(fused, eager, strict=True):
        assert max(error(found, expected)) < tolerance
