"""Which cells of a grid give a unit its weather, and with what weights; computed once, kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, load_npz, save_npz

from dmg.data.weather.overlap import Ring, cell_edges, polygon_weights
from dmg.files import atomic

Floats = NDArray[np.float64]


def cell_weights(
    axes: Sequence[Floats],
    has_values: NDArray[np.bool_],
    places: Sequence[Floats],
    units: NDArray[np.str_],
    polygons: Path | None = None,
    cache: Path | None = None,
) -> csr_array:
    """Weights `[U, cells]` of cells, row by row of latitude as the grid has them; rows sum to 1.

    Parameters
    ----------
    axes
        Latitudes and longitudes of the cells' centres, rising or falling [degrees].
    has_values
        `[cells]`; those without (the sea) get no weight.
    places
        Latitudes and longitudes of the units' centres, `[U]` each.
    units
        Ids of the units `[U]`.
    polygons
        GeoJSON file of their outlines, for weights by shared area; none: the cell of the centre.
    cache
        Start of the name of the file that keeps the weights.

    Raises
    ------
    ValueError
        If a unit has no outline in the file, or no cell with values.
    """
    key = hashlib.sha256(polygons.read_bytes() if polygons else b"")
    for values in (*axes, *places, has_values):
        key.update(values.tobytes())
    file = cache and cache.with_name(f"{cache.name}-{key.hexdigest()[:16]}.npz")
    if file and file.is_file():
        return csr_array(load_npz(file))
    rings = read_polygons(polygons, units) if polygons else None
    weights = _normalised(_on_grid(axes, places, rings), has_values, units)
    if file:
        with atomic(file) as temporary, temporary.open("wb") as stream:
            save_npz(stream, weights)
    return weights


def read_polygons(path: Path, units: NDArray[np.str_]) -> list[list[Ring]]:
    """Outlines `[U]` of the units from a GeoJSON file: rings of (longitude, latitude)."""
    found: dict[str, list[Ring]] = {}
    for feature in json.loads(path.read_text(encoding="utf-8"))["features"]:
        unit = feature.get("properties", {}).get("unit_id", feature.get("id"))
        shape: dict[str, Any] = feature["geometry"]
        parts = [shape["coordinates"]] if shape["type"] == "Polygon" else shape["coordinates"]
        found[str(unit)] = [np.asarray(ring, np.float64)[:, :2] for part in parts for ring in part]
    lost = [unit for unit in units.tolist() if unit not in found]
    if lost:
        raise ValueError(
            f"{path}: expected the outline of every unit, found none of {len(lost)}:"
            f" {', '.join(lost[:5])}; add them (`unit_id`), or leave data.forcing.polygons out"
        )
    return [found[unit] for unit in units.tolist()]


def _on_grid(
    axes: Sequence[Floats], places: Sequence[Floats], rings: list[list[Ring]] | None
) -> csr_array:
    """Weights with cells in the grid's own order, whichever way its axes run."""
    order = [np.argsort(axis) for axis in axes]
    rising = [axis[o] for axis, o in zip(axes, order, strict=True)]
    east = rising[1].max() > 180  # counts longitudes to 360
    if rings is None:
        latitude, longitude = places
        found = _of_centres(rising, latitude, longitude % 360 if east else longitude)
    else:
        found = polygon_weights([[_turned(r, east) for r in unit] for unit in rings], *rising)
    i, j = np.divmod(found.indices, len(axes[1]))
    cells = order[0][i] * len(axes[1]) + order[1][j]
    return csr_array((found.data, cells, found.indptr), found.shape)


def _turned(ring: Ring, east: bool) -> Ring:
    return np.column_stack([ring[:, 0] % 360 if east else ring[:, 0], ring[:, 1]])


def _of_centres(rising: Sequence[Floats], latitude: Floats, longitude: Floats) -> csr_array:
    """One cell a unit; none for a unit off the grid."""
    i, j = (
        np.searchsorted(cell_edges(axis), place, "right") - 1
        for axis, place in zip(rising, (latitude, longitude), strict=True)
    )
    inside = (i >= 0) & (i < len(rising[0])) & (j >= 0) & (j < len(rising[1]))
    rows = np.flatnonzero(inside)
    cells = i[rows] * len(rising[1]) + j[rows]
    size = (len(latitude), len(rising[0]) * len(rising[1]))
    return csr_array((np.ones(len(rows)), (rows, cells)), size)


def _normalised(
    weights: csr_array, has_values: NDArray[np.bool_], units: NDArray[np.str_]
) -> csr_array:
    """Leave out cells without values; every unit must have one cell at least."""
    weights = csr_array(weights.multiply(has_values[None, :]))
    total = np.asarray(weights.sum(axis=1))
    lost = total <= 0
    if lost.any():
        raise ValueError(
            f"data.forcing.path: expected values at every unit, found none at {lost.sum()}:"
            f" {', '.join(units[lost][:5].tolist())}; use a grid that covers them"
        )
    weights.eliminate_zeros()
    return csr_array(weights.multiply(1 / total[:, None]))
