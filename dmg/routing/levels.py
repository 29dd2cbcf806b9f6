"""Sums and solves along a network, level by level: in PyTorch, on any device.

The reaches of a level flow from those of earlier levels only, so that a level is one operation.

Shape legend: N reaches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Levels:
    """Links of a network by the level of the reach that they end in, upstream ones first."""

    upstream: tuple[Tensor, ...]
    """Reach that each link of a level begins at."""
    downstream: tuple[Tensor, ...]
    """Reach that it ends in."""
    num_reaches: int

    @staticmethod
    def of(downstream: Tensor) -> Levels:
        """Sort the links of a network; `downstream` `[N]` is -1 at outlets.

        Raises
        ------
        ValueError
            If the network has a cycle.
        """
        missing = torch.bincount(downstream[downstream >= 0], minlength=len(downstream))
        level = torch.zeros_like(downstream)
        front, done, number = (missing == 0).nonzero().squeeze(1), 0, 0
        while len(front):
            level[front] = number
            done, number = done + len(front), number + 1
            ends = downstream[front]
            ends = ends[ends >= 0]
            missing.index_add_(0, ends, torch.full_like(ends, -1))
            front = torch.unique(ends[missing[ends] == 0])
        if done < len(downstream):
            raise_cycle(downstream)
        links = (downstream >= 0).nonzero().squeeze(1)
        links = links[torch.argsort(level[downstream[links]], stable=True)]
        sizes = torch.bincount(level[downstream[links]], minlength=1)[1:].tolist()
        starts, below = torch.split(links, sizes), torch.split(downstream[links], sizes)
        return Levels(starts, below, len(downstream))

    def upper(self, flow: Tensor) -> Tensor:
        """Sum of the reaches directly upstream of each, `[N]`."""
        total = torch.zeros_like(flow)
        if self.upstream:
            total = total.index_add(0, torch.cat(self.downstream), flow[torch.cat(self.upstream)])
        return total

    def solve(self, weight: Tensor, right: Tensor) -> Tensor:
        """Solve `x = right + weight * upper(x)`, all `[N]`; differentiable."""
        solution: Tensor = _Solve.apply(weight, right, self)  # type: ignore[no-untyped-call]
        return solution


class _Solve(torch.autograd.Function):
    """A triangular system from upstream to downstream; its adjoint goes the other way."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, right: Tensor, levels: Levels) -> Tensor:
        solution, above = right.clone(), torch.zeros_like(right)
        for start, end in zip(levels.upstream, levels.downstream, strict=True):
            above.index_add_(0, end, solution[start])
            solution[end] = right[end] + weight[end] * above[end]
        ctx.save_for_backward(weight, above)
        ctx.levels = levels
        return solution

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        weight, above = ctx.saved_tensors
        total = gradient.clone()
        levels = zip(reversed(ctx.levels.upstream), reversed(ctx.levels.downstream), strict=True)
        for start, end in levels:
            total[start] += weight[end] * total[end]
        return total * above, total, None


def raise_cycle(downstream: Tensor) -> None:
    """Name one cycle of a network.

    Raises
    ------
    ValueError
        Always.
    """
    ends = downstream.tolist()
    seen: dict[int, int] = {}
    for first in range(len(ends)):
        path, here = [], first
        while here >= 0 and here not in seen:
            seen[here] = first
            path.append(here)
            here = ends[here]
        if here >= 0 and seen[here] == first:
            loop = path[path.index(here) :]
            shown = " -> ".join(map(str, [*loop[:5], "..."] if len(loop) > 5 else [*loop, here]))
            raise ValueError(
                f"expected a network without cycles, found {len(loop)} reaches that flow in a"
                f" circle: {shown}; correct `downstream`"
            )
    raise AssertionError("no cycle")
