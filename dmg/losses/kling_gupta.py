"""The Kling-Gupta efficiency as a loss, of all values of a batch or of each window."""

from __future__ import annotations

import torch
from torch import Tensor

from dmg.losses.base import Loss, Sums, mean, root


class KgeBatch(Loss):
    """Distance from the ideal, √((r - 1)² + (β - 1)² + (γ - 1)²), which is 1 - KGE.

    r = Σ(p - m_p)(y - m_y) / (√(Σ(p - m_p)² Σ(y - m_y)²) + ε), β = m_p / (m_y + ε) and
    γ = s_p / (s_y + ε) with means m and standard deviations s of a sample. With fewer than two
    valid values the loss is 0.

    References
    ----------
    Gupta et al. 2009, Journal of Hydrology 377, 10.1016/j.jhydrol.2009.08.003.
    """

    def __init__(self, epsilon: float = 0.1, per_window: bool = False) -> None:
        """Keep denominators from 0 by `epsilon`, in the unit of the flow.

        Without `per_window` all values of a batch are one sample, which compares basins with each
        other rather than days; with it, the loss is the mean over windows with two valid days.
        """
        super().__init__()
        self.epsilon = epsilon
        self.per_window = per_window

    def sums(self, sim: Tensor, obs: Tensor, mask: Tensor, basin: Tensor) -> Sums:
        """Count and moments of the batch, or the summed loss of its windows: see `Loss.sums`."""
        p, y = (torch.where(mask, x, 0.0).double() for x in (sim, obs))
        moments = {"count": mask, "p": p, "y": y, "pp": p * p, "yy": y * y, "py": p * y}
        of_windows = {name: x.sum(dim=0, dtype=torch.float64) for name, x in moments.items()}
        if not self.per_window:
            return {name: x.sum() for name, x in of_windows.items()}
        enough = of_windows["count"] >= 2
        return {"loss": self._loss(of_windows).sum(), "count": enough.sum(dtype=torch.float64)}

    def finalize(self, sums: Sums) -> Tensor:
        """Loss of the total moments, or mean over windows."""
        return mean(sums, "loss") if self.per_window else self._loss(sums)

    def _loss(self, sums: Sums) -> Tensor:
        """Loss from moments of any shape; 0 where there are fewer than two values."""
        return self._distance(sums)

    def _distance(self, sums: Sums) -> Tensor:
        enough = sums["count"] >= 2
        n = sums["count"].clamp(min=2)
        p, y = sums["p"] / n, sums["y"] / n
        # rounding may leave a constant series a little below 0
        pp, yy = ((sums[k * 2] - n * m * m).clamp(min=0) for k, m in (("p", p), ("y", y)))
        r = (sums["py"] - n * p * y) / (root(pp * yy) + self.epsilon)
        beta = p / (y + self.epsilon)
        gamma = root(pp / (n - 1)) / (root(yy / (n - 1)) + self.epsilon)
        distance = root((r - 1) ** 2 + (beta - 1) ** 2 + (gamma - 1) ** 2)
        return torch.where(enough, distance, 0.0)


class KgeNormBatch(KgeBatch):
    """1 - K / (2 - K) with the efficiency K = 1 - `KgeBatch`: bounded by 2 however bad K is."""

    def _loss(self, sums: Sums) -> Tensor:
        distance = self._distance(sums)
        return 2 * distance / (1 + distance)
