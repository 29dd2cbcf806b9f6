"""Gauges with all units upstream of them, as tensors.

Shape legend: T time, U units, G gauges, N reaches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from dmg.batch import Batch
from dmg.data.drainage import drainage
from dmg.data.loader import DataLoader, Ints
from dmg.data.network import Network, upstream_of
from dmg.topology import Channels, Topology


class GaugeLoader:
    """Gives windows of gauges: forcing of the units upstream, observed flow of the gauges.

    Parameters
    ----------
    units
        Loader of the units of the network, in its order.
    network
        Units, gauges and the reaches between.
    observed
        Loader of the gauges' observed series, in the order of the network; none: a prediction
        without observations.
    with_reaches
        Whether batches have the reaches, for routing through them.
    """

    def __init__(
        self,
        units: DataLoader,
        network: Network,
        observed: DataLoader | None = None,
        *,
        with_reaches: bool = False,
    ) -> None:
        self.basin_ids: Sequence[str] = network.gauge_id.tolist()
        self.drainage = drainage(network)
        self.times = units.times
        self.index = units.index
        self._units, self._observed, self._network = units, observed, network
        self._with_reaches = with_reaches
        self._later = 0 if observed is None else _days_later(units, observed)

    def batch(self, basins: Ints, starts: Ints, length: int, warmup: int = 0) -> Batch:
        """One window of `warmup + length` days, of several gauges.

        Parameters
        ----------
        basins
            Rows of the gauges, `[G]`.
        starts
            Index in `times` of the first day after the warm-up, `[G]`, the same for all.
        length, warmup
            Scored days, and days before them.
        """
        units = self.drainage.units(basins)
        return self._batch(basins, units, self.topology(basins, units), starts, length, warmup)

    def chunks(self, basins: Ints, start: int, stop: int, length: int) -> Iterable[Batch]:
        """Consecutive chunks of at most `length` days from `start` to `stop` (indices)."""
        units = self.drainage.units(basins)
        topology = self.topology(basins, units)
        for first in range(start, stop, length):
            starts = np.full(len(basins), first)
            yield self._batch(basins, units, topology, starts, min(length, stop - first), 0)

    def topology(self, gauges: Ints, units: Ints) -> Topology:
        """Pairs of some gauges with some units that hold all of theirs."""
        unit, gauge, weight = self.drainage.pairs(gauges, units)
        return Topology(
            gauge=torch.as_tensor(np.asarray(gauges, dtype=np.int64)),
            pair_unit=torch.from_numpy(unit),
            pair_gauge=torch.from_numpy(gauge),
            pair_weight=torch.from_numpy(weight),
            channels=self._channels(gauges, units) if self._with_reaches else None,
            pair_distance=self._distance(units[unit], np.asarray(gauges)[gauge]),
        )

    def _batch(
        self, gauges: Ints, units: Ints, topology: Topology, starts: Ints, length: int, warmup: int
    ) -> Batch:
        start = int(starts[0])
        assert (np.asarray(starts) == start).all(), "gauges of a batch share one window"
        batch = self._units.batch(units, np.full(len(units), start), length, warmup)
        target = self._target(gauges, start - warmup, warmup + length)
        return replace(batch, target=target, topology=topology, rows=torch.from_numpy(units))

    def _target(self, gauges: Ints, start: int, days: int) -> Tensor | None:
        """Observed series `[T, G]`, missing on days that are not in the gauges' record."""
        if self._observed is None:
            return None
        out = torch.full((days, len(gauges)), torch.nan)
        first = max(start + self._later, 0)
        stop = min(start + self._later + days, len(self._observed.times))
        if first < stop:
            rows = np.full(len(gauges), first)
            there = slice(first - start - self._later, stop - start - self._later)
            target = self._observed.batch(gauges, rows, stop - first).target
            assert target is not None
            out[there] = target
        return out

    def _distance(self, units: Ints, gauges: Ints) -> Tensor:
        """Way from the middle of the units' reaches to the lower end of the gauges', `[P]` [m]."""
        network = self._network
        start, end = network.unit_reach[units], network.gauge_reach[gauges]
        upper = network.way_out[start] - network.way_out[end]
        return torch.from_numpy(upper + network.length[end] - network.length[start] / 2)

    def _channels(self, gauges: Ints, units: Ints) -> Channels:
        """Cut out and number anew the reaches of a batch."""
        network = self._network
        reaches = upstream_of(network, network.gauge_reach[gauges])
        place = np.full(network.num_reaches + 1, -1)  # the last for what has no next reach
        place[reaches] = np.arange(len(reaches))
        return Channels(
            downstream=torch.from_numpy(place[network.downstream[reaches]]),
            length=torch.from_numpy(network.length[reaches]),
            slope=torch.from_numpy(network.slope[reaches]),
            unit_reach=torch.from_numpy(place[network.unit_reach[units]]),
            unit_area=torch.from_numpy(self.drainage.area[units]),
            gauge_reach=torch.from_numpy(place[network.gauge_reach[gauges]]),
            gauge_area=torch.from_numpy(self.drainage.gauge_area[gauges]),
        )


def _days_later(units: DataLoader, observed: DataLoader) -> int:
    """Days from the first day of the gauges' record to that of the units'."""
    return int((units.times[0] - observed.times[0]).astype(int))
