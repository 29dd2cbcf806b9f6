"""From units to gauges: one interface to the plain mean and to routing through a river network.

Shape legend: T time, U units, G gauges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from dmg.parameters import Parameter
from dmg.topology import Topology

FLUX = "streamflow"
"""The flux that travels from units to gauges."""


class Aggregate(nn.Module):
    """Area-weighted mean over the units upstream of each gauge (Song et al. 2025).

    Runoff must have been delayed before, by a unit hydrograph per unit. Other ways from units to
    gauges have parameters of their own, and replace `route`.

    References
    ----------
    Song et al. 2025, WRR 61, doi:10.1029/2024WR038928.
    """

    PARAMETERS: Mapping[str, Parameter] = {}

    def forward(
        self,
        fluxes: Mapping[str, Tensor],
        parameters: Mapping[str, Tensor],
        topology: Topology,
        state: Mapping[str, Any],
    ) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Bring fluxes of units to gauges.

        Parameters
        ----------
        fluxes
            By name, `[T, U]` [mm d-1] over each unit.
        parameters
            Those of `PARAMETERS`, `[U]` each.
        topology
            Units, gauges and what lies between.
        state
            What an earlier call has left; empty: nothing.

        Returns
        -------
        fluxes, state
            By name, `[T, G]` [mm d-1] over all units upstream of each gauge, and the state to go
            on with.

        Raises
        ------
        ValueError
            If the batch lacks what lies between units and gauges.
        """
        self.require(topology)
        after: dict[str, Any] = {}
        at_gauges = {}
        for name, flux in fluxes.items():
            if name == FLUX:
                at_gauges[name], after = self.route(flux, parameters, topology, state)
            else:
                at_gauges[name] = topology.mean(flux)
        return at_gauges, after

    def require(self, topology: Topology) -> None:
        """Refuse a batch without what this way needs."""

    def route(
        self,
        runoff: Tensor,
        parameters: Mapping[str, Tensor],
        topology: Topology,
        state: Mapping[str, Any],
    ) -> tuple[Tensor, dict[str, Any]]:
        """Bring streamflow of units `[T, U]` to gauges, `[T, G]`; see `forward`."""
        return topology.mean(runoff), {}
