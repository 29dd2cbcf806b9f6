"""A penalty on what leaves a range, such as weights of models that should add up to about 1."""

from __future__ import annotations

import torch
from torch import Tensor

from dmg.losses.base import Loss, Sums, mean, total


class RangeBound(Loss):
    """Σ over time of the mean over basins of f (max(x - upper, 0) + max(lower - x, 0)).

    Observations are not looked at: every value counts.
    """

    def __init__(self, lower: float = 0.9, upper: float = 1.1, factor: float = 1.0) -> None:
        super().__init__()
        if lower > upper:
            raise ValueError(
                f"range_bound: expected lower <= upper, found {lower} > {upper}; exchange them"
            )
        self.lower = lower
        self.upper = upper
        self.factor = factor

    def sums(self, sim: Tensor, obs: Tensor, mask: Tensor, basin: Tensor) -> Sums:
        """Penalty of all values `[T, B]`, and number of basins."""
        outside = torch.relu(sim - self.upper) + torch.relu(self.lower - sim)
        return {"outside": total(outside), "count": total(torch.ones_like(sim[0]))}

    def finalize(self, sums: Sums) -> Tensor:
        """Mean over basins, times the factor."""
        return self.factor * mean(sums, "outside")
