"""The loss of a model on given windows, whatever the number of processes.

Shapes: `T` time, `B` windows of a batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import nn

from dmg import distributed
from dmg.batch import Batch
from dmg.data.sampler import Integers, Windows
from dmg.losses import Loss, Sums


class Loader(Protocol):
    """What a training needs of a `DataLoader`."""

    basin_ids: Sequence[str]

    def batch(self, basins: Integers, starts: Integers, length: int, warmup: int = 0) -> Batch:
        """Give windows of `warmup + length` days."""


def read(loader: Loader, windows: Windows, warmup: int) -> Batch:
    """Read windows, with the seed and the positions that random draws in the model depend on."""
    batch = loader.batch(windows.basins, windows.starts, windows.length, warmup)
    rows = torch.from_numpy(windows.rows) if batch.topology is None else batch.rows
    target = batch.target
    if target is not None and not windows.scored:
        target = torch.full_like(target, math.nan)
    return replace(batch, seed=windows.seed, rows=rows, target=target)


def batch_sums(handler: nn.Module, loss: Loss, batch: Batch, target: str) -> Sums:
    """Simulate a batch and sum its loss over the valid values after the warm-up."""
    assert batch.target is not None
    sim = handler(batch).fluxes[target]
    obs = batch.target[batch.warmup :]
    return loss.sums(sim, obs, torch.isfinite(obs), batch.observed)


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The same loss as in training over fixed windows: `validation()` gives the number.

    Processes share the batches; their sums are added exactly, so that the result is the same for
    any number of processes.

    Parameters
    ----------
    handler, loss, loader
        Model, loss and data.
    windows
        Batches of windows, see `dmg.data.sampler.tile`.
    target
        Name of the flux that is compared with the batch's target.
    warmup
        Days simulated before each window [d].
    """

    handler: nn.Module
    loss: Loss
    loader: Loader
    windows: Sequence[Windows]
    target: str
    warmup: int

    @torch.no_grad()
    def __call__(self) -> float:
        """Loss over all windows; `ValueError` if none has an observation."""
        training = self.handler.training
        self.handler.eval()
        mine = self.windows[distributed.rank() :: distributed.world_size()]
        every = [s for part in distributed.gather([self._sums(w) for w in mine]) for s in part]
        self.handler.train(training)
        names = every[0] if every else {}
        total = {name: math.fsum(sums[name] for sums in every) for name in names}
        if not total.get("count"):
            raise ValueError(
                "validation: expected observed values, found none in its windows; change"
                " data.split.validate"
            )
        sums = {name: torch.tensor(value, dtype=torch.float64) for name, value in total.items()}
        return self.loss.finalize(sums).item()

    def _sums(self, windows: Windows) -> dict[str, float]:
        batch = read(self.loader, windows, self.warmup).to(distributed.device_of(self.handler))
        sums = batch_sums(self.handler, self.loss, batch, self.target)
        return {name: value.item() for name, value in sums.items()}
