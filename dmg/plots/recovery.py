"""Learned over true parameters of a twin experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from dmg.plots.style import COLOURS, GREY, WIDTH, Array, styled, unit_text


class Recovery(NamedTuple):
    """True and learned values of one parameter, `[B]` by group, and its bounds."""

    name: str
    unit: str
    lower: float
    upper: float
    true: Mapping[str, Array]
    learned: Mapping[str, Array]


@styled
def parameter_recovery(panels: Sequence[Recovery], columns: int = 5) -> Figure:
    """Draw learned over true parameters, a panel for each, with the bounds as its limits."""
    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(WIDTH, 1.75 * rows + 0.35))
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax, panel in zip(axes.flat, panels, strict=False):
        _recovery(ax, panel)
    for ax in axes.flat[len(panels) :]:
        ax.set_axis_off()
    figure.supxlabel("true", fontsize=9)
    figure.supylabel("learned", fontsize=9)
    if panels and len(panels[0].true) > 1:
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2)
    return figure


def _recovery(ax: Axes, panel: Recovery) -> None:
    limits = (panel.lower, panel.upper)
    ax.plot(limits, limits, color=GREY, linewidth=0.8)
    for (group, true), colour in zip(panel.true.items(), COLOURS, strict=False):
        size = 3.0 if true.size < 100 else 1.5
        ax.plot(true, panel.learned[group], "o", color=colour, markersize=size, label=group)
    true, learned = (np.concatenate(list(x.values())) for x in (panel.true, panel.learned))
    varies = true.size > 1 and np.ptp(true) > 0 and np.ptp(learned) > 0
    if varies:
        r = np.corrcoef(true, learned)[0, 1]
        ax.text(0.04, 0.96, f"r = {r:.2f}", fontsize=7, va="top", transform=ax.transAxes)
    ax.set_title(panel.name, fontsize=8)
    if panel.unit != "1":
        ax.set_title(unit_text(panel.unit), loc="right", fontsize=6, color=GREY)
    pad = 0.04 * (panel.upper - panel.lower)
    ax.set(xlim=(panel.lower - pad, panel.upper + pad), ylim=(panel.lower - pad, panel.upper + pad))
    ax.set_box_aspect(1)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(3))
        axis.set_tick_params(labelsize=7)
