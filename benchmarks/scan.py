"""The fused scan against the loops of `baselines.py`: the physics, from scores to loss and back.

Each case starts from the raw scores of a network (dynamic ones for the scored days, static ones
once), maps them to parameters, runs warm-up and scored days, averages over components, routes
and takes the mean square. HBV 1.0 warms up without gradient, HBV 1.1p under it, as their
publications do; `field` computes every flux, as published loops do. The loops run in turn;
medians of repeats after a warm-up run.

    python benchmarks/scan.py --threads 1 --repeats 5
    python benchmarks/scan.py --basins 5 --days 20 --warmup 10   # does it work?
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import baselines
import torch
from torch import Tensor

from dmg.phy import ProcessModel
from dmg.phy.hbv_1_0 import Hbv10
from dmg.phy.hbv_1_1p import Hbv11p
from dmg.routing import UnitHydrograph

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


def weather(num_days: int, num_basins: int) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(0)
    size = (num_days, num_basins)
    return {
        "precipitation": (20 * torch.rand(size, generator=g) - 12).clamp(min=0),
        "temperature": 8 + 8 * torch.randn(size, generator=g),
        "pet": 4 * torch.rand(size, generator=g),
    }


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
    bounds = case.model.PARAMETERS
    parameters = {n: bounds[n].lower + (bounds[n].upper - bounds[n].lower) * torch.sigmoid(r)
                  for n, r in raw.items()}  # fmt: skip
    state: Any = None
    if case.warmup and not case.warmup_gradient:
        static = {n: p[0] if p.ndim == 3 else p for n, p in parameters.items()}
        first = {n: f[: case.warmup] for n, f in forcing.items()}
        with torch.no_grad():
            _, state = loop(case.model, first, static, None, ["streamflow"])
        forcing = {n: f[case.warmup :] for n, f in forcing.items()}
    fluxes, _ = loop(case.model, forcing, parameters, state, ["streamflow"])
    route = {"route_a": torch.full((case.basins,), 1.5), "route_b": torch.ones(case.basins)}
    routed, _ = UnitHydrograph(15)(fluxes["streamflow"], route)
    return routed[-case.days :].square().mean()


def measure(case: Case, loops: list[str], repeats: int) -> dict[str, tuple[float, float]]:
    """Median seconds of the forward pass without gradient, and of forward and backward."""
    raw, forcing = scores(case), weather(case.warmup + case.days, case.basins)
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in loops}
    for _ in range(repeats + 1):
        for name in loops:
            start = time.perf_counter()
            with torch.no_grad():
                physics(case, LOOPS[name], raw, forcing)
            middle = time.perf_counter()
            loss = physics(case, LOOPS[name], raw, forcing)
            torch.autograd.grad(loss, [*raw.values()])
            times[name].append((middle - start, time.perf_counter() - middle))
    return {
        name: (statistics.median(f for f, _ in t[1:]), statistics.median(b for _, b in t[1:]))
        for name, t in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in {"basins": 100, "days": 365, "warmup": 365, "components": 16,
                          "threads": 1, "repeats": 5}.items():  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--large", action="store_true", help="also 1,000 basins and twice the days")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    standard = (args.basins, args.days, args.warmup, args.components)
    cases = [Case(Hbv10(), *standard, False), Case(Hbv11p(), *standard, True)]
    if args.large:
        cases.append(Case(Hbv10(), 1000, args.days, 0, 4, False))
        cases += [Case(Hbv10(), args.basins, days, 0, 16, False) for days in (730, 1460)]
    print(f"torch {torch.__version__}, {args.threads} thread(s), median of {args.repeats}, ms\n")
    print("| case | pass | field | eager | fused | field / fused | eager / fused |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for case in cases:
        found = measure(case, [*LOOPS], args.repeats)
        for i, kind in enumerate(("forward", "forward + backward")):
            f, e, c = (1000 * found[name][i] for name in LOOPS)
            times = f"{f:.1f} | {e:.1f} | {c:.2f} | {f / c:.0f} | {e / c:.0f}"
            print(f"| {case.label()} | {kind} | {times} |", flush=True)


if __name__ == "__main__":
    main()
