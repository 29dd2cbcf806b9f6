"""Cost and accuracy of the solvers of differential equations, on EXP-HYDRO.

python -m benchmarks.ode

Writes the table of docs/ode.md. The truth is `torchode` with tolerances of 1e-9. Time is that of
a run forward and backward, in ns per basin and day, one thread, the median of three. A single step
of Euler's runs on the compiled loop, all others on the plain one.
"""

import statistics
import time
from typing import Any

import torch
from torch import Tensor

from dmg.phy.exp_hydro import ExpHydro
from dmg.testing import random_parameters, weather

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


def run(options: dict[str, Any]) -> tuple[Tensor, float]:
    """Return streamflow [T, B, 1], and the seconds of a run and its gradient."""
    model = ExpHydro(**options)
    forcing = weather(DAYS, BASINS)
    drawn = random_parameters(model, BASINS, 1, margin=0.05)
    parameters = {n: p.requires_grad_() for n, p in drawn.items()}
    start = ExpHydro.State(torch.full((BASINS, 1), 20.0), 0.7 * drawn["Smax"].detach())
    fused = options["solver"] in ("explicit", "implicit") and "substeps" not in options
    begin = time.perf_counter()
    backend = "fused" if fused else "eager"
    out = model(forcing, parameters, state=start, outputs=["streamflow"], backend=backend)
    flow = out.fluxes["streamflow"]
    flow.sum().backward()
    return flow.detach(), time.perf_counter() - begin


def main() -> None:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    truth, _ = run({"solver": "torchode", "rtol": 1e-9, "atol": 1e-9})
    print("| solver | error of daily flow, mean [mm d-1] | largest | ns per basin and day |")
    print("| --- | --- | --- | --- |")
    for name, options in CASES.items():
        run(options)  # compiles
        runs = [run(options) for _ in range(3)]
        error = (runs[0][0] - truth).abs()
        cost = 1e9 * statistics.median(t for _, t in runs) / DAYS / BASINS
        print(f"| {name} | {error.mean():.1e} | {error.max():.1e} | {cost:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
