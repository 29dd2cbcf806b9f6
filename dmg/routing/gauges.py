"""Flow at gauges, which seldom stand at the end of a reach.

Shape legend: T steps, N reaches, G gauges.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dmg.routing.reaches import Reaches


def at_gauges(
    discharge: Tensor, gauge_reach: Tensor, reaches: Reaches, *, upstream_sum: bool = False
) -> Tensor:
    """Discharge of each gauge's reach, `[T, G]` [m3 s-1].

    Parameters
    ----------
    discharge
        Of all reaches, `[T, N]` [m3 s-1].
    gauge_reach
        Reach of each gauge, `[G]` int64.
    reaches
        The network.
    upstream_sum
        Take what flows into the reach instead, where anything does, as Bindas et al. (2024,
        doi:10.1029/2023WR035337): the reach's own lateral inflow is then left out.
    """
    own = discharge[:, gauge_reach]
    if not upstream_sum:
        return own
    links = (reaches.downstream >= 0).nonzero().squeeze(1)
    above = torch.zeros_like(discharge).index_add(
        1, reaches.downstream[links], discharge[:, links]
    )[:, gauge_reach]
    headwater = torch.bincount(reaches.downstream[links], minlength=reaches.num_reaches) == 0
    return torch.where(headwater[gauge_reach], own, above)


def flow_scale(gauge_area: Tensor, reach_area: Tensor, unit_area: Tensor) -> Tensor:
    """Part of its reach's own lateral inflow that passes a gauge, `[G]` [1].

    A gauge within its reach sees less area than the reach has at its end; the difference is
    taken from the reach's own units where it is smaller than they are.

    Parameters
    ----------
    gauge_area
        Area above the gauge, `[G]` [km2]; NaN if unknown.
    reach_area
        Area above the end of the reach, its own units included, `[G]` [km2].
    unit_area
        Area of the reach's own units, `[G]` [km2].
    """
    missing = reach_area - gauge_area
    part = (unit_area - missing) / unit_area
    return torch.where((missing > 0) & (missing < unit_area), part, torch.ones_like(part))
