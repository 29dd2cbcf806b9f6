"""Cases of the scan's benchmark: the physics from scores to loss, and its passes.

A case starts from the raw scores of a network (dynamic ones for the scored days, static ones
once), maps them to parameters, runs warm-up and scored days, averages over components, routes
runoff and takes the mean square. HBV 1.0 warms up without gradient, HBV 1.1p under it, as their
publications do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import baselines
import torch
from torch import Tensor

from dmg.phy import ProcessModel
from dmg.routing import UnitHydrograph
from dmg.testing import weather
from dmg.testing.checks import part

LOOPS: dict[str, Callable[..., baselines.Result]] = {
    "field": baselines.field, "eager": baselines.eager, "fused": baselines.fused,
}  # fmt: skip


class Case(NamedTuple):
    """A size, and whether the warm-up carries a gradient."""

    model: ProcessModel
    basins: int
    days: int  # scored
    warmup: int
    components: int
    warmup_gradient: bool

    def label(self) -> str:
        return (f"{type(self.model).__name__}, {self.basins} basins,"
                f" {self.warmup} + {self.days} days, {self.components} components")  # fmt: skip


def scores(case: Case) -> dict[str, Tensor]:
    """Raw scores of a network by parameter: `[T, B, E]` or `[B, E]`."""
    g = torch.Generator().manual_seed(1)
    steps = case.days + case.warmup * case.warmup_gradient
    static = (case.basins, case.components)
    shapes = {
        name: (steps, *static) if name in case.model.RECOMMENDED_DYNAMIC else static
        for name in case.model.PARAMETERS
    }
    return {n: torch.randn(shape, generator=g).requires_grad_() for n, shape in shapes.items()}


def physics(
    case: Case, loop: Callable[..., baselines.Result], raw: dict[str, Tensor],
    forcing: dict[str, Tensor],
) -> Tensor:  # fmt: skip
    table = case.model.PARAMETERS
    # the fused loop maps dynamic scores to values itself, as it does in a training
    kept = {n for n, r in raw.items() if r.ndim == 3} if loop is baselines.fused else set()
    parameters = {n: r if n in kept else table[n].value(r) for n, r in raw.items()}
    state: Any = None
    if case.warmup and not case.warmup_gradient:
        static = {n: table[n].value(r[0]) if r.ndim == 3 else parameters[n] for n, r in raw.items()}
        first = part(forcing, slice(case.warmup))
        with torch.no_grad():
            _, state = loop(case.model, first, static, None, [])
        forcing = part(forcing, slice(case.warmup, None))
    scores = {"scores": kept} if kept else {}
    runoff = case.model.RUNOFF[0]
    fluxes, _ = loop(case.model, forcing, parameters, state, [runoff], **scores)
    route = {"route_a": torch.full((case.basins,), 1.5), "route_b": torch.ones(case.basins)}
    routed, _ = UnitHydrograph(15)(fluxes[runoff], route)
    return routed[-case.days :].square().mean()


class Passes:
    """The two passes of a case by one of the loops."""

    def __init__(self, case: Case, loop: str) -> None:
        model, steps = case.model, case.warmup + case.days
        self.raw = scores(case)
        self.forcing = weather(steps, case.basins, forcings=model.forcings, dt=model.dt)
        self.case, self.loop = case, LOOPS[loop]

    def forward(self) -> None:
        with torch.no_grad():
            physics(self.case, self.loop, self.raw, self.forcing)

    def graph(self) -> None:
        """Forward with all that a backward pass would need."""
        self.kept = physics(self.case, self.loop, self.raw, self.forcing)

    def both(self) -> None:
        loss = physics(self.case, self.loop, self.raw, self.forcing)
        torch.autograd.grad(loss, [*self.raw.values()])
