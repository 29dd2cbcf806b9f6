"""Discharge of all reaches from the runoff of units, in chunks of time with carried state.

Shape legend: T time, U units, N reaches, G gauges.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from dmg.data.network import Network
from dmg.data.zarrs import open_zarr
from dmg.files import only_writer
from dmg.routing import Reaches, accumulate
from dmg.routing.aggregate import FLUX
from dmg.routing.muskingum_cunge import ChannelState
from dmg.routing.rivers import SECONDS, Rivers, lateral_inflow, of_reaches
from dmg.simulate.files import create, write
from dmg.simulate.plan import Plan
from dmg.simulate.progress import Progress
from dmg.simulate.units import RUNOFF, progress_of
from dmg.topology import Channels

DISCHARGE, GAUGES = "discharge.zarr", "gauges.zarr"
SHARD = 8192
"""Reaches of a shard."""


@torch.no_grad()
def simulate_rivers(
    rivers: Rivers | None, network: Network, plan: Plan, out: Path, attrs: Mapping[str, Any]
) -> None:
    """Bring the runoff of all units to all reaches and gauges, in days of whole shards.

    Parameters
    ----------
    rivers
        Routing through reaches; none: a reach has the runoff of all units upstream at once.
    network
        The network.
    plan
        Of the simulation in `out`, whose units are done.
    out
        Folder of the simulation; gets `discharge.zarr` [m3 s-1] and `gauges.zarr` [mm d-1].
    attrs
        Attributes of the stores.

    Raises
    ------
    ValueError
        If units are not done, the runoff is not that of the network's units, or another process is
        at work on it.
    """
    plan.check(out)
    _require_units(plan, out)
    runoff = open_zarr(out / RUNOFF)
    rows = _rows(runoff, network)
    channels = channels_of(network)
    reaches = Reaches(channels.downstream, channels.length, channels.slope)
    names = rivers.PARAMETERS if rivers else {}
    parameters = {
        name: of_reaches(_series(runoff[name].to_numpy()[rows]), known, channels)
        for name, known in names.items()
    }
    progress, chunks = Progress(out / "progress/rivers.pt"), plan.days(plan.river_days)
    with only_writer(progress.path):
        _create(network, runoff, plan, out, attrs)
        done, tensors = progress.read()
        state = ChannelState(*tensors) if tensors else None
        for number, days in enumerate(chunks[done:], done + 1):
            inflow = lateral_inflow(_series(_days(runoff, days)[rows]).T, channels)
            if rivers:
                discharge, state = rivers.routing(inflow, parameters, reaches, state)
            else:
                discharge = accumulate(inflow, reaches)
            _write(out, network, channels, days, discharge)
            progress.write(number, state)


def channels_of(network: Network) -> Channels:
    """Reaches of a whole network, and the units on it."""
    on, area = network.unit_reach >= 0, network.area_of_units[network.gauge_reach]
    return Channels(
        downstream=torch.from_numpy(network.downstream),
        length=_series(network.length),
        slope=_series(network.slope),
        unit_reach=torch.from_numpy(network.unit_reach[on]),
        unit_area=_series(network.unit_area[on]),
        gauge_reach=torch.from_numpy(network.gauge_reach),
        gauge_area=_series(np.where(area > 0, area, np.nan)),
    )


def _series(values: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _days(runoff: xr.Dataset, days: range) -> Any:
    return runoff[FLUX][:, days.start : days.stop].to_numpy()


def _rows(runoff: xr.Dataset, network: Network) -> Any:
    """Rows of the runoff of the units that drain to a reach."""
    wanted = network.unit_id[network.unit_reach >= 0]
    rows = runoff.indexes["basin"].get_indexer(wanted.tolist())
    if (rows < 0).any():
        raise ValueError(
            f"expected the runoff of all units of the network, found none of"
            f" {wanted[rows < 0][:5].tolist()}; simulate a store of all its units"
        )
    return slice(None) if np.array_equal(rows, np.arange(runoff.sizes["basin"])) else rows


def _require_units(plan: Plan, out: Path) -> None:
    chunks = len(plan.days(plan.chunk_days))
    missing = [b + 1 for b in range(plan.num_blocks) if progress_of(out, b).read()[0] < chunks]
    if missing:
        raise ValueError(
            f"{out}: expected the runoff of {plan.num_blocks} blocks of units, found"
            f" {len(missing)} not done, such as {missing[:5]}; run all parts first"
        )


def _create(
    network: Network, runoff: xr.Dataset, plan: Plan, out: Path, attrs: Mapping[str, Any]
) -> None:
    days = runoff["time"].values
    flow = {"discharge": (("reach", "time"), {"units": "m3 s-1", "long_name": "discharge"})}
    depth = {FLUX: (("basin", "time"), {"units": "mm d-1", "long_name": "over the area upstream"})}
    shard = SHARD, plan.river_days
    create(out / DISCHARGE, "reach", network.reach_id.tolist(), days, flow, {}, shard, attrs)
    if network.num_gauges:
        create(out / GAUGES, "basin", network.gauge_id.tolist(), days, depth, {}, shard, attrs)


def _write(out: Path, network: Network, channels: Channels, days: range, discharge: Tensor) -> None:
    write(out / DISCHARGE, range(network.num_reaches), days, {"discharge": discharge})
    if network.num_gauges:
        depth = SECONDS * discharge[:, channels.gauge_reach] / channels.gauge_area
        write(out / GAUGES, range(network.num_gauges), days, {FLUX: depth})
