"""One batch of windows: what a model reads.

Shape legend: T time, B basins (or units), A attributes, G gauges.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from dmg.topology import Topology


def _no_rows() -> Tensor:
    return torch.zeros(0, dtype=torch.int64)


@dataclass(frozen=True)
class Batch:
    """Windows of several basins, in physical units."""

    forcing: dict[str, Tensor]
    """Series `[T, B]` by canonical name."""
    constants: dict[str, Tensor] = field(default_factory=dict)
    """Basin properties `[B]` that a process model may read (area, elevation, latitude)."""
    attributes: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    """Static attributes of the network, `[B, A]`; classes as codes, missing as NaN."""
    target: Tensor | None = None
    """Observed target `[T, B]`, or `[T, G]` where there is a topology; missing as NaN."""
    basin: Tensor = field(default_factory=_no_rows)
    """Row of each basin in the experiment's list, `[B]`."""
    time: Tensor = field(default_factory=_no_rows)
    """First day of each window, days since 1970-01-01, `[B]`."""
    warmup: int = 0
    """Leading steps that are simulated but not scored."""
    seed: int = 0
    """Seed of this step's random draws (dropout)."""
    rows: Tensor = field(default_factory=_no_rows)
    """Position of each window in the global batch, `[B]`: draws depend on it, not on the rank."""
    topology: Topology | None = None
    """Gauges downstream of the basins, which then are units; none: each basin has its gauge."""

    @property
    def observed(self) -> Tensor:
        """Row of each series of the target in the experiment's list, `[B]` or `[G]`."""
        return self.basin if self.topology is None else self.topology.gauge

    @property
    def num_steps(self) -> int:
        """T."""
        return len(next(iter(self.forcing.values())))

    def slice(self, start: int, stop: int | None = None) -> Batch:
        """Cut the steps `start` to `stop` out of every window, all of them scored."""
        return replace(
            self,
            forcing={name: series[start:stop] for name, series in self.forcing.items()},
            target=None if self.target is None else self.target[start:stop],
            time=self.time + start,
            warmup=0,
        )

    def days(self, start: int, stop: int) -> Batch:
        """Cut a window of one scored day, with a warm-up of its own, for every basin and day.

        Parameters
        ----------
        start, stop
            Days after this batch's warm-up, `stop` excluded; each window has as long a warm-up.

        Returns
        -------
        Batch
            `(stop - start) * B` windows, day by day. Only these are copied, not the whole series.
        """
        length, count = self.warmup + 1, stop - start

        def cut(series: Tensor) -> Tensor:
            views = series[start : stop + self.warmup].unfold(0, length, 1)  # [days, B, length]
            return views.permute(2, 0, 1).reshape(length, -1)

        first = self.time + torch.arange(start, stop).unsqueeze(1)
        return replace(
            self,
            forcing={name: cut(series) for name, series in self.forcing.items()},
            constants={name: value.repeat(count) for name, value in self.constants.items()},
            attributes=self.attributes.repeat(count, 1),
            target=None if self.target is None else cut(self.target),
            basin=self.basin.repeat(count),
            time=first.flatten(),
            rows=torch.arange(count * len(self.basin)),
        )

    def to(self, device: torch.device) -> Batch:
        """Move to another device."""
        return replace(
            self,
            forcing={name: series.to(device) for name, series in self.forcing.items()},
            constants={name: value.to(device) for name, value in self.constants.items()},
            attributes=self.attributes.to(device),
            target=None if self.target is None else self.target.to(device),
            basin=self.basin.to(device),
            topology=self.topology and self.topology.to(device),
        )
