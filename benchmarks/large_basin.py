"""From which drainage area on channels matter: one unit hydrograph or Muskingum-Cunge.

A generated river of some 130,000 km2, the same runoff from all of its units. Flow through the
channels (Muskingum-Cunge) is taken as the truth; a unit hydrograph that is fitted to the reaches
below 1,000 km2, the size of most research basins, is then used everywhere, and one is fitted to
each class of drainage area as the best that any unit hydrograph can do. Runoff, roughness and
widths are assumed: the table tells where the effect begins, not what a real river does.

    python benchmarks/large_basin.py
    python benchmarks/large_basin.py --reaches 300   # does it work?
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from measure import environment, table
from torch import Tensor

from dmg.data.network import Network, generate
from dmg.metrics.efficiency import nse
from dmg.routing import MuskingumCunge, Reaches, UnitHydrograph
from dmg.routing.channel import Minima
from dmg.score.groups import AREA_CLASSES, area_classes

WARMUP = 90  # days that are not scored
MINIMA = Minima(slope=1e-4)  # large rivers fall less than the default


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reaches", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    network = generate(args.reaches, args.seed, num_outlets=1)
    print(f"{environment()}\n{network.num_reaches} reaches, {network.area.max():,.0f} km2\n")
    runoff = storms(4 * 365 + WARMUP, args.seed)
    truth = through_channels(network, runoff, MuskingumCunge(minima=MINIMA))[WARMUP:]
    delay, height = one_storm(network)
    print(rows_by_area(network, runoff, truth, delay, height))


def storms(num_days: int, seed: int) -> Tensor:
    """Runoff of a storm every ten days or so on slowly varying base flow `[T]` [mm d-1]."""
    rng = np.random.default_rng(seed)
    rain = rng.exponential(12, num_days) * (rng.uniform(size=num_days) < 0.1)
    days = np.arange(8)
    quick = np.convolve(rain, 0.5 * 0.5**days, mode="full")[:num_days]
    base = 0.6 + 0.4 * np.sin(2 * np.pi * np.arange(num_days) / 365)
    return torch.from_numpy(quick + base)


def through_channels(network: Network, runoff: Tensor, routing: MuskingumCunge) -> Tensor:
    """Flow of each reach as a depth over its basin `[T, N]`, in the unit of the runoff `[T]`."""
    length, slope, area = (
        torch.from_numpy(values) for values in (network.length, network.slope, network.area)
    )
    own = torch.from_numpy(np.bincount(network.unit_reach, network.unit_area))
    parameters = {
        "n": torch.full_like(area, 0.04),
        "q_spatial": torch.full_like(area, 0.5),
        "p_spatial": (2.7 * area**0.35).clamp(1, 200),  # wider where more water comes from
    }
    reaches = Reaches(torch.from_numpy(network.downstream), length, slope)
    discharge, _ = routing(runoff[:, None] * own / 86.4, parameters, reaches)
    return 86.4 * discharge / area


def one_storm(network: Network) -> tuple[Tensor, Tensor]:
    """When a storm of one day culminates after it began [h], and how high over its runoff [1]."""
    hours = 24 * 60
    runoff = torch.full((hours,), 0.6, dtype=torch.float64)
    runoff[24:48] += 20
    routing = MuskingumCunge(substeps=1, timestep=3600, minima=MINIMA)
    flow = through_channels(network, runoff, routing)
    return flow.argmax(0) - 24.0, (flow.max(0).values - 0.6) / 20


def rows_by_area(
    network: Network, runoff: Tensor, truth: Tensor, delay: Tensor, height: Tensor
) -> str:
    """Table of medians in classes of drainage area."""
    classes = np.array(area_classes(network.area))
    shapes = hydrographs(runoff)
    small = best(shapes, truth[:, classes == AREA_CLASSES[0]])
    rows = []
    for name in (c for c in AREA_CLASSES if c in classes):
        own = torch.from_numpy(classes == name)
        flows = {
            "unrouted": runoff[WARMUP:],
            "of the small": shapes[:, small],
            "best": shapes[:, best(shapes, truth[:, own])],
        }
        skill = [f"{median_nse(flow, truth[:, own]):.3f}" for flow in flows.values()]
        peak = [f"{delay[own].median():.0f}", f"{height[own].median():.2f}"]
        rows.append((name, int(own.sum()), *peak, *skill))
    columns = (
        "drainage area", "reaches", "peak after [h]", "peak over runoff", "NSE, no routing",
        "NSE, unit hydrograph of the small", "NSE, best for the class",
    )  # fmt: skip
    return table(columns, rows)


def hydrographs(runoff: Tensor) -> Tensor:
    """Runoff through every unit hydrograph of a grid within the bounds `[T, K]`."""
    a, b = torch.meshgrid(
        torch.linspace(0, 2.9, 30, dtype=torch.float64),
        torch.linspace(0, 6.5, 30, dtype=torch.float64),
        indexing="ij",
    )
    parameters = {"route_a": a.flatten(), "route_b": b.flatten()}
    routed, _ = UnitHydrograph()(runoff[:, None].expand(-1, a.numel()), parameters)
    return routed[WARMUP:]


def best(shapes: Tensor, truth: Tensor) -> int:
    """Which of the unit hydrographs is closest to all reaches of a class."""
    errors = (shapes**2).mean(0) - 2 * (shapes * truth.mean(1, keepdim=True)).mean(0)
    return int(errors.argmin())


def median_nse(flow: Tensor, truth: Tensor) -> float:
    many = flow[:, None].expand_as(truth)
    return float(np.median(nse(many.T.numpy(), truth.T.numpy())))


if __name__ == "__main__":
    main()
