"""Figures, one function each: plain arrays in, a matplotlib `Figure` out.

Nothing here touches a screen or global state: figures are made without pyplot and saved by the
caller. Units stand on every axis, colours are told apart in grey and by colour-blind readers.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, NamedTuple, ParamSpec

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.dates import MONTHLY, AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

Array = npt.NDArray[np.float64]
P = ParamSpec("P")

INK, GREY, RAIN = "#1b1f24", "#8a9099", "#6ba4d6"
COLOURS = ["#1f5a96", "#d1762a", "#3f8f6b", "#8a5aa0", "#b03a48", "#6b7280", "#a38a2b", "#2b9fa3"]
STYLE: Any = {  # matplotlib types its keys as a closed list
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.wspace": 0.05,
    "font.size": 9,
    "grid.color": "#e4e7eb",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "svg.fonttype": "path",
    "svg.hashsalt": "dmg",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}
WIDTH = 7.6  # [inch]
FLOW = "Streamflow [mm d⁻¹]"


class Hydrograph(NamedTuple):
    """Flow and, if known, precipitation of one basin [mm d-1], each `[T]`."""

    days: pd.DatetimeIndex
    obs: Array
    sim: Array
    precipitation: Array | None


class Recovery(NamedTuple):
    """True and learned values of one parameter, `[B]` by group, and its bounds."""

    name: str
    unit: str
    lower: float
    upper: float
    true: Mapping[str, Array]
    learned: Mapping[str, Array]


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the style of this module, whatever the user's matplotlib settings."""

    @wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with rc_context(STYLE):
            return draw(*args, **kwargs)

    return inner


def svg(figure: Figure) -> bytes:
    """Return the figure as SVG; equal figures give equal bytes."""
    buffer = io.BytesIO()
    with rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def unit_text(unit: str) -> str:
    """Print a CF unit with raised exponents: `mm d-1` as `mm d⁻¹`, `degC` as `°C`."""
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    text = re.sub(r"(?<=[a-zA-Z])-?\d", lambda m: m[0].translate(raised), unit)
    return text.replace("degC", "°C")


@styled
def loss_curves(logs: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw training and validation loss and learning rate over the epochs.

    Parameters
    ----------
    logs
        By run: columns epoch, loss, validation (NaN where there was none), learning_rate.
    """
    figure = Figure(figsize=(WIDTH, 2.8))
    left, right = figure.subplots(1, 2, width_ratios=[1.7, 1])
    for i, (name, log) in enumerate(logs.items()):
        colour = COLOURS[i % len(COLOURS)]
        left.plot(log["epoch"], log["loss"], color=colour, label=f"{name}, training")
        checked = log.dropna(subset=["validation"])
        if len(checked):
            label = f"{name}, validation"
            left.plot(checked["epoch"], checked["validation"], "--", color=colour, label=label)
            best = checked.iloc[checked["validation"].to_numpy().argmin()]
            left.plot(best["epoch"], best["validation"], "o", color=colour, markersize=4)
        right.plot(log["epoch"], log["learning_rate"], color=colour, drawstyle="steps-post")
    left.set(title="Loss", xlabel="Epoch", ylabel="Loss")
    right.set(title="Learning rate", xlabel="Epoch", ylabel="Learning rate [1]")
    right.set_ylim(bottom=0)
    right.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    for ax in (left, right):
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if len(logs) <= 4:
        left.legend()
    return figure


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


@styled
def basin_map(longitude: Array, latitude: Array, values: Array, label: str) -> Figure:
    """Draw basins at their gauges, coloured by a score between 0 and 1; all arguments `[B]`."""
    shown = np.isfinite(longitude) & np.isfinite(latitude) & np.isfinite(values)
    order = np.flatnonzero(shown)[np.argsort(-values[shown])]  # the worst on top
    width, height = (np.ptp(x[order]) if len(order) else 1.0 for x in (longitude, latitude))
    stretch = 1 / np.cos(np.deg2rad(latitude[order].mean())) if len(order) else 1.0
    shape = float(np.clip(stretch * height / max(width, 1e-3), 0.4, 0.9))
    figure = Figure(figsize=(WIDTH, 0.5 + 0.78 * WIDTH * shape))
    ax = figure.subplots()
    size = float(np.clip(3000 / max(len(order), 1), 14, 60))
    points = ax.scatter(
        longitude[order],
        latitude[order],
        size,
        c=values[order],
        cmap="viridis",
        vmin=0,
        vmax=1,
        edgecolors=INK,
        linewidths=0.3,
        zorder=3,
    )
    ax.set_aspect(stretch, adjustable="datalim")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _degrees(x, "E", "W")))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _degrees(y, "N", "S")))
    ax.margins(0.06)
    ax.set(xlabel="Longitude", ylabel="Latitude")
    bar = figure.colorbar(points, ax=ax, shrink=0.75, pad=0.02, extend="min")
    bar.set_label(f"{label} [1]")
    bar.outline.set_visible(False)
    return figure


@styled
def hydrograph(data: Hydrograph) -> Figure:
    """Draw observed and simulated flow, with precipitation hanging from the top if given."""
    figure = Figure(figsize=(WIDTH, 2.5))
    ax = figure.subplots()
    ax.plot(data.days, data.obs, color=INK, linewidth=1.1, label="observed")
    ax.plot(data.days, data.sim, color=COLOURS[1], linewidth=1.1, label="simulated")
    highest = np.nanmax(np.concatenate([data.obs, data.sim]), initial=1e-3)
    ax.set_ylim(0, highest * (1.05 if data.precipitation is None else 1.45))
    ax.margins(x=0)
    ax.set_ylabel(FLOW)
    locator = AutoDateLocator(minticks=5, maxticks=9)  # type: ignore[no-untyped-call]
    locator.intervald[MONTHLY] = [1, 3, 6]
    ax.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_formatter(formatter)
    if data.precipitation is not None:
        _hang(ax, data.days, data.precipitation)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure


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


def _hang(ax: Axes, days: pd.DatetimeIndex, precipitation: Array) -> None:
    """Precipitation on a second axis that grows downwards from the top."""
    rain = ax.twinx()
    rain.fill_between(days, precipitation, step="mid", color=RAIN, linewidth=0)
    highest = np.nanmax(precipitation, initial=1.0)
    rain.grid(visible=False)
    rain.spines["right"].set_visible(True)
    rain.margins(x=0)
    rain.set_yticks(np.array(MaxNLocator(2).tick_values(0, highest))[:3])
    rain.set_ylim(highest * 3.6, 0)
    rain.set_ylabel("Precip. [mm d⁻¹]", loc="top", fontsize=8)


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


def _degrees(value: float, positive: str, negative: str) -> str:
    return f"{abs(value):g}°{positive if value > 0 else negative if value < 0 else ''}"
