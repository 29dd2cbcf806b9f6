"""What a batch needs to know of the land between its units and its gauges.

A gauge has any number of units upstream, and a unit may lie upstream of several nested gauges, so
both are joined by a list of pairs.

Shape legend: U units of the batch, G gauges, P pairs of a gauge and a unit upstream of it,
N reaches of the batch, D pairs of a reach and a unit on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Channels:
    """The river reaches upstream of a batch's gauges, upstream before downstream."""

    downstream: Tensor
    """Position of the next reach, int64 `[N]`; -1 at an outlet of the batch."""
    length: Tensor
    """`[N]` [m]."""
    slope: Tensor
    """`[N]` [1]."""
    unit_reach: Tensor
    """Reach that each unit drains to, int64 `[U]`."""
    unit_area: Tensor
    """Area of each unit itself, `[U]` [km2]."""
    gauge_reach: Tensor
    """Reach of each gauge, int64 `[G]`."""
    gauge_area: Tensor
    """Area of all units upstream of each gauge, `[G]` [km2]."""

    def to(self, device: torch.device) -> Channels:
        """Move to another device."""
        return replace(self, **{name: value.to(device) for name, value in vars(self).items()})


@dataclass(frozen=True)
class Topology:
    """Pairs of gauges and the units upstream of them, and the reaches between."""

    gauge: Tensor
    """Row of each gauge in the experiment's list, int64 `[G]`."""
    pair_unit: Tensor
    """Unit of each pair, its position in the batch, int64 `[P]`."""
    pair_gauge: Tensor
    """Gauge of each pair, its position in `gauge`, int64 `[P]`."""
    pair_weight: Tensor
    """Area of the unit over that of all units of the gauge, `[P]` [1]."""
    channels: Channels | None = None
    """Reaches; none: flow is not routed through them."""
    pair_distance: Tensor | None = None
    """Way along the rivers from the unit to the gauge, `[P]` [m]; none: it is not known."""

    def mean(self, flux: Tensor) -> Tensor:
        """Area-weighted mean over the units upstream of each gauge, `[T, U]` to `[T, G]`."""
        return self.mean_of_pairs(flux[:, self.pair_unit])

    def mean_of_pairs(self, flux: Tensor) -> Tensor:
        """Area-weighted mean over the pairs of each gauge, `[T, P]` to `[T, G]`."""
        parts = flux * self.pair_weight.to(flux.dtype)
        out = flux.new_zeros(len(flux), len(self.gauge))
        return out.index_add(1, self.pair_gauge, parts)

    def to(self, device: torch.device) -> Topology:
        """Move to another device."""
        return Topology(
            self.gauge.to(device),
            self.pair_unit.to(device),
            self.pair_gauge.to(device),
            self.pair_weight.to(device),
            self.channels and self.channels.to(device),
            None if self.pair_distance is None else self.pair_distance.to(device),
        )
