"""Gauges with all units upstream of them, as tensors.

Shape legend: T time, U units, G gauges, N reaches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dmg.batch import Batch
from dmg.data.drainage import Drainage, ranges
from dmg.data.loader import DataLoader, Ints
from dmg.topology import Channels, Topology


@dataclass(frozen=True)
class Rivers:
    """The reaches that all units of an experiment drain to, upstream before downstream.

    Attributes
    ----------
    downstream, length, slope
        Next reach (-1 at an outlet), length [m] and slope [1] of each, `[N]`.
    unit_reach
        Reach of each unit of the experiment, `[U]`.
    gauge_reach
        Reach of each gauge of the experiment, `[G]`.
    """

    downstream: Ints
    length: NDArray[np.float64]
    slope: NDArray[np.float64]
    unit_reach: Ints
    gauge_reach: Ints

    def upstream(self, reaches: Ints) -> Ints:
        """Find some reaches and all upstream of them, in order."""
        first, stop = self._ranges
        inside = np.zeros(len(first), dtype=bool)
        for reach in reaches.tolist():
            inside[first[reach] : stop[reach]] = True
        return np.flatnonzero(inside[first])

    @cached_property
    def _ranges(self) -> tuple[Ints, Ints]:
        return ranges(self.downstream)


class GaugeLoader:
    """Gives windows of gauges: forcing of the units upstream, observed flow of the gauges.

    Parameters
    ----------
    units
        Loader of the units, in the order of `drainage`.
    drainage
        Units upstream of each gauge.
    observed
        Loader of the gauges' observed series; none: a prediction without observations.
    gauge_ids
        Names of the gauges, in the order of `drainage`.
    rivers
        Reaches between units and gauges; none: batches have none.
    """

    def __init__(
        self,
        units: DataLoader,
        drainage: Drainage,
        gauge_ids: Sequence[str],
        observed: DataLoader | None = None,
        rivers: Rivers | None = None,
    ) -> None:
        self.basin_ids = gauge_ids
        self.drainage = drainage
        self.times = units.times
        self.index = units.index
        self._units, self._observed, self._rivers = units, observed, rivers
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
            channels=None if self._rivers is None else self._channels(self._rivers, gauges, units),
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

    def _channels(self, rivers: Rivers, gauges: Ints, units: Ints) -> Channels:
        """Cut out and number anew the reaches of a batch."""
        reaches = rivers.upstream(rivers.gauge_reach[gauges])
        place = np.full(len(rivers.downstream) + 1, -1)  # the last for what has no next reach
        place[reaches] = np.arange(len(reaches))
        areas = self.drainage.area[units], self.drainage.gauge_area[gauges]
        return Channels(
            downstream=torch.from_numpy(place[rivers.downstream[reaches]]),
            length=torch.from_numpy(rivers.length[reaches]),
            slope=torch.from_numpy(rivers.slope[reaches]),
            unit_reach=torch.from_numpy(place[rivers.unit_reach[units]]),
            gauge_reach=torch.from_numpy(place[rivers.gauge_reach[gauges]]),
            unit_area=torch.from_numpy(areas[0]),
            gauge_area=torch.from_numpy(areas[1]),
        )


def _days_later(units: DataLoader, observed: DataLoader) -> int:
    """Days from the first day of the gauges' record to that of the units'."""
    return int((units.times[0] - observed.times[0]).astype(int))
