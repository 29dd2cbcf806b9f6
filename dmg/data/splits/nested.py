"""Gauges that share a river: none may be trained on while another of them is tested.

A test basin whose upstream or downstream neighbour is trained on is not ungauged: most of its
water has been seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dmg.data.basins import match_basins
from dmg.data.network import Network
from dmg.data.splits.folds import read_groups


def river_groups(network: Network) -> dict[str, str]:
    """Name for each gauge the most downstream gauge of its river: itself, if none is below it.

    Reaches lie in the order of their rivers, so that all gauges above another are in the run of
    reaches `first_upstream[i]..i`.
    """
    groups: dict[str, str] = {}
    leader, first = "", len(network.reach_id)
    for gauge in np.argsort(-network.gauge_reach, kind="stable"):
        reach = int(network.gauge_reach[gauge])
        if reach < first:  # not upstream of the last leader
            leader, first = str(network.gauge_id[gauge]), int(network.first_upstream[reach])
        groups[str(network.gauge_id[gauge])] = leader
    return groups


def nested_groups(path: Path, basins: Sequence[str]) -> dict[str, str]:
    """Group of each basin, from a river network (`.zarr`) or a table of `basin_id` and `group`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If a basin is not in it.
    """
    if path.suffix != ".zarr":
        return read_groups(path, basins, "group")
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such river network; correct data.split.groups")
    groups = river_groups(Network.read(path))
    gauges = match_basins(basins, list(groups), str(path))
    return {basin: groups[gauge] for basin, gauge in zip(basins, gauges, strict=True)}
