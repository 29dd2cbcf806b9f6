"""From physical units to what a network sees, and back; statistics travel with the model.

Shape legend: T time, B basins, F forcings, A attributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from dmg.batch import Batch
from dmg.nn.base import Inputs

STD_MIN = 1e-3
"""Smallest standard deviation that a value is divided by."""


class Normalizer(nn.Module):
    """Standardises forcings and attributes with statistics of the training data.

    Statistics are buffers, so that a checkpoint of the model is self-contained. A missing value
    becomes 0, the mean.

    Parameters
    ----------
    forcings, attributes
        `(mean, standard deviation)` by name, in the order in which the network sees them;
        those of `log_forcings` after `log10(sqrt(x) + 0.1)`.
    target
        `(mean, standard deviation)` of the target.
    log_forcings
        Skewed forcings, transformed before they are standardised.
    target_per
        Attribute in whose mean multiples the restored target is measured, such as the mean
        precipitation: a network then learns a share of it (Feng et al. 2020,
        doi:10.1029/2019WR026793).
    """

    forcing_mean: Tensor
    forcing_std: Tensor
    attribute_mean: Tensor
    attribute_std: Tensor
    target_mean: Tensor
    target_std: Tensor

    def __init__(
        self,
        forcings: Mapping[str, tuple[float, float]] | None = None,
        attributes: Mapping[str, tuple[float, float]] | None = None,
        target: tuple[float, float] = (0.0, 1.0),
        log_forcings: Sequence[str] = (),
        target_per: str | None = None,
    ) -> None:
        super().__init__()
        forcings, attributes = forcings or {}, attributes or {}
        self.forcings = tuple(forcings)
        self.log_forcings = frozenset(log_forcings)
        self.target_per = None if target_per is None else list(attributes).index(target_per)
        for name, statistics in (("forcing", forcings), ("attribute", attributes)):
            self._keep(name, [*statistics.values()])
        self._keep("target", [target])

    def _keep(self, name: str, statistics: list[tuple[float, float]]) -> None:
        self.register_buffer(f"{name}_mean", torch.tensor([m for m, _ in statistics]))
        self.register_buffer(f"{name}_std", torch.tensor([max(s, STD_MIN) for _, s in statistics]))

    def inputs(self, batch: Batch) -> Inputs:
        """Give what a network may read of a batch."""
        return Inputs(
            self.normalize_forcings(batch.forcing),
            self.normalize_attributes(batch.attributes),
            batch.basin,
            batch.forcing,
            batch.seed,
            batch.rows,
        )

    def normalize_forcings(self, forcing: Mapping[str, Tensor]) -> Tensor:
        """Physical forcings `[T, B]` by name to `[T, B, F]`."""
        series = [log_root(forcing[n]) if n in self.log_forcings else forcing[n]
                  for n in self.forcings]  # fmt: skip
        if not series:  # the network reads none, as a table does
            some = next(iter(forcing.values()))
            return some.new_zeros(*some.shape, 0)
        x = torch.stack(series, dim=-1)
        return _missing_to_mean((x - self.forcing_mean) / self.forcing_std)

    def normalize_attributes(self, attributes: Tensor) -> Tensor:
        """Physical attributes `[B, A]` to standardised ones."""
        if not len(self.attribute_mean):  # the network reads none
            return attributes[:, :0]
        return _missing_to_mean((attributes - self.attribute_mean) / self.attribute_std)

    def standardize_target(self, flow: Tensor) -> Tensor:
        """Target in physical units [mm d-1] to standardised."""
        return (flow - self.target_mean) / self.target_std

    def restore_target(self, score: Tensor, attributes: Tensor) -> Tensor:
        """Standardised target `[T, B]` to physical units [mm d-1], `attributes` being `[B, A]`."""
        target = score * self.target_std + self.target_mean
        if self.target_per is None:
            return target
        share = attributes[:, self.target_per] / self.attribute_mean[self.target_per]
        return target * torch.nan_to_num(share, nan=1.0)


def log_root(x: Tensor) -> Tensor:
    """Compress a skewed, non-negative quantity: `log10(sqrt(x) + 0.1)` (Feng et al. 2020)."""
    return torch.log10(torch.sqrt(x.clamp(min=0)) + 0.1)


def _missing_to_mean(x: Tensor) -> Tensor:
    return torch.nan_to_num(x, nan=0.0)
