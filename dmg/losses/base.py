"""What every loss is: sums, a finaliser, and the arithmetic that they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

Sums = dict[str, Tensor]


class Loss(nn.Module, ABC):
    """A loss that reduces over valid values in two steps."""

    needs_target_std: ClassVar[bool] = False
    """Whether the constructor takes `target_std`."""

    @abstractmethod
    def sums(self, sim: Tensor, obs: Tensor, mask: Tensor, basin: Tensor) -> Sums:
        """Sum over the valid values.

        Parameters
        ----------
        sim, obs
            Simulated and observed values `[T, B]`, e.g. [mm d-1].
        mask
            Valid values, bool `[T, B]`; `sim` and `obs` may hold anything elsewhere.
        basin
            Row of each basin in the experiment's order, int64 `[B]`.

        Returns
        -------
        dict
            Float64 scalars by name.
        """

    @abstractmethod
    def finalize(self, sums: Sums) -> Tensor:
        """Loss (float64 scalar) of the total of all sums."""

    def forward(self, sim: Tensor, obs: Tensor, basin: Tensor) -> Tensor:
        """Loss of one batch on the values where `obs` is finite."""
        return self.finalize(self.sums(sim, obs, torch.isfinite(obs), basin))


def valid(sim: Tensor, obs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Replace both by zero where invalid: the error and its gradient vanish there."""
    return torch.where(mask, sim, 0.0), torch.where(mask, obs, 0.0)


def total(x: Tensor) -> Tensor:
    """Sum in float64."""
    return x.sum(dtype=torch.float64)


def mean(sums: Sums, name: str) -> Tensor:
    """Sum of that name over the count; 0 where there is nothing to count."""
    return sums[name] / sums["count"].clamp(min=1)


def root(x: Tensor) -> Tensor:
    """Square root whose gradient at 0 is 0 instead of infinite."""
    positive = x > 0
    return torch.where(positive, torch.sqrt(torch.where(positive, x, 1.0)), 0.0)
