"""Maps of basins at their gauges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dmg.plots.style import INK, WIDTH, Array, styled, unit_text


class Panel(NamedTuple):
    """Values of one quantity `[B]` and the range of its colours."""

    name: str
    unit: str
    values: Array
    lower: float
    upper: float


@styled
def basin_map(longitude: Array, latitude: Array, values: Array, label: str) -> Figure:
    """Draw basins at their gauges, coloured by a score between 0 and 1; all arguments `[B]`."""
    shape, _ = extent(longitude, latitude)
    figure = Figure(figsize=(WIDTH, 0.5 + 0.78 * WIDTH * shape))
    ax = figure.subplots()
    points = gauges_on(ax, longitude, latitude, Panel(label, "1", values, 0, 1))
    ax.set(xlabel="Longitude", ylabel="Latitude")
    bar = figure.colorbar(points, ax=ax, shrink=0.75, pad=0.02, extend="min")
    bar.set_label(f"{label} [1]")
    bar.outline.set_visible(False)
    return figure


@styled
def parameter_maps(
    longitude: Array, latitude: Array, panels: Sequence[Panel], columns: int = 4
) -> Figure:
    """Draw one small map for each quantity, with its unit; the positions are `[B]`."""
    rows = -(-len(panels) // columns)
    shape, _ = extent(longitude, latitude)
    figure = Figure(figsize=(WIDTH, rows * (0.55 + 0.9 * WIDTH / columns * shape)))
    axes = figure.subplots(rows, columns, squeeze=False)
    for i, (ax, panel) in enumerate(zip(axes.flat, panels, strict=False)):
        points = gauges_on(ax, longitude, latitude, panel, most=11)
        points.set(rasterized=True, linewidths=0)  # as paths, thousands of points are megabytes
        ax.set_title(f"{panel.name} [{unit_text(panel.unit)}]", fontsize=8)
        ax.tick_params(labelsize=6)
        ax.label_outer()
        ax.tick_params(labelbottom=i + columns >= len(panels))
        bar = figure.colorbar(
            points, ax=ax, orientation="horizontal", aspect=30, pad=0.02, shrink=0.9
        )
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=6)
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    return figure


def gauges_on(
    ax: Axes, longitude: Array, latitude: Array, panel: Panel, most: float = 60
) -> PathCollection:
    """Points at the gauges, low values on top, `most` square points large at the most."""
    values = panel.values
    shown = np.isfinite(longitude) & np.isfinite(latitude) & np.isfinite(values)
    order = np.flatnonzero(shown)[np.argsort(-values[shown])]
    _, stretch = extent(longitude, latitude)
    size = float(np.clip(3000 / max(len(order), 1), min(14, most / 2), most))
    points = ax.scatter(
        longitude[order],
        latitude[order],
        size,
        c=values[order],
        cmap="viridis",
        vmin=panel.lower,
        vmax=panel.upper,
        edgecolors=INK,
        linewidths=0.3 * min(1, most / 60 + 0.2),
        zorder=3,
    )
    label_degrees(ax, stretch, 7 if most > 20 else 4)
    ax.margins(0.06)
    return points


def label_degrees(ax: Axes, stretch: float, ticks: int = 7) -> None:
    """Write longitudes and latitudes at the axes; one of latitude is `stretch` times longer."""
    ax.set_aspect(stretch, adjustable="datalim")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _degrees(x, "E", "W")))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _degrees(y, "N", "S")))


def extent(longitude: Array, latitude: Array) -> tuple[float, float]:
    """Height over width of a map, and by how much a degree of latitude is longer on it."""
    known = np.isfinite(longitude) & np.isfinite(latitude)
    width, height = (np.ptp(x[known]) if known.any() else 1.0 for x in (longitude, latitude))
    stretch = 1 / np.cos(np.deg2rad(latitude[known].mean())) if known.any() else 1.0
    return float(np.clip(stretch * height / max(width, 1e-3), 0.4, 0.9)), float(stretch)


def _degrees(value: float, positive: str, negative: str) -> str:
    return f"{abs(value):g}°{positive if value > 0 else negative if value < 0 else ''}"
