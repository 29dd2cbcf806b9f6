"""Errors of the flow and of its logarithm."""

from __future__ import annotations

import torch
from torch import Tensor

from dmg.losses.base import Loss, Sums, mean, root, total, valid


class Mse(Loss):
    """Mean squared error, mean (p - y)² / u²; errors are measured in `unit` u [mm d-1]."""

    def __init__(self, unit: float = 1.0) -> None:
        super().__init__()
        self.unit = unit

    def sums(self, sim: Tensor, obs: Tensor, mask: Tensor, basin: Tensor) -> Sums:
        """Squared error and count, see `Loss.sums`."""
        p, y = valid(sim, obs, mask)
        return {"squared": total(((p - y) / self.unit) ** 2), "count": total(mask)}

    def finalize(self, sums: Sums) -> Tensor:
        """Mean of the squared error."""
        return mean(sums, "squared")


class Rmse(Loss):
    """Root mean squared error, √mean (p - y)²."""

    def sums(self, sim: Tensor, obs: Tensor, mask: Tensor, basin: Tensor) -> Sums:
        """Squared error and count, see `Loss.sums`."""
        p, y = valid(sim, obs, mask)
        return {"squared": total((p - y) ** 2), "count": total(mask)}

    def finalize(self, sums: Sums) -> Tensor:
        """Root of the mean squared error."""
        return root(mean(sums, "squared"))


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
        p, y = valid(sim, obs, mask)
        log_error = self._log(p) - self._log(y)
        return {
            "squared": total((p - y) ** 2),
            "log_squared": total(log_error**2),
            "count": total(mask),
        }

    def finalize(self, sums: Sums) -> Tensor:
        """Weighted sum of both roots."""
        plain = root(mean(sums, "squared"))
        log = root(mean(sums, "log_squared"))
        return (1 - self.alpha) * plain + self.alpha * log

    def _log(self, x: Tensor) -> Tensor:
        return torch.log10(torch.sqrt(x.clamp(min=0) + self.beta) + 0.1)
