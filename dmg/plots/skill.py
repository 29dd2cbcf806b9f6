"""Scores over basins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dmg.plots.style import COLOURS, GREY, INK, WIDTH, Array, styled


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
    many = max((len(groups) for groups in panels.values()), default=0) > 2
    figure = Figure(figsize=(WIDTH, 3.7 if many else 3.1))
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for ax, (name, groups) in zip(axes, panels.items(), strict=True):
        for (group, values), colour in zip(groups.items(), COLOURS, strict=False):
            _cumulative(ax, group, values[np.isfinite(values)], colour)
        smallest = min((np.nanmin(v, initial=1.0) for v in groups.values()), default=0.0)
        ax.set(title=name, xlabel=f"{name} [1]", ylim=(0, 1))
        ax.set_xlim(max(lowest, np.floor(10 * smallest - 0.5) / 10), 1)
        if many:  # beside the curves there is no room
            ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
        else:
            ax.legend(loc="upper left")
    axes[0].set_ylabel("Fraction of basins [1]")
    return figure


class Scored(NamedTuple):
    """Scores of one model `[B]`, and whether it ran in full, reduced, or elsewhere."""

    label: str
    values: Array
    state: str  # full, reduced, recomputed or published


class Pair(NamedTuple):
    """A published value and ours."""

    label: str
    published: float
    ours: float
    state: str  # full, reduced or recomputed


class Boxes(NamedTuple):
    """Lower quartile, median and upper quartile of one model in some groups."""

    label: str
    state: str  # full, reduced or published
    quartiles: Mapping[str, tuple[float, float, float]]


@styled
def comparison(models: Sequence[Scored], name: str, lowest: float = -0.25) -> Figure:
    """Draw distributions over basins: ours coloured, dashed if reduced; published ones grey.

    Beyond as many models as there are colours, these come again, dotted.
    """
    figure = Figure(figsize=(WIDTH, max(3.6, 0.36 * len(models))))
    ax = figure.subplots()
    colours = ((colour, i >= len(COLOURS)) for i, colour in enumerate(cycle(COLOURS)))
    greys = cycle(zip(("#4b5563", "#7b8494", "#a3aab5"), ("-.", ":", (0, (6, 2))), strict=True))
    for model in models:
        x = np.sort(model.values[np.isfinite(model.values)])
        if model.state == "published":
            colour, style = next(greys)
        else:
            colour, again = next(colours)
            style = ":" if again else "--" if model.state == "reduced" else "-"
        label = f"{model.label}{', reduced' if model.state == 'reduced' else ''} ({x.size})"
        steps = np.arange(x.size + 1) / max(x.size, 1)
        label += f"\nmedian {np.median(x):.3f}" if x.size else ""
        start = x[:1] if x.size else np.zeros(1)
        ax.plot([*start, *x], steps if x.size else [0], color=colour, linestyle=style,
                drawstyle="steps-post", label=label)  # fmt: skip
        if x.size:
            ax.plot([np.median(x)], [0.5], "o", color=colour, markersize=4)
    ax.set(xlabel=f"{name} [1]", ylabel="Fraction of basins [1]", ylim=(0, 1), xlim=(lowest, 1))
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@styled
def agreement(pairs: Sequence[Pair], name: str) -> Figure:
    """Draw published values and ours side by side, a line for each."""
    figure = Figure(figsize=(WIDTH, 0.9 + 0.26 * len(pairs)))
    ax = figure.subplots()
    places = np.arange(len(pairs))
    for place, pair in zip(places, pairs, strict=True):
        ax.plot([pair.published, pair.ours], [place, place], color=GREY, linewidth=0.9, zorder=1)
    ax.plot([p.published for p in pairs], places, "D", color=INK, markersize=4.5,
            markerfacecolor="white", label="published")  # fmt: skip
    faces = {"full": COLOURS[0], "reduced": "white", "recomputed": COLOURS[2]}
    for state, face in faces.items():
        mine = np.array([(p.ours, i) for i, p in enumerate(pairs) if p.state == state])
        edge = COLOURS[0] if state == "reduced" else face
        label = state if state == "recomputed" else f"ours, {state}"
        if mine.size:
            ax.plot(*mine.T, "o", color=edge, markerfacecolor=face, markersize=5.5, label=label)
    ax.set_yticks(places, [p.label for p in pairs])
    ax.set_ylim(len(pairs) - 0.5, -0.5)
    ax.set_xlabel(f"Median {name} [1]")
    ax.grid(axis="y", visible=False)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper right", ncols=4)
    return figure


@styled
def boxes(models: Sequence[Boxes], groups: Mapping[str, int], label: str, xlabel: str) -> Figure:
    """Draw quartiles of each model in each group: ours filled, lighter if reduced, others open.

    `groups` are drawn in their order, with the number of values behind ours; 0: not written.
    """
    figure = Figure(figsize=(WIDTH, 3.4))
    ax = figure.subplots()
    width = 0.8 / max(len(models), 1)
    names = list(dict.fromkeys(model.label for model in models))
    for i, model in enumerate(models):
        colour = COLOURS[names.index(model.label) % len(COLOURS)]
        fill = {"full": 0.85, "reduced": 0.3}.get(model.state, 0.0)
        for place, group in enumerate(groups):
            if group not in model.quartiles:
                continue
            low, middle, high = model.quartiles[group]
            left = place - 0.4 + i * width
            ax.bar(left, high - low, 0.85 * width, low, align="edge", color=(colour, fill),
                   edgecolor=colour, linewidth=1)  # fmt: skip
            ax.plot([left, left + 0.85 * width], [middle, middle], color=INK, linewidth=1.6)
        ax.bar(0, 0, color=(colour, fill), edgecolor=colour, label=f"{model.label}, {model.state}")
    ticks = [f"{group}\nn = {n:,}" if n else group for group, n in groups.items()]
    ax.set_xticks(range(len(groups)), ticks)
    ax.set_axisbelow(True)
    ax.grid(axis="x", visible=False)
    ax.set(xlabel=xlabel, ylabel=label)
    ax.set_ylim(bottom=0)
    figure.legend(*ax.get_legend_handles_labels(), loc="outside upper left", ncols=2)
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
