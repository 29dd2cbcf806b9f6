"""Find the reach of each gauge, and make sure of it by drainage area."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.spatial import cKDTree

from dmg.data.network.graph import OUTLET, Index, Real
from dmg.data.network.model import Network

NEAREST = 16  # reaches looked at around a gauge's coordinates
EARTH = 6371.0  # radius [km]


def match_gauges(
    network: Network, gauges: pd.DataFrame, *, tolerance: float = 0.1, distance: float = 5.0
) -> pd.DataFrame:
    """Match gauges to reaches by drainage area.

    Looked at are the reach that the network names for the gauge, the reaches upstream and
    downstream of that, and, where coordinates are known, the nearest reaches. The reach that the
    network names is taken if its area agrees, else the one whose area agrees best.

    Parameters
    ----------
    network
        Reaches with their areas, perhaps with gauges.
    gauges
        Columns gauge_id and area [km2]; if known latitude and longitude [degrees].
    tolerance
        Largest difference of the areas, as a fraction of the gauge's [1].
    distance
        Largest distance of a reach from the gauge's coordinates [km].

    Returns
    -------
    DataFrame
        A row per gauge, in their order: gauge_id, area [km2], reach (position; -1: none was looked
        at), reach_id, reach_area [km2], difference (of the areas, relative) and status: "matched",
        "area differs", "off the network" (nothing to look at) or "area unknown".
    """
    area = gauges["area"].to_numpy(np.float64)
    which, reach, named = _candidates(network, gauges, distance)
    difference = np.abs(network.area[reach] - area[which]) / area[which]
    rank = np.where(named & (difference <= tolerance), -1.0, difference)
    order = np.lexsort((~named, rank, which))  # NaN comes last
    first = order[np.r_[True, np.diff(which[order]) != 0][: len(order)]]
    best = np.full(len(gauges), OUTLET)
    best[which[first]] = reach[first]
    return _table(network, gauges, best, tolerance)


def with_gauges(network: Network, matches: pd.DataFrame) -> Network:
    """Replace the gauges of a network by those that matched."""
    good = matches[matches["status"] == "matched"]
    return replace(
        network,
        gauge_id=good["gauge_id"].to_numpy(object).astype(str),
        gauge_reach=good["reach"].to_numpy(np.int64),
        gauge_area=good["area"].to_numpy(np.float64),
    )


def describe_matches(matches: pd.DataFrame) -> list[str]:
    """Say in one line each, with ids, which gauges did not match."""
    lines = []
    for status in ("off the network", "area unknown", "area differs"):
        ids = matches.loc[matches["status"] == status, "gauge_id"]
        if len(ids):
            shown = ", ".join(ids.iloc[:5]) + (", ..." if len(ids) > 5 else "")
            lines.append(f"{len(ids)} of {len(matches)} gauges, {status}: {shown}")
    return lines


def _candidates(
    network: Network, gauges: pd.DataFrame, distance: float
) -> tuple[Index, Index, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Give pairs (row of a gauge, reach), and whether the network itself names that reach."""
    ids = gauges["gauge_id"].to_numpy(object)
    at = pd.Index(network.gauge_id).get_indexer(pd.Index(ids))
    which = np.flatnonzero(at >= 0)
    named = network.gauge_reach[at[which]]
    pairs = [(which, named), _downstream(network, which, named), _upstream(network, which, named)]
    if {"latitude", "longitude"} <= set(gauges.columns):
        pairs.append(_near(network, gauges["latitude"], gauges["longitude"], distance))
    rows, reaches = (np.concatenate(part) for part in zip(*pairs, strict=True))
    return rows, reaches, np.arange(len(rows)) < len(which)


def _downstream(network: Network, which: Index, named: Index) -> tuple[Index, Index]:
    ahead = network.downstream[named]
    return which[ahead != OUTLET], ahead[ahead != OUTLET]


def _upstream(network: Network, which: Index, named: Index) -> tuple[Index, Index]:
    links = pd.DataFrame({"named": network.downstream, "reach": np.arange(network.num_reaches)})
    found = pd.DataFrame({"which": which, "named": named}).merge(links, on="named")
    return found["which"].to_numpy(np.int64), found["reach"].to_numpy(np.int64)


def _near(
    network: Network, latitude: ArrayLike, longitude: ArrayLike, distance: float
) -> tuple[Index, Index]:
    known = np.flatnonzero(~np.isnan(network.latitude) & ~np.isnan(network.longitude))
    sphere = _on_sphere(network.latitude[known], network.longitude[known])
    here = _on_sphere(np.asarray(latitude, np.float64), np.asarray(longitude, np.float64))
    placed = np.flatnonzero(~np.isnan(here).any(1))
    away, found = cKDTree(sphere).query(
        here[placed], k=np.arange(1, NEAREST + 1), distance_upper_bound=distance
    )
    row, column = np.nonzero(np.isfinite(away))
    return placed[row], known[found[row, column]]


def _on_sphere(latitude: Real, longitude: Real) -> Real:
    """Give points in space [km]; over short ways their straight distance is that on the ground."""
    phi, theta = np.radians(latitude), np.radians(longitude)
    parts = (np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi))
    return EARTH * np.stack(parts, axis=-1)


def _table(network: Network, gauges: pd.DataFrame, reach: Index, tolerance: float) -> pd.DataFrame:
    there = reach != OUTLET
    area = gauges["area"].to_numpy(np.float64)
    reach_area = np.where(there, network.area[reach], np.nan)
    difference = np.abs(reach_area - area) / area
    status = np.select(
        [~there, np.isnan(difference), difference <= tolerance],
        ["off the network", "area unknown", "matched"],
        "area differs",
    )
    return pd.DataFrame(
        {
            "gauge_id": gauges["gauge_id"].to_numpy(object),
            "area": area,
            "reach": reach,
            "reach_id": np.where(there, network.reach_id[reach], ""),
            "reach_area": reach_area,
            "difference": difference,
            "status": status,
        }
    )
