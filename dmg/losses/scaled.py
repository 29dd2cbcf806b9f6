"""Errors over the training variability of each basin."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from dmg.losses.base import Loss, Sums, mean, total, valid


class NseBatch(Loss):
    """Squared error over the training variance of each basin, mean (p - y)² / ((s + ε) u)².

    References
    ----------
    Kratzert et al. 2019, Hydrology and Earth System Sciences 23, 10.5194/hess-23-5089-2019.
    """

    needs_target_std: ClassVar[bool] = True
    inverse_scale: Tensor

    def __init__(self, target_std: Tensor, epsilon: float = 0.1, unit: float = 1.0) -> None:
        """Take the standard deviation s of each basin's training target `[N]`, e.g. [mm d-1].

        `unit` u [mm d-1] is what errors are measured in: the published loss compares flows
        standardised by their pooled standard deviation, but divides them by s in mm d-1.
        """
        super().__init__()
        self.register_buffer("inverse_scale", _inverse(target_std, epsilon) / unit)

    def sums(self, sim: Tensor, obs: Tensor, mask: Tensor, basin: Tensor) -> Sums:
        """Scaled squared error and count, see `Loss.sums`."""
        p, y = valid(sim, obs, mask)
        scaled = (p - y) * self.inverse_scale[basin].to(p.dtype)
        return {"squared": total(scaled**2), "count": total(mask)}

    def finalize(self, sums: Sums) -> Tensor:
        """Mean of the scaled squared error."""
        return mean(sums, "squared")


class NseSqrtBatch(Loss):
    """Absolute error over the training standard deviation, mean √((p - y)² + β) / (s + ε)."""

    needs_target_std: ClassVar[bool] = True
    inverse_scale: Tensor

    def __init__(self, target_std: Tensor, epsilon: float = 0.1, beta: float = 1e-6) -> None:
        """Take the standard deviation s of each basin's training target `[N]`, e.g. [mm d-1]."""
        super().__init__()
        self.beta = beta
        self.register_buffer("inverse_scale", _inverse(target_std, epsilon))

    def sums(self, sim: Tensor, obs: Tensor, mask: Tensor, basin: Tensor) -> Sums:
        """Scaled absolute error and count, see `Loss.sums`."""
        p, y = valid(sim, obs, mask)
        scaled = torch.sqrt((p - y) ** 2 + self.beta) * self.inverse_scale[basin].to(p.dtype)
        return {"absolute": total(torch.where(mask, scaled, 0.0)), "count": total(mask)}

    def finalize(self, sums: Sums) -> Tensor:
        """Mean of the scaled absolute error."""
        return mean(sums, "absolute")


def _inverse(target_std: Tensor, epsilon: float) -> Tensor:
    """1 / (s + ε) in float64; a basin that is never trained on may have s = NaN."""
    smallest = float(target_std.nan_to_num(1.0).min())
    if smallest < 0 or smallest + epsilon == 0:
        raise ValueError(
            "target_std: expected positive standard deviations (or epsilon > 0), found "
            f"{smallest:g}; a constant target cannot scale the error"
        )
    return 1.0 / (target_std.double() + epsilon)
