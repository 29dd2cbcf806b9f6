"""Losses as sums over valid values and a finaliser.

`loss.sums(sim, obs, mask, basin)` gives scalars that add up over batches, ranks and windows;
`loss.finalize(sums)` turns their total into the loss. So a batch split over processes has exactly
the loss and the gradient of the whole batch, whatever the number of valid values in each part.

Sums are taken in float64. A missing observation is replaced *before* the arithmetic, so that no
NaN enters the graph; a batch without any valid value has loss 0 and gradients 0.

Shapes: `T` time, `B` basins of the batch, `N` basins of the experiment.
"""

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


class Mse(Loss):
    """Mean squared error, mean (p - y)²."""

    def sums(self, sim: Tensor, obs: Tensor, mask: Tensor, basin: Tensor) -> Sums:
        """Squared error and count, see `Loss.sums`."""
        p, y = _valid(sim, obs, mask)
        return {"squared": _sum((p - y) ** 2), "count": _sum(mask)}

    def finalize(self, sums: Sums) -> Tensor:
        """Mean of the squared error."""
        return _mean(sums, "squared")


class Rmse(Loss):
    """Root mean squared error, √mean (p - y)²."""

    def sums(self, sim: Tensor, obs: Tensor, mask: Tensor, basin: Tensor) -> Sums:
        """Squared error and count, see `Loss.sums`."""
        p, y = _valid(sim, obs, mask)
        return {"squared": _sum((p - y) ** 2), "count": _sum(mask)}

    def finalize(self, sums: Sums) -> Tensor:
        """Root of the mean squared error."""
        return _root(_mean(sums, "squared"))


class RmseComb(Loss):
    """RMSE of flow and of log-transformed flow, weighted (Feng et al. 2022).

    (1 - α) √mean (p - y)² + α √mean (g(p) - g(y))² with g(x) = log10(√(max(x, 0) + β) + 0.1).
    The published form has no maximum; it keeps g finite where a network gives a negative flow.

    References
    ----------
    Feng, Liu, Lawson, Shen 2022, Water Resources Research 58, 10.1029/2022WR032404.
    """

    def __init__(self, alpha: float = 0.25, beta: float = 1e-6) -> None:
        super().__init__()
        self.alpha = alpha
        self.beta = beta

    def sums(self, sim: Tensor, obs: Tensor, mask: Tensor, basin: Tensor) -> Sums:
        """Squared errors of flow and of its logarithm, and count, see `Loss.sums`."""
        p, y = _valid(sim, obs, mask)
        log_error = self._log(p) - self._log(y)
        return {
            "squared": _sum((p - y) ** 2),
            "log_squared": _sum(log_error**2),
            "count": _sum(mask),
        }

    def finalize(self, sums: Sums) -> Tensor:
        """Weighted sum of both roots."""
        plain = _root(_mean(sums, "squared"))
        log = _root(_mean(sums, "log_squared"))
        return (1 - self.alpha) * plain + self.alpha * log

    def _log(self, x: Tensor) -> Tensor:
        return torch.log10(torch.sqrt(x.clamp(min=0) + self.beta) + 0.1)


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
        p, y = _valid(sim, obs, mask)
        scaled = (p - y) * self.inverse_scale[basin].to(p.dtype)
        return {"squared": _sum(scaled**2), "count": _sum(mask)}

    def finalize(self, sums: Sums) -> Tensor:
        """Mean of the scaled squared error."""
        return _mean(sums, "squared")


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
        p, y = _valid(sim, obs, mask)
        scaled = torch.sqrt((p - y) ** 2 + self.beta) * self.inverse_scale[basin].to(p.dtype)
        return {"absolute": _sum(torch.where(mask, scaled, 0.0)), "count": _sum(mask)}

    def finalize(self, sums: Sums) -> Tensor:
        """Mean of the scaled absolute error."""
        return _mean(sums, "absolute")


LOSSES: dict[str, type[Loss]] = {
    "mse": Mse,
    "rmse": Rmse,
    "rmse_comb": RmseComb,
    "nse_batch": NseBatch,
    "nse_sqrt_batch": NseSqrtBatch,
}


def _valid(sim: Tensor, obs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Replace both by zero where invalid: the error and its gradient vanish there."""
    return torch.where(mask, sim, 0.0), torch.where(mask, obs, 0.0)


def _sum(x: Tensor) -> Tensor:
    return x.sum(dtype=torch.float64)


def _mean(sums: Sums, name: str) -> Tensor:
    return sums[name] / sums["count"].clamp(min=1)


def _root(x: Tensor) -> Tensor:
    """Square root whose gradient at 0 is 0 instead of infinite."""
    positive = x > 0
    return torch.where(positive, torch.sqrt(torch.where(positive, x, 1.0)), 0.0)


def _inverse(target_std: Tensor, epsilon: float) -> Tensor:
    """1 / (s + ε) in float64; a basin that is never trained on may have s = NaN."""
    smallest = float(target_std.nan_to_num(1.0).min())
    if smallest < 0 or smallest + epsilon == 0:
        raise ValueError(
            "target_std: expected positive standard deviations (or epsilon > 0), found "
            f"{smallest:g}; a constant target cannot scale the error"
        )
    return 1.0 / (target_std.double() + epsilon)
