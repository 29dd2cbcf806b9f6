"""Cost and accuracy of the solvers of differential equations, on EXP-HYDRO in spring.

Writes the table of docs/ode.md. The truth is SciPy's method of order 8 with tolerances of 1e-11.
Time is that of the processor for a run forward and backward, one thread, in turn, medians.
Euler's methods run on the compiled loop, the adaptive ones on the plain one.

    python benchmarks/ode.py --repeats 3
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from measure import alternate, environment, table
from scipy.integrate import solve_ivp
from torch import Tensor

from dmg.phy.exp_hydro import ExpHydro
from dmg.scan.adaptive import PACKAGES
from dmg.testing import random_parameters, weather
from dmg.testing.checks import part

DAYS, BASINS = 60, 200
CASES: dict[str, dict[str, Any]] = {
    "explicit": {"solver": "explicit"},
    "explicit, 4 sub-steps": {"solver": "explicit", "substeps": 4},
    "explicit, 24 sub-steps": {"solver": "explicit", "substeps": 24},
    "implicit": {"solver": "implicit"},
    "implicit, 4 sub-steps": {"solver": "implicit", "substeps": 4},
    "torchode, 1e-3": {"solver": "torchode", "rtol": 1e-3, "atol": 1e-3},
    "torchode, 1e-6": {"solver": "torchode"},
    "torchdiffeq, 1e-3": {"solver": "torchdiffeq", "rtol": 1e-3, "atol": 1e-3},
    "torchdiffeq, 1e-6": {"solver": "torchdiffeq"},
}


class Problem(NamedTuple):
    """What all solvers are given."""

    forcing: dict[str, Tensor]  # [T, B]
    parameters: dict[str, Tensor]  # [B, 1], with gradient
    start: ExpHydro.State  # [B, 1]


def problem() -> Problem:
    parameters = random_parameters(ExpHydro(), BASINS, 1, margin=0.05)
    start = ExpHydro.State(torch.full((BASINS, 1), 20.0), 0.7 * parameters["Smax"])
    for values in parameters.values():
        values.requires_grad_()
    spring = part(weather(3 * DAYS, BASINS), slice(2 * DAYS, None))
    return Problem(spring, parameters, start)


def flow(model: ExpHydro, given: Problem) -> Tensor:
    """Daily flow, `[T, B]`."""
    backend = "eager" if model.solver in PACKAGES else "fused"
    out = model(*given, outputs=["streamflow"], backend=backend)
    return out.fluxes["streamflow"].squeeze(-1)


def run(model: ExpHydro, given: Problem) -> None:
    torch.autograd.grad(flow(model, given).sum(), [*given.parameters.values()])


def truth(given: Problem) -> Tensor:
    """Daily flow, `[T, B]`, integrated beside the stores, day by day as forcing jumps."""
    parameters = {n: p.detach().squeeze(-1) for n, p in given.parameters.items()}
    y = np.concatenate([s.flatten().numpy() for s in (*given.start, torch.zeros(BASINS))])
    totals = [y[-BASINS:]]

    def rates(t: float, y: Any, today: dict[str, Tensor]) -> Any:
        S0, S1, _ = torch.from_numpy(y).view(3, BASINS)
        stores, (Q, *_) = ExpHydro.rhs(t, ExpHydro.State(S0, S1), today, parameters)
        return torch.cat([*stores, Q]).numpy()

    for day in range(DAYS):
        today = {n: f[day] for n, f in given.forcing.items()}
        solve = partial(solve_ivp, method="DOP853", rtol=1e-11, atol=1e-11, args=(today,))
        y = solve(rates, (0.0, 1.0), y).y[:, -1]
        totals.append(y[-BASINS:])
    return torch.from_numpy(np.diff(np.stack(totals), axis=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    given = problem()
    models = {name: ExpHydro(**options) for name, options in CASES.items()}
    exact = truth(given)
    errors = {n: (flow(m, given).detach() - exact).abs() for n, m in models.items()}
    works = {n: partial(run, m, given) for n, m in models.items()}
    times = alternate(works, repeats, clock=time.process_time)
    costs = {n: 1e6 * statistics.median(t) / DAYS / BASINS for n, t in times.items()}
    rows = [
        (name, f"{errors[name].mean():.1e}", f"{errors[name].max():.1e}", f"{cost:,.0f}",
         f"{cost / costs['explicit']:,.1f}")
        for name, cost in costs.items()
    ]  # fmt: skip
    print(f"{environment()}; one thread, {repeats} repeats\n")
    print(table(["solver", "error of daily flow, mean [mm d-1]", "largest",
                 "ns per basin and day", "/ explicit"], rows))  # fmt: skip


if __name__ == "__main__":
    main()
