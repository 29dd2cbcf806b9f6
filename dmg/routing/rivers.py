"""From units through the reaches of a river network to gauges.

Shape legend: T time, U units, N reaches, G gauges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dmg.parameters import Parameter
from dmg.routing.aggregate import Aggregate
from dmg.routing.muskingum_cunge import MuskingumCunge
from dmg.routing.reaches import Reaches
from dmg.topology import Channels, Topology

SECONDS = 86.4
"""Seconds of a day over the square metres of a km2 and the mm of a m: 1 mm d-1 over 1 km2 is
1 / 86.4 m3 s-1."""


class Rivers(Aggregate):
    """Routes streamflow through the reaches upstream of the gauges.

    The runoff of a unit enters its reach along all of it. A reach has the area-weighted mean of the
    parameters of its own units; one without units has parameters in the middle of their bounds.
    The discharge of a gauge's reach is given over the area of all units upstream, so that a gauge
    whose stated area differs a little still compares depths. Other fluxes are area-weighted means.

    Parameters
    ----------
    routing
        Muskingum-Cunge routing.
    learned
        Its parameters that a network gives for each unit; the others are at their default.

    Raises
    ------
    ValueError
        If a name is unknown, or a parameter without default is not learned.
    """

    def __init__(self, routing: MuskingumCunge, learned: Sequence[str] = ("n",)) -> None:
        super().__init__()
        known = routing.PARAMETERS
        needed = [name for name, p in known.items() if p.default is None]
        if not set(needed) <= set(learned) <= set(known):
            raise ValueError(
                f"parameters of routing: expected {needed} and any of {list(known)} to be learned,"
                f" found {list(learned)}"
            )
        self.routing = routing
        self.PARAMETERS: Mapping[str, Parameter] = {n: p for n, p in known.items() if n in learned}
        self._built: tuple[Channels, Reaches] | None = None

    def require(self, topology: Topology) -> None:
        """Refuse a batch without reaches."""
        if topology.channels is None:
            raise ValueError(
                "expected a batch with reaches, found none; give them to the loader of the gauges"
            )

    def route(
        self,
        runoff: Tensor,
        parameters: Mapping[str, Tensor],
        topology: Topology,
        state: Mapping[str, Any],
    ) -> tuple[Tensor, dict[str, Any]]:
        """Bring streamflow of units to gauges: see `Aggregate.route`."""
        channels = topology.channels
        assert channels is not None
        inflow = lateral_inflow(runoff, channels)
        values = {
            name: of_reaches(parameters[name], known, channels)
            for name, known in self.PARAMETERS.items()
        }
        discharge, after = self.routing(
            inflow, values, self._reaches(channels), state.get("channels")
        )
        area = channels.gauge_area.to(discharge.dtype)
        return SECONDS * discharge[:, channels.gauge_reach] / area, {"channels": after}

    def _reaches(self, channels: Channels) -> Reaches:
        """Build the network of a batch, once for all chunks of a stream."""
        if self._built is None or self._built[0] is not channels:
            reaches = Reaches(channels.downstream, channels.length, channels.slope)
            self._built = channels, reaches
        return self._built[1]


def lateral_inflow(runoff: Tensor, channels: Channels) -> Tensor:
    """Runoff of units `[T, U]` [mm d-1] as inflow of their reaches, `[T, N]` [m3 s-1]."""
    volume = runoff * (channels.unit_area / SECONDS).to(runoff.dtype)
    out = runoff.new_zeros(len(runoff), len(channels.downstream))
    return out.index_add(1, channels.unit_reach, volume)


def of_reaches(values: Tensor, known: Parameter, channels: Channels) -> Tensor:
    """Area-weighted mean of a parameter of units `[U]` for each reach, `[N]`."""
    weight = channels.unit_area.to(values.dtype)
    sums = values.new_zeros(2, len(channels.downstream)).index_add(
        1, channels.unit_reach, torch.stack([weight * values, weight])
    )
    empty = sums[1] == 0
    middle = known.value(values.new_zeros(()))
    return torch.where(empty, middle, sums[0] / torch.where(empty, 1.0, sums[1]))
