"""Which units lie upstream of which gauges.

Reaches are numbered so that everything upstream of a reach is one run of numbers, and units in the
order of their reaches. All units of a gauge then are consecutive: a gauge is a range, gauges are
nested where one range lies in another, and national networks need no table of pairs.

Shape legend: N reaches, U units, G gauges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Drainage:
    """Ranges of units upstream of gauges.

    Attributes
    ----------
    order
        Units that drain to a reach, as positions in the network's list, so ordered that those
        upstream of a gauge are consecutive, `[U]`.
    area
        Area of each unit itself, in that order, `[U]` [km2].
    first, stop
        Range of each gauge in `order`, `[G]`.
    """

    order: Ints
    area: Floats
    first: Ints
    stop: Ints

    @property
    def num_units(self) -> Ints:
        """Units upstream of each gauge, `[G]`."""
        return self.stop - self.first

    @property
    def gauge_area(self) -> Floats:
        """Area of all units upstream of each gauge, `[G]` [km2]."""
        total = np.concatenate([[0.0], np.cumsum(self.area)])
        return np.asarray(total[self.stop] - total[self.first])

    def units(self, gauges: ArrayLike) -> Ints:
        """Units upstream of any of some gauges, each once, as positions in `order`."""
        upstream = np.zeros(len(self.order), dtype=bool)
        for gauge in np.asarray(gauges).tolist():
            upstream[self.first[gauge] : self.stop[gauge]] = True
        return np.flatnonzero(upstream)

    def nests(self, gauges: ArrayLike | None = None) -> Ints:
        """Label of the nest of each gauge, from 0: gauges that share units have the same label.

        On a network whose reaches have one outlet, two gauges share units only where one lies
        upstream of the other.
        """
        chosen = np.arange(len(self.first)) if gauges is None else np.asarray(gauges)
        labels, end, label = np.empty(len(chosen), dtype=np.int64), -1, -1
        first, stop = self.first[chosen], self.stop[chosen]
        for place in np.lexsort((-stop, first)).tolist():
            if first[place] >= end:
                label, end = label + 1, int(stop[place])
            labels[place] = label
        return labels

    def pairs(self, gauges: ArrayLike, units: Ints) -> tuple[Ints, Ints, Floats]:
        """Join gauges with the units upstream of them.

        Parameters
        ----------
        gauges
            `[G]` of them.
        units
            Sorted positions in `order` that hold all units of the gauges.

        Returns
        -------
        unit, gauge, weight
            Places in `units` and in `gauges`, and the unit's area over that of all units of the
            gauge, `[P]` each.
        """
        chosen = np.asarray(gauges, dtype=np.int64)
        low = np.searchsorted(units, self.first[chosen])
        count = self.num_units[chosen]
        gauge = np.repeat(np.arange(len(chosen)), count)
        within = np.arange(len(gauge)) - np.repeat(np.cumsum(count) - count, count)
        unit = np.repeat(low, count) + within
        weight = self.area[units[unit]] / self.gauge_area[chosen][gauge]
        return unit, gauge, weight


def drainage(
    downstream: Ints, unit_reach: Ints, unit_area: ArrayLike, gauge_reach: Ints, ids: Sequence[str]
) -> Drainage:
    """Find the units upstream of gauges.

    Parameters
    ----------
    downstream
        Next reach of each reach, `[N]`, upstream before downstream; -1 at an outlet.
    unit_reach
        Reach that each unit drains to, `[U]`; -1: none.
    unit_area
        Area of each unit itself, `[U]` [km2].
    gauge_reach
        Reach of each gauge, `[G]`.
    ids
        Names of the gauges, `[G]`.

    Raises
    ------
    ValueError
        If a gauge has no unit upstream, or none that has an area.
    """
    area = np.asarray(unit_area, dtype=np.float64)
    first, stop = ranges(downstream)
    on_network = np.flatnonzero(unit_reach >= 0)
    order = on_network[np.argsort(first[unit_reach[on_network]], kind="stable")]
    place = first[unit_reach[order]]
    found = Drainage(
        order,
        area[order],
        np.searchsorted(place, first[gauge_reach]),
        np.searchsorted(place, stop[gauge_reach]),
    )
    _require_area(found.gauge_area, ids)
    return found


def _require_area(area: Floats, ids: Sequence[str]) -> None:
    empty = [name for name, a in zip(ids, area, strict=True) if not a > 0]
    if empty:
        raise ValueError(
            f"expected units with an area upstream of every gauge, found none for {empty[:5]};"
            " leave the gauges out (data.gauges.ids) or repair the network"
        )


def ranges(downstream: Ints) -> tuple[Ints, Ints]:
    """Give reaches numbers so that all that is upstream of one is a range of them.

    Returns
    -------
    first, stop
        Range of each reach, `[N]`; the first is the reach's own number.
    """
    size = np.ones(len(downstream), dtype=np.int64)
    next_reach = downstream.tolist()
    for reach, below in enumerate(next_reach):
        if below >= 0:
            size[below] += size[reach]
    first = np.zeros(len(downstream), dtype=np.int64)
    free = np.zeros(len(downstream), dtype=np.int64)  # first number that is left in each range
    outlets = 0
    for reach in range(len(next_reach) - 1, -1, -1):
        below = next_reach[reach]
        if below >= 0:
            first[reach] = free[below]
            free[below] += size[reach]
        else:
            first[reach] = outlets
            outlets += int(size[reach])
        free[reach] = first[reach] + 1  # the reach itself comes first
    return first, first + size
