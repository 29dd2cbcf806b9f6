"""Muskingum-Cunge routing of one day in 24 steps against the way of the field, in one run.

The field's way: cross section and weights element-wise in PyTorch, the flow of the reaches
upstream by a sparse product, and `scipy.sparse.linalg.spsolve_triangular` in double precision for
each step. Tables: a day on a synthetic network, the same by size of the network and by number of
days with the adjoint, threads.

    python benchmarks/routing.py --repeats 5
    python benchmarks/routing.py --quick      # does it work?
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import scipy.sparse as sparse
import torch
from measure import alternate, environment, table, times_table
from scipy.sparse.linalg import spsolve_triangular
from torch import Tensor

from dmg.data.network import generate
from dmg.routing import MuskingumCunge, Reaches
from dmg.routing.channel import Minima, muskingum_weights, section
from dmg.routing.sweep import plan_of


class Case:
    """A network, days of lateral inflow and parameters, in single precision."""

    def __init__(self, num_reaches: int, num_days: int) -> None:
        network = generate(num_reaches, seed=1)
        length, slope = (torch.from_numpy(a).float() for a in (network.length, network.slope))
        self.reaches = Reaches(torch.from_numpy(network.downstream), length, slope)
        draw = torch.Generator().manual_seed(0)
        runoff = torch.rand(num_days, num_reaches, generator=draw) ** 6 * 20
        self.inflow = runoff * torch.from_numpy(network.unit_area).float() / 86.4
        names = ("n", "q_spatial", "p_spatial")
        given = torch.rand(3, num_reaches, generator=draw)
        scales = ((0.02, 0.1), (0.1, 0.8), (5.0, 60.0))
        self.parameters = {
            name: low + width * value
            for name, value, (low, width) in zip(names, given, scales, strict=True)
        }
        self.routing = MuskingumCunge()
        self.start = self.routing.initial_state(self.inflow[0], self.reaches)
        plan_of(self.reaches, torch.float32)

    def forward(self) -> Tensor:
        discharge, _ = self.routing(self.inflow, self.parameters, self.reaches, self.start)
        return discharge

    def both(self) -> None:
        leaves = {name: value.clone().requires_grad_() for name, value in self.parameters.items()}
        self.routing(self.inflow, leaves, self.reaches, self.start)[0].sum().backward()


class Field:
    """The same day, step by step."""

    def __init__(self, case: Case) -> None:
        self.case = case
        links = case.reaches.downstream.numpy()
        inner = np.flatnonzero(links >= 0)
        size = len(links), len(links)
        self.upstream = sparse.csr_matrix((np.ones(len(inner)), (links[inner], inner)), size)
        parts = (torch.from_numpy(a) for a in (self.upstream.indptr, self.upstream.indices))
        with warnings.catch_warnings(action="ignore"):  # in beta, says PyTorch
            self.product = torch.sparse_csr_tensor(*parts, torch.ones(len(inner)), size)
        # the pattern of I - C1 N, whose numbers change with each step
        self.matrix = (sparse.identity(len(links)) + self.upstream).tocsr()
        self.matrix.sort_indices()
        self.row = np.repeat(np.arange(len(links)), np.diff(self.matrix.indptr))
        self.diagonal = self.row == self.matrix.indices

    def forward(self) -> Tensor:
        case, flow = self.case, self.case.start.discharge
        days = []
        for lateral in case.inflow:
            total = torch.zeros_like(flow)
            for i in range(24):
                source = lateral if i or not days else case.inflow[len(days) - 1]
                flow = self.step(flow, source.clamp(min=1e-4))
                total += flow
            days.append(total / 24)
        return torch.stack(days)

    def step(self, flow: Tensor, lateral: Tensor) -> Tensor:
        case = self.case
        celerity = section(flow, case.parameters, case.reaches, Minima()).celerity
        weights = muskingum_weights(celerity, case.reaches, 3600.0)
        right = weights.inflow * (self.product @ flow) + weights.discharge * flow
        right = right + weights.lateral * lateral
        first = weights.inflow_next.double().numpy()
        self.matrix.data = np.where(self.diagonal, 1.0, -first[self.row])
        solved = spsolve_triangular(self.matrix, right.double().numpy(), unit_diagonal=True)
        return torch.from_numpy(solved).float().clamp(min=1e-4)


def with_threads(number: int, work: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        torch.set_num_threads(number)
        work()
        torch.set_num_threads(1)

    return run


def against_the_field(num_reaches: int, repeats: int, clock: Callable[[], float]) -> str:
    case = Case(num_reaches, 1)
    field = Field(case)
    error = (case.forward() / field.forward() - 1).abs().max().item()
    works = {"field": field.forward, "ours": case.forward, "ours, with its adjoint": case.both}
    if clock is time.perf_counter:
        works["ours, 2 threads"] = with_threads(2, case.forward)
        works["ours, with its adjoint, 2 threads"] = with_threads(2, case.both)
    title = f"{num_reaches} reaches, a day of 24 steps"
    times = times_table(title, alternate(works, repeats, clock))
    return f"{times}\n\nLargest difference of a day's discharge: {error:.1e} (float32)."


def growth(sizes: list[tuple[int, int]], repeats: int, clock: Callable[[], float]) -> str:
    """Nanoseconds for each reach and step: constant where the cost is linear."""
    cases = {size: Case(*size) for size in sizes}
    rows = []
    for kind in ("forward", "both"):
        times = alternate({str(s): getattr(c, kind) for s, c in cases.items()}, repeats, clock)
        for size in sizes:
            each = [1e6 * t / (size[0] * size[1] * 24) for t in times[str(size)]]
            middle, spread = statistics.median(each), f"{min(each):.2f}-{max(each):.2f}"
            rows.append((f"{size[0]:,} reaches, {size[1]} days, {kind}", f"{middle:.2f}", spread))
    return table(["size", "ns per reach and step", "min-max"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cpu", action="store_true", help="processor time: others are at work")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it work?")
    args = parser.parse_args()
    torch.set_num_threads(1)
    large, repeats = (500, 1) if args.quick else (180_000, args.repeats)
    print(f"{environment()}; one thread unless said otherwise, {repeats} repeats\n")
    clock = time.process_time if args.cpu else time.perf_counter
    print(against_the_field(large, repeats, clock), flush=True)
    sizes = [(large // 4, 4), (large // 2, 4), (large, 4), (large, 8), (large, 16)]
    print(f"\n{growth(sizes, repeats, clock)}")


if __name__ == "__main__":
    main()
