"""Series over epochs and days."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import MONTHLY, AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from dmg.plots.style import COLOURS, INK, RAIN, WIDTH, Array, styled

FLOW = "Streamflow [mm d⁻¹]"


class Hydrograph(NamedTuple):
    """Flow and, if known, precipitation of one basin [mm d-1], each `[T]`."""

    days: pd.DatetimeIndex
    obs: Array
    sim: Array
    precipitation: Array | None


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
def hydrograph(data: Hydrograph, models: Mapping[str, Array] | None = None) -> Figure:
    """Draw observed and simulated flow, with precipitation hanging from the top if given.

    `models` are flows `[T]` [mm d-1] by name, drawn instead of the one that `data` has.
    """
    figure = Figure(figsize=(WIDTH, 2.5))
    ax = figure.subplots()
    ax.plot(data.days, data.obs, color=INK, linewidth=1.1, label="observed")
    flows = models or {"simulated": data.sim}
    for (name, flow), colour in zip(flows.items(), cycle([*COLOURS[1:], COLOURS[0]]), strict=False):
        ax.plot(data.days, flow, color=colour, linewidth=1.1, label=name)
    highest = np.nanmax([data.obs, *flows.values()], initial=1e-3)
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
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return figure


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
