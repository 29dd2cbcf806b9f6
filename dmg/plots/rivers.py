"""Maps of river networks: hundreds of thousands of reaches, drawn as one collection of lines."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from dmg.plots.maps import Panel, extent, gauges_on, label_degrees
from dmg.plots.style import WIDTH, Array, styled, unit_text

WATER = LinearSegmentedColormap.from_list("water", ["#c9dcec", "#5b97c9", "#1f5a96", "#0b2747"])
NOTHING = "#d9dde2"  # reaches without a value
KM_PER_DEGREE = 111.2
SLACK = 50.0  # between a reach and the point that stands for it, the centroid of its units [km]


class Rivers(NamedTuple):
    """Reaches to be drawn, each `[N]`.

    Attributes
    ----------
    longitude, latitude
        A point on or near the reach [degrees]; NaN: not drawn.
    downstream
        Position of the reach downstream; -1 for an outlet.
    length
        Of the channel [m], NaN where unknown. A line much longer than its two reaches is left out:
        some networks connect closed basins over mountains.
    area
        Area that drains to the reach [km2], by which lines get thicker.
    """

    longitude: Array
    latitude: Array
    downstream: NDArray[np.int64]
    length: Array
    area: Array


@styled
def river_map(
    rivers: Rivers,
    panel: Panel,
    *,
    logarithmic: bool = False,
    gauges: tuple[Array, Array, Panel] | None = None,
) -> Figure:
    """Draw reaches coloured by a value, each as a line to the next one downstream.

    Parameters
    ----------
    rivers
        Reaches; those without a position are left out.
    panel
        Values of the reaches `[N]`, with the range of their colours; NaN is drawn grey.
    logarithmic
        Colours by the logarithm, in blues: for flow and area. Values must be positive to count.
    gauges
        Points on top: longitude and latitude [degrees] and their values, each `[G]`.

    Returns
    -------
    Figure
        Lines are rasterised, also in a file of vectors.
    """
    known = np.isfinite(rivers.longitude) & np.isfinite(rivers.latitude)
    shape, stretch = extent(rivers.longitude[known], rivers.latitude[known])
    figure = Figure(figsize=(WIDTH, 0.6 + 0.8 * WIDTH * shape))
    ax = figure.subplots()
    ax.grid(visible=False)
    lines = _lines(rivers, panel, known, logarithmic)
    ax.add_collection(lines)
    ax.autoscale_view()
    label_degrees(ax, stretch)
    _bar(figure, ax, lines, panel, "both" if logarithmic else "min")
    if gauges is not None:
        longitude, latitude, values = gauges
        points = gauges_on(ax, longitude, latitude, values, most=30)
        if values.name != panel.name:  # else one bar says what both mean
            _bar(figure, ax, points, values, "min")
    return figure


def _lines(
    rivers: Rivers, panel: Panel, known: NDArray[np.bool_], logarithmic: bool
) -> LineCollection:
    """Draw small rivers first, so that large ones stay visible."""
    points = np.stack([rivers.longitude, rivers.latitude], axis=1)
    drawn = np.flatnonzero(known & (rivers.downstream >= 0) & known[rivers.downstream])
    drawn = drawn[~_jumps(rivers, drawn)]
    drawn = drawn[np.argsort(rivers.area[drawn], kind="stable")]
    values = np.where(panel.values > 0, panel.values, np.nan) if logarithmic else panel.values
    return LineCollection(
        np.stack([points[drawn], points[rivers.downstream[drawn]]], axis=1),  # type: ignore[arg-type]
        array=np.ma.masked_invalid(values[drawn]),
        cmap=(WATER if logarithmic else colormaps["viridis"]).with_extremes(bad=NOTHING),
        norm=(LogNorm if logarithmic else Normalize)(panel.lower, panel.upper, clip=False),
        linewidths=_widths(rivers.area[drawn]),
        capstyle="round",
        rasterized=True,
    )


def _jumps(rivers: Rivers, reaches: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Tell reaches that are too far from the next one to touch it."""
    ahead = rivers.downstream[reaches]
    north = rivers.latitude[ahead] - rivers.latitude[reaches]
    east = rivers.longitude[ahead] - rivers.longitude[reaches]
    east *= np.cos(np.deg2rad(rivers.latitude[reaches]))
    gap = KM_PER_DEGREE * np.hypot(north, east)
    return np.asarray(gap > (rivers.length[reaches] + rivers.length[ahead]) / 2000 + SLACK)


def _bar(figure: Figure, ax: Axes, drawn: ScalarMappable, panel: Panel, extend: str) -> None:
    bar = figure.colorbar(drawn, ax=ax, shrink=0.75, pad=0.02, extend=extend)
    bar.set_label(f"{panel.name} [{unit_text(panel.unit)}]")
    bar.outline.set_visible(False)


def _widths(area: Array) -> Array:
    """From a hair for a headwater to 2.5 points for a continent's river."""
    return np.asarray(0.15 + 0.06 * np.log10(np.maximum(area, 1)) ** 2, np.float64)
