"""Single properties of a run, and the weather that puts them to the test.

Shape legend: T time, B basins, E components.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dmg.phy.base import ProcessModel, Trajectory
from dmg.scan import scan
from dmg.testing.compare import Case

Named = dict[str, Tensor]

BALANCE_TOLERANCE = 1e-9
"""Water that may be made or lost in a run [mm]: rounding of sums of thousands of mm."""
ROUNDING = 1e-12
"""How far below zero a store or flux may be, relative to the largest value of it."""


def assert_conserved(model: ProcessModel, forcing: Named, parameters: Named) -> None:
    """Change of storage is the declared balance of what came and went, where one is declared."""
    if not model.BALANCE:
        return
    num_basins, num_components = next(iter(parameters.values())).shape
    start = model.initial_state(num_basins, num_components, torch.zeros(()))
    run = model(forcing, parameters, state=start)
    has_memory = bool(model.State._fields)
    held = [model.storage(s, parameters) if has_memory else 0.0 for s in (start, run.state)]
    terms = {n: f.unsqueeze(-1) for n, f in forcing.items()} | run.fluxes
    came = sum(sign * terms[name].sum(0) for name, sign in model.BALANCE.items())
    lost = (held[1] - held[0] - model.dt * came).abs().max()
    assert lost < BALANCE_TOLERANCE, f"{float(lost):.2e} mm of water made or lost"


def assert_not_negative(model: ProcessModel, run: Trajectory) -> None:
    """No store or flux is negative but those in `SIGNED`, and nothing is missing."""
    for name, values in (run.fluxes | run.state._asdict()).items():
        assert values.isfinite().all(), f"{name} has missing values"
        least = -ROUNDING * (1 + values.abs().max())
        assert name in model.SIGNED or values.min() >= least, f"{name} is {float(values.min()):.2e}"


def assert_finite_gradients(
    model: ProcessModel, state: Any, forcing: Named, parameters: Named
) -> None:
    """Sum of all fluxes has a finite slope by every store, forcing and parameter."""
    forcing, parameters = ({n: v.clone() for n, v in t.items()} for t in (forcing, parameters))
    leaves = {**state._asdict(), **forcing, **parameters}
    for leaf in leaves.values():
        leaf.requires_grad_()
    out = model(forcing, parameters, state=state)
    total = torch.stack([*out.fluxes.values()]).sum() + sum(s.sum() for s in out.state)
    gradients = torch.autograd.grad(total, [*leaves.values()], allow_unused=True)
    pairs: list[tuple[str, Tensor | None]] = list(zip(leaves, gradients, strict=True))
    wrong = [name for name, g in pairs if g is not None and not g.isfinite().all()]
    assert not wrong, f"the gradient is not finite by {wrong}"


def assert_stays_on(device: str, case: Case) -> None:
    """Fluxes and stores are on the device of the inputs; "meta" has no values, only shapes."""
    fluxes, state = scan(*case.to(device), backend="eager")
    assert {t.device.type for t in (*fluxes.values(), *state)} == {device}


def with_a_flood(forcing: Named, rain: float = 500.0) -> Named:
    """Return the forcing with one step of extreme rain [mm d-1] in the middle."""
    flooded = {n: f.clone() for n, f in forcing.items()}
    for name in flooded.keys() & {"precipitation"}:
        flooded[name][len(flooded[name]) // 2] = rain
    return flooded


def extremes(forcing: Named) -> Named:
    """Six basins with a weather each: usual, drought, cold, hot drought, flood, no energy."""
    changed = {n: f.clone() for n, f in forcing.items()}
    for name in changed.keys() & {"precipitation"}:
        changed[name][:, [1, 3]] = 0
        changed[name][len(changed[name]) // 2, 4] = 500
    for name in changed.keys() & {"temperature", "temperature_min", "temperature_max"}:
        changed[name][:, 2] -= 55
        changed[name][:, 3] += 15
    for name in changed.keys() & {"pet", "shortwave", "daylength", "vapour_pressure"}:
        changed[name][:, 5] = 0
    return changed


def part(forcing: Named, steps: slice) -> Named:
    """Return some steps of a forcing; what is constant in time stays."""
    return {n: f[steps] if f.ndim == 2 else f for n, f in forcing.items()}
