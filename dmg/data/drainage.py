"""Which units lie upstream of which gauges.

In the order of a `Network` all units upstream of a gauge are consecutive: a gauge is a range of
units, gauges are nested where one range lies in another, and no table of pairs is needed.

Shape legend: U units, G gauges, P pairs of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dmg.data.network import Network
from dmg.data.network.graph import OUTLET

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Drainage:
    """Ranges of units upstream of gauges.

    Attributes
    ----------
    area
        Area of each unit itself, in the order of the network, `[U]` [km2].
    first, stop
        Range of the units upstream of each gauge, `[G]`.
    """

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
        """Find the units upstream of any of some gauges, sorted, each once."""
        upstream = np.zeros(len(self.area), dtype=bool)
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
            Sorted units, among them all of the gauges.

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


def drainage(network: Network) -> Drainage:
    """Find the units upstream of the gauges of a network.

    Raises
    ------
    ValueError
        If a gauge has no unit upstream, or none that has an area.
    """
    reach = network.gauge_reach
    on_network = network.unit_reach[network.unit_reach != OUTLET]  # the others stand last
    found = Drainage(
        network.unit_area[: len(on_network)],
        np.searchsorted(on_network, network.first_upstream[reach]),
        np.searchsorted(on_network, reach, side="right"),
    )
    _require_area(found.gauge_area, network.gauge_id)
    return found


def _require_area(area: Floats, ids: Iterable[str]) -> None:
    empty = [str(name) for name, a in zip(ids, area, strict=True) if not a > 0]
    if empty:
        raise ValueError(
            f"expected units with an area upstream of every gauge, found none for {empty[:5]};"
            " leave the gauges out (data.gauges.ids) or repair the network"
        )
