"""Synthetic river networks of any size: branching, lengths, slopes and areas like real ones.

Topology: uniformly random binary trees (Shreve 1966, 10.1086/627137), whose bifurcation ratio is
near 4 and whose longest path grows with the square root of their size. Half of the reaches are
headwaters; basin sizes are heavy-tailed, a few rivers hold most reaches. Slope falls with drainage
area (Flint 1974, 10.1029/WR010i005p00969), lengths and unit areas have the medians of national
networks (about 7 km and 37 km2). Positions are a sketch within the conterminous US, good for maps
and interpolation, not a plane tiling.
"""

from __future__ import annotations

import numpy as np

from dmg.data.network.graph import OUTLET, Index, Real, accumulate, along_path, depth_first, outlets
from dmg.data.network.model import Network, Text

LATITUDES, LONGITUDES = (27.0, 48.0), (-122.0, -70.0)
KM_PER_DEGREE = 111.0


def generate(
    num_reaches: int,
    seed: int = 0,
    *,
    num_outlets: int | None = None,
    units_per_reach: int = 1,
    num_gauges: int | None = None,
) -> Network:
    """Generate a network; the same arguments give the same network.

    Parameters
    ----------
    num_reaches
        Reaches N, 1 or more.
    seed
        Of the generator.
    num_outlets
        Outlets, one more where the number of reaches asks for it; default: the square root of N,
        with which the largest river holds some tenths of the reaches.
    units_per_reach
        Units that drain to each reach.
    num_gauges
        Gauges, on reaches drawn at random; their stated area differs by some per cent. Default: one
        in 50 reaches.
    """
    if num_reaches < 1:
        raise ValueError(f"num_reaches: expected 1 or more, found {num_reaches}")
    rng = np.random.default_rng(seed)
    downstream = _topology(num_reaches, num_outlets or round(num_reaches**0.5), rng)
    unit_area = rng.lognormal(np.log(37 / units_per_reach), 0.6, num_reaches * units_per_reach)
    own = unit_area.reshape(num_reaches, -1).sum(1)
    area = accumulate(downstream, own)
    length = rng.lognormal(np.log(7000), 0.6, num_reaches)
    slope = (0.02 * area**-0.4 * rng.lognormal(0, 0.3, num_reaches)).clip(1e-5, 0.3)
    latitude, longitude = _places(downstream, length, area, rng)
    unit_reach = np.repeat(np.arange(num_reaches), units_per_reach)
    spread = 0.03 * rng.standard_normal((2, len(unit_reach)))
    count = num_reaches // 50 if num_gauges is None else num_gauges
    gauged = np.sort(rng.choice(num_reaches, count, replace=False))
    return Network(
        reach_id=_ids("r", num_reaches),
        downstream=downstream,
        length=length,
        slope=slope,
        area=area,
        latitude=latitude,
        longitude=longitude,
        unit_id=_ids("u", len(unit_reach)),
        unit_reach=unit_reach,
        unit_area=unit_area,
        unit_latitude=latitude[unit_reach] + spread[0],
        unit_longitude=longitude[unit_reach] + spread[1],
        unit_elevation=along_path(downstream, length * slope)[unit_reach],
        gauge_id=_ids("g", len(gauged)),
        gauge_reach=gauged,
        gauge_area=area[gauged] * rng.lognormal(0, 0.03, len(gauged)),
    )


def _ids(letter: str, count: int) -> Text:
    width = len(str(count))
    return np.array([f"{letter}{i:0{width}}" for i in range(1, count + 1)], dtype=np.str_)


def _topology(num_reaches: int, num_outlets: int, rng: np.random.Generator) -> Index:
    """Draw a forest of binary trees, in depth-first order.

    A postfix word of sources (+1: put a river on the stack) and confluences (-1: take two, put
    one) is a random walk that ends at the number of outlets; any cyclic order of it has a turn that
    never empties the stack (the cycle lemma).
    """
    num_outlets += (num_reaches + num_outlets) % 2  # two rivers meet, never three
    num_outlets = min(num_outlets, num_reaches)
    steps = np.ones(num_reaches, np.int64)
    steps[: (num_reaches - num_outlets) // 2] = -1
    steps = rng.permutation(steps)
    height = np.cumsum(steps)
    lowest = num_reaches - 1 - height[::-1].argmin()  # the last one
    steps = np.roll(steps, -(lowest + 1))
    downstream = _meets(np.cumsum(steps))
    order = depth_first(downstream)
    rank = np.append(np.argsort(order), OUTLET)
    return np.asarray(rank[downstream[order]], np.int64)


def _meets(height: Index) -> Index:
    """Find where each river of a postfix word is taken: the next step no higher than its own."""
    order = np.argsort(height, kind="stable")
    following = np.full(len(height), OUTLET)
    same = height[order][1:] == height[order][:-1]
    following[order[:-1][same]] = order[1:][same]
    falls = np.r_[np.diff(height) < 0, False]
    return np.where(falls, np.arange(len(height)) + 1, following)


def _places(
    downstream: Index, length: Real, area: Real, rng: np.random.Generator
) -> tuple[Real, Real]:
    """Sketch where reaches lie: rivers fan out upstream of outlets along a coast [degrees]."""
    end = outlets(downstream)
    inner = downstream != OUTLET
    share = np.where(inner, area / area[downstream], 1.0)
    turn = rng.choice([-1.0, 1.0], len(area)) * (1 - share) * 1.2 * inner
    bend = 1.3 * np.sin(along_path(downstream, turn) / 1.3)
    heading = rng.uniform(-np.pi, np.pi, len(area))[end] + bend
    east = along_path(downstream, length * np.cos(heading) / 1000)
    north = along_path(downstream, length * np.sin(heading) / 1000)
    shrink = min(1.0, 1500 / max(np.abs(east).max(), np.abs(north).max()))
    latitude = rng.uniform(*LATITUDES, len(area))[end] + shrink * north / KM_PER_DEGREE
    longitude = rng.uniform(*LONGITUDES, len(area))[end] + shrink * east / (0.78 * KM_PER_DEGREE)
    return latitude.clip(*LATITUDES), longitude.clip(*LONGITUDES)
