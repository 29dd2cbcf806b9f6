"""Area that polygons share with the cells of a latitude-longitude grid, and what follows: weights.

Polygons are clipped to one column and one row of cells after another (Sutherland and Hodgman 1974,
doi:10.1145/360767.360802); areas are those of an equal-area cylindrical projection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Ring = NDArray[np.float64]
"""Corners `[n, 2]` as (longitude, latitude), closed or not; a hole turns the other way."""


def cell_edges(centres: Floats) -> Floats:
    """Edges `[n + 1]` half-way between the sorted centres `[n]` of cells."""
    inner = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - inner[0]], inner, [2 * centres[-1] - inner[-1]]])


def polygon_weights(
    polygons: Sequence[Sequence[Ring]], latitudes: Floats, longitudes: Floats
) -> csr_array:
    """Share of each cell in each polygon.

    Parameters
    ----------
    polygons
        `[U]`, outer rings and holes of each.
    latitudes, longitudes
        Centres of the cells, ascending.

    Returns
    -------
    csr_array
        `[U, cells]`, cells by rows of latitude; a row sums to 1, or is empty for a polygon that
        lies off the grid.
    """
    south, west = cell_edges(latitudes), cell_edges(longitudes)
    rows: list[int] = []
    cells: list[int] = []
    shares: list[float] = []
    for unit, rings in enumerate(polygons):
        found: dict[int, float] = {}
        for ring in rings:
            for i, j, area in _cell_areas(np.asarray(ring, np.float64), south, west):
                cell = i * len(longitudes) + j
                found[cell] = found.get(cell, 0.0) + area
        areas = np.abs([*found.values()])
        rows += [unit] * len(found)
        cells += found
        shares += (areas / max(areas.sum(), 1e-300)).tolist() if found else []
    return csr_array((shares, (rows, cells)), (len(polygons), len(latitudes) * len(longitudes)))


def _cell_areas(ring: Ring, south: Floats, west: Floats) -> Iterator[tuple[int, int, float]]:
    """Signed area of the part of a ring in each cell that it touches."""
    columns = _touched(ring[:, 0], west)
    for j in columns:
        strip = _clip(_clip(ring, 0, west[j], 1), 0, west[j + 1], -1)
        if len(strip):
            for i in _touched(strip[:, 1], south):
                piece = _clip(_clip(strip, 1, south[i], 1), 1, south[i + 1], -1)
                if len(piece) and (area := _area(piece)):
                    yield i, j, area


def _touched(values: Floats, edges: Floats) -> range:
    first = int(np.searchsorted(edges, values.min(), "right")) - 1
    stop = int(np.searchsorted(edges, values.max(), "left"))
    return range(max(first, 0), min(stop, len(edges) - 1))


def _clip(ring: Ring, axis: int, at: float, side: int) -> Ring:
    """Keep the part where `side * (value - at) >= 0`."""
    if not len(ring):
        return ring
    following = np.roll(ring, -1, axis=0)
    here, there = side * (ring[:, axis] - at), side * (following[:, axis] - at)
    crosses = (here < 0) != (there < 0)
    share = np.divide(here, here - there, out=np.zeros_like(here), where=crosses)
    meets = ring + share[:, None] * (following - ring)
    both = np.stack([ring, meets], 1).reshape(-1, 2)
    kept: Ring = both[np.stack([here >= 0, crosses], 1).ravel()]
    return kept


def _area(ring: Ring) -> float:
    x, y = ring[:, 0], np.sin(np.radians(ring[:, 1]))
    return float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) / 2)
