"""From units to gauges by a unit hydrograph for each of them: the way is longer to some.

Shape legend: T time, U units, G gauges, P pairs of a gauge and a unit upstream of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dmg.parameters import Parameter
from dmg.routing.aggregate import Aggregate
from dmg.routing.unit_hydrograph import UnitHydrograph
from dmg.topology import Topology

TRAVEL = {
    "velocity": Parameter(0.1, 5.0, "m s-1", "of the first water on its way", scale="log"),
    "spread": Parameter(0.0, 1.0, "1", "growth of the time scale with the time of travel"),
}
SECONDS = 86400.0
"""Seconds of a day."""


class Paths(Aggregate):
    """Delays streamflow by a gamma unit hydrograph for each pair of a gauge and a unit.

    Over the distance between them the water of a unit, which travels with its `velocity`, is
    `lag = distance / velocity` late, and its unit hydrograph, that of `UnitHydrograph`, is spread
    over a longer time: `theta = route_b + dt / 2 + spread * lag`. No reach is routed and no water
    lost on the way. Other fluxes are area-weighted means.

    Parameters
    ----------
    length
        Ordinates of a unit hydrograph without its lag [steps].
    max_lag
        Longest lag [d]: what is farther away arrives then.
    dt
        Length of a step [d].
    """

    def __init__(self, length: int = 15, max_lag: float = 10.0, dt: float = 1.0) -> None:
        super().__init__()
        self.max_lag = max_lag
        self.unit_hydrograph = UnitHydrograph(length, dt, max_lag)
        own = {n: p for n, p in self.unit_hydrograph.PARAMETERS.items() if n != "route_lag"}
        self.PARAMETERS: Mapping[str, Parameter] = own | TRAVEL

    def route(
        self,
        runoff: Tensor,
        parameters: Mapping[str, Tensor],
        topology: Topology,
        state: Mapping[str, Any],
    ) -> tuple[Tensor, dict[str, Any]]:
        """Bring streamflow of units to gauges: see `Aggregate.route`.

        Raises
        ------
        ValueError
            If the batch does not know the distances.
        """
        of_pairs = self.of_pairs(parameters, topology)
        runoff = runoff[:, topology.pair_unit]
        routed, after = self.unit_hydrograph(runoff, of_pairs, state.get("paths"))
        return topology.mean_of_pairs(routed), {"paths": after}

    def of_pairs(self, parameters: Mapping[str, Tensor], topology: Topology) -> dict[str, Tensor]:
        """Parameters of the unit hydrograph of each pair, `[P]`, from those of units, `[U]`."""
        a, b, velocity, spread = (parameters[n][topology.pair_unit] for n in self.PARAMETERS)
        days = _distance(topology).to(a.dtype) / (SECONDS * velocity)
        lag = days.clamp(max=self.max_lag)
        return {"route_a": a, "route_b": b + spread * lag, "route_lag": lag}


def _distance(topology: Topology) -> Tensor:
    distance = topology.pair_distance
    if distance is None or distance.isnan().any():
        found = "none" if distance is None else "NaN"
        raise ValueError(
            f"expected the distance from each unit to its gauges, found {found}; a network whose"
            " reaches have lengths gives it to the loader of the gauges"
        )
    return distance
