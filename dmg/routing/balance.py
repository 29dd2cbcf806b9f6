"""The water balance of a routed network.

Weights that change with the discharge do not conserve water exactly: what a reach holds is
rewritten when its celerity changes (Todini 2007, doi:10.5194/hess-11-1645-2007). How much that
and the floors add is measured here.

Shape legend: T steps of the inflow, N reaches.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from dmg.routing.channel import section
from dmg.routing.muskingum_cunge import ChannelState, MuskingumCunge
from dmg.routing.reaches import Reaches


class WaterBalance(NamedTuple):
    """Volumes of all reaches together over a run [m3]."""

    inflow: Tensor  # lateral, as it was routed: missing values filled
    outflow: Tensor  # at the outlets
    storage_change: Tensor
    floored: Tensor  # added where the discharge would have been below its minimum
    error: Tensor  # neither came in nor went out: storage_change + outflow - inflow - floored


def water_balance(
    routing: MuskingumCunge,
    reaches: Reaches,
    parameters: Mapping[str, Tensor],
    inflow: Tensor,
    discharge: Tensor,
    before: ChannelState,
    after: ChannelState,
) -> WaterBalance:
    """Balance of a run from `before` to `after`.

    Parameters
    ----------
    routing
        What routed.
    reaches
        The network.
    parameters
        `n`, `q_spatial` and `p_spatial`, `[N]` each.
    inflow, discharge
        What it was given and gave, `[T, N]` [m3 s-1].
    before, after
        States around the run; `routing.initial_state(inflow[0], reaches)` for a run from none.
    """
    timing, outlet = routing.timing, reaches.downstream < 0
    dt = timing.dt
    laterals = routing.floored(inflow).double()
    # a step of the inflow begins one substep before the mean that it goes into
    entered = timing.substeps * laterals.sum() - laterals[-1].sum()
    entered = entered + routing.floored(before.inflow).double().sum()
    sums = discharge.double().sum(0) * timing.substeps - before.partial + after.partial
    ends = (before.discharge.double() - after.discharge.double()) / 2
    left = (sums + ends)[outlet].sum()
    values = routing.values(inflow, parameters, reaches)
    change = (
        _storage(routing, reaches, values, after.discharge)
        - _storage(routing, reaches, values, before.discharge)
    ).sum()
    floored = (after.floored - before.floored).sum()
    entered, left = entered * dt, left * dt
    return WaterBalance(entered, left, change, floored, change + left - entered - floored)


def _storage(
    routing: MuskingumCunge, reaches: Reaches, parameters: Mapping[str, Tensor], flow: Tensor
) -> Tensor:
    """Water in each reach [m3], `k (x I + (1 - x) Q)`."""
    flow = flow.double()
    wide = {name: value.double() for name, value in parameters.items()}
    k = reaches.length.double() / section(flow, wide, reaches, routing.minima).celerity
    x = reaches.weight.double()
    return k * (x * reaches.levels.upper(flow) + (1 - x) * flow)
