"""Scores over basins."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmg.plots.style import COLOURS, WIDTH, Array, styled


@styled
def distributions(panels: Mapping[str, Mapping[str, Array]], lowest: float = -0.5) -> Figure:
    """Draw the cumulative distribution over basins of some scores, one panel for each.

    Parameters
    ----------
    panels
        By score, then by group of basins: values `[B]`, NaN where undefined.
    lowest
        Where the axis begins at the latest; curves may start above 0 there.
    """
    figure = Figure(figsize=(WIDTH, 3.1))
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for ax, (name, groups) in zip(axes, panels.items(), strict=True):
        for (group, values), colour in zip(groups.items(), COLOURS, strict=False):
            _cumulative(ax, group, values[np.isfinite(values)], colour)
        smallest = min((np.nanmin(v, initial=1.0) for v in groups.values()), default=0.0)
        ax.set(title=name, xlabel=f"{name} [1]", ylim=(0, 1))
        ax.set_xlim(max(lowest, np.floor(10 * smallest - 0.5) / 10), 1)
        ax.legend(loc="upper left")
    axes[0].set_ylabel("Fraction of basins [1]")
    return figure


def _cumulative(ax: Axes, group: str, values: Array, colour: str) -> None:
    if not values.size:
        ax.plot([], [], color=colour, label=f"{group} (0)")
        return
    x = np.sort(values)
    median = float(np.median(x))
    label = f"{group} ({x.size})\nmedian {median:.2f}"
    steps = np.arange(x.size + 1) / x.size
    ax.plot([x[0], *x], steps, color=colour, drawstyle="steps-post", label=label)
    ax.plot([median], [0.5], "o", color=colour, markersize=4)
