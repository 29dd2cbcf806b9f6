"""Losses as sums over valid values and a finaliser.

`loss.sums(sim, obs, mask, basin)` gives scalars that add up over batches, ranks and windows;
`loss.finalize(sums)` turns their total into the loss. So a batch split over processes has exactly
the loss and the gradient of the whole batch, whatever the number of valid values in each part.

Sums are taken in float64. A missing observation is replaced *before* the arithmetic, so that no
NaN enters the graph; a batch without any valid value has loss 0 and gradients 0.

Shapes: `T` time, `B` basins of the batch, `N` basins of the experiment.
"""

from dmg.losses.base import Loss, Sums
from dmg.losses.errors import Mse, Rmse, RmseComb
from dmg.losses.kling_gupta import KgeBatch, KgeNormBatch
from dmg.losses.range_bound import RangeBound
from dmg.losses.scaled import NseBatch, NseSqrtBatch

LOSSES: dict[str, type[Loss]] = {
    "mse": Mse,
    "rmse": Rmse,
    "rmse_comb": RmseComb,
    "nse_batch": NseBatch,
    "nse_sqrt_batch": NseSqrtBatch,
    "kge_batch": KgeBatch,
    "kge_norm_batch": KgeNormBatch,
}
"""Losses of a simulated flow, by their names in the configuration."""

__all__ = [
    "LOSSES",
    "KgeBatch",
    "KgeNormBatch",
    "Loss",
    "Mse",
    "NseBatch",
    "NseSqrtBatch",
    "RangeBound",
    "Rmse",
    "RmseComb",
    "Sums",
]
