"""Both backends on the same numbers: values and all gradients."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dmg.phy import ProcessModel
from dmg.scan import scan
from tests.phy.weather import random_parameters, weather


class Case(NamedTuple):
    """Arguments of a scan."""

    step: Callable[..., Any]
    state: Any
    forcing: dict[str, Tensor]
    parameters: dict[str, Tensor]

    def to(self, dtype: torch.dtype) -> "Case":
        return Case(
            self.step,
            type(self.state)(*(s.to(dtype) for s in self.state)),
            {n: f.to(dtype) for n, f in self.forcing.items()},
            {n: p.to(dtype) for n, p in self.parameters.items()},
        )

    def leaves(self) -> list[Tensor]:
        return [*self.state, *self.forcing.values(), *self.parameters.values()]


def model_case(
    model: ProcessModel, size: tuple[int, int, int], dynamic: bool = False, seed: int = 0
) -> Case:
    """Weather and parameters within bounds; some of the parameters in time on request."""
    num_steps, num_basins, num_components = size
    parameters = random_parameters(model, num_basins, num_components, seed)
    g = torch.Generator().manual_seed(seed)
    for name in model.RECOMMENDED_DYNAMIC if dynamic else ():
        bounds = model.PARAMETERS[name]
        score = torch.rand(size, generator=g)
        parameters[name] = bounds.lower + (bounds.upper - bounds.lower) * score
    state = model.initial_state(num_basins, num_components, torch.zeros(()))
    filled = (s + 20 * torch.rand(s.shape, generator=g) for s in state)
    return Case(model.step, type(state)(*filled), weather(num_steps, num_basins, seed), parameters)


def results(case: Case, backend: str, **options: Any) -> tuple[list[Tensor], list[Tensor]]:
    """Return fluxes with last states, and gradients of everything by random weights."""
    leaves = [leaf.detach().requires_grad_() for leaf in case.leaves()]
    first, second = len(case.state), len(case.state) + len(case.forcing)
    state = type(case.state)(*leaves[:first])
    forcing = dict(zip(case.forcing, leaves[first:second], strict=True))
    parameters = dict(zip(case.parameters, leaves[second:], strict=True))
    fluxes, last = scan(case.step, state, forcing, parameters, backend=backend, **options)
    if not options.get("mean"):  # eager leaves what has no components without them
        fluxes = {n: f.expand(len(f), *leaves[0].shape) for n, f in fluxes.items()}
    values = [*fluxes.values(), *(s.expand(leaves[0].shape) for s in last)]
    g = torch.Generator().manual_seed(7)
    weights = [torch.rand(v.shape, generator=g, dtype=torch.float64).to(v) for v in values]
    gradients = torch.autograd.grad(values, leaves, weights, allow_unused=True)
    return [v.detach() for v in values], [
        torch.zeros_like(leaf) if g is None else g
        for g, leaf in zip(gradients, leaves, strict=True)
    ]


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


def typical_error(found: Tensor, expected: Tensor) -> float:
    """Return the error of all but the worst tenth: on a kink, rounding decides the side."""
    scale = expected.abs().max().clamp(min=1e-300)
    return float(((found.double() - expected).abs() / scale).flatten().quantile(0.9))


def assert_single_precision(case: Case) -> None:
    """In float32 the error is at most twice the eager one, and a few units in the last place."""
    exact = results(case.to(torch.float64), "eager")
    fused, eager = (results(case.to(torch.float32), b) for b in ("fused", "eager"))
    for truth, ours, theirs in zip(exact, fused, eager, strict=True):
        for t, o, e in zip(truth, ours, theirs, strict=True):
            allowed = 2 * typical_error(e, t) + 4 * torch.finfo(torch.float32).eps
            assert typical_error(o, t) <= allowed
