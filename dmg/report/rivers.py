"""A map of a river network from files: drainage area, simulated flow, scores at gauges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from dmg.data.network import Network, first_below
from dmg.data.zarrs import open_zarr
from dmg.files import atomic
from dmg.metrics import METRICS
from dmg.plots import Array, Panel, Rivers, river_map
from dmg.score import headline
from dmg.score.files import read_scores


def draw_rivers(
    network: Path,
    out: Path,
    *,
    flow: Path | None = None,
    scores: Path | None = None,
    metric: str = "nse",
    dpi: int = 200,
) -> None:
    """Draw a river network into an image file (PNG, SVG or PDF, by its suffix).

    Reaches are coloured by mean discharge if `flow` is given, else by the score of the first gauge
    downstream if `scores` are, else by drainage area. Gauges with a score are points on top.

    Parameters
    ----------
    network
        What `dmg data network` wrote.
    out
        Image to write.
    flow
        Zarr file with `discharge` [m3 s-1] of the network's reaches, dimensions reach and time.
    scores
        Table of scores (CSV); its basins are gauges of the network.
    metric
        Column of the scores.
    dpi
        Points per inch.
    """
    rivers = Network.read(network)
    at_gauges = _at_gauges(rivers, scores, metric) if scores else None
    panel, logarithmic = Panel("Drainage area", "km2", rivers.area, 10, 1e6), True
    if flow is not None:
        panel = _mean_flow(rivers, flow)
    elif at_gauges is not None:
        panel, logarithmic = _upstream_of_gauges(rivers, at_gauges), False
    figure = river_map(
        Rivers(rivers.longitude, rivers.latitude, rivers.downstream, rivers.length, rivers.area),
        panel,
        logarithmic=logarithmic,
        gauges=None if at_gauges is None else _points(rivers, at_gauges),
    )
    with atomic(out) as temporary:
        figure.savefig(temporary, dpi=dpi, format=out.suffix.removeprefix(".") or "png")


def _at_gauges(rivers: Network, scores: Path, metric: str) -> Panel:
    """Scores of the network's gauges `[G]`, NaN where there is none."""
    table = headline(read_scores(scores))
    if metric not in METRICS or metric not in table:
        known = ", ".join(name for name in table if name in METRICS)
        raise ValueError(f"{scores}: expected a metric out of {known}, found '{metric}'")
    by_gauge = table.groupby("basin_id")[metric].mean()
    values = by_gauge.reindex(pd.Index(rivers.gauge_id)).to_numpy(np.float64)
    if not np.isfinite(values).any():
        raise ValueError(
            f"{scores}: expected basins that are gauges of the network, found none, for example"
            f" {table['basin_id'].iloc[0]}"
        )
    about = METRICS[metric]
    lower, upper = (0.0, 1.0) if about.perfect == 1 else np.nanquantile(values, [0.05, 0.95])
    return Panel(about.label, about.unit, values, float(lower), float(upper))


def _points(rivers: Network, scores: Panel) -> tuple[Array, Array, Panel]:
    at = rivers.gauge_reach
    return rivers.longitude[at], rivers.latitude[at], scores


def _upstream_of_gauges(rivers: Network, scores: Panel) -> Panel:
    """Give each reach the score of the first gauge downstream that has one."""
    values = np.full(rivers.num_reaches + 1, np.nan)  # the last one: no gauge downstream
    scored = np.isfinite(scores.values)
    values[rivers.gauge_reach[scored]] = scores.values[scored]
    below = first_below(rivers.downstream, np.isfinite(values[:-1]))
    return scores._replace(values=values[below])


def _mean_flow(rivers: Network, path: Path) -> Panel:
    """Mean discharge of each reach over all days, a chunk of the file at a time."""
    store = open_zarr(path, chunks={})
    if "discharge" not in store or set(store["discharge"].dims) != {"reach", "time"}:
        raise ValueError(
            f"{path}: expected discharge of reach and time, found none; simulate first"
        )
    flow = store["discharge"]
    if flow.sizes["reach"] != rivers.num_reaches:
        raise ValueError(
            f"{path}: expected discharge of {rivers.num_reaches} reaches, found"
            f" {flow.sizes['reach']}; simulate on this network"
        )
    mean = flow.mean("time", dtype=np.float64).to_numpy()
    return Panel("Mean discharge", "m3 s-1", mean, 0.1, 1e4)
