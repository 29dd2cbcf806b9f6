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
METRES_PER_DEGREE = 111_200.0


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
    """Sketch where reaches lie: rivers fan out upstream of their outlets [degrees]."""
    heading = rng.uniform(-np.pi, np.pi, len(area))[outlets(downstream)]
    heading += 1.3 * np.sin(along_path(downstream, _turns(downstream, area, rng)) / 1.3)
    north = along_path(downstream, length * np.sin(heading)) / METRES_PER_DEGREE
    east = along_path(downstream, length * np.cos(heading)) / (0.78 * METRES_PER_DEGREE)
    sides = [
        _fit(downstream, x, limits, rng) for x, limits in ((north, LATITUDES), (east, LONGITUDES))
    ]
    return sides[0], sides[1]


def _turns(downstream: Index, area: Real, rng: np.random.Generator) -> Real:
    """Turn of each river where it leaves the one it flows into: the larger one turns less [rad]."""
    inner = downstream != OUTLET
    share = np.where(inner, area / area[downstream], 1.0)
    side = rng.choice([-1.0, 1.0], len(area))[downstream]  # of the larger of the two
    return np.asarray(np.where(share > 0.5, side, -side) * 1.4 * (1 - share) * inner, np.float64)


def _fit(
    downstream: Index, place: Real, limits: tuple[float, float], rng: np.random.Generator
) -> Real:
    """Put each river where all of it lies within the limits; shrink all if one is too large."""
    end, room = outlets(downstream), limits[1] - limits[0]
    lowest, highest = np.zeros_like(place), np.zeros_like(place)
    np.minimum.at(lowest, end, place)
    np.maximum.at(highest, end, place)
    shrink = min(1.0, 0.8 * room / (highest - lowest).max())
    free = room - shrink * (highest - lowest)
    start = limits[0] + free * rng.uniform(size=len(place)) - shrink * lowest
    return np.asarray(start[end] + shrink * place, np.float64)
