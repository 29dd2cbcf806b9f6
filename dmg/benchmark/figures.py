"""Figures of one benchmark: distributions, maps, floods and parameters, from what was left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from dmg import plots
from dmg.benchmark.floods import flood_pictures
from dmg.benchmark.models import SKILL, Model
from dmg.benchmark.published import read_published
from dmg.benchmark.rows import Sources
from dmg.config import Benchmark, Curve, Published
from dmg.metrics import METRICS
from dmg.report.evidence import coordinates_of
from dmg.report.render import Picture, picture
from dmg.score import headline
from dmg.score.files import open_zarr


def pictures(benchmark: Benchmark, models: Sequence[Model], sources: Sources) -> list[Picture]:
    """All figures that can be drawn."""
    drawn = list(_distributions(benchmark, models, sources))
    if models:
        drawn += list(_map(models[0]))
    drawn += list(_peaks(benchmark, models))
    drawn += [flood for event in benchmark.events for flood in flood_pictures(event, models)]
    if models:
        drawn += list(_parameters(models[0]))
    return drawn


def _distributions(
    benchmark: Benchmark, models: Sequence[Model], sources: Sources
) -> Iterator[Picture]:
    ours = [plots.Scored(m.label, _array(m.skill), m.state) for m in models if len(m.skill)]
    basins = sorted({basin for model in models for basin in model.skill.dropna().index})
    published, notes, periods = [], [], set[str]()
    for curve in (*benchmark.curves, *_files(benchmark)):
        try:
            scores = read_published(sources.data_root, curve.file, curve.column)
        except FileNotFoundError:
            notes.append(f"{curve.label}: {curve.file} is not in the data root")
            continue
        values = scores.reindex(basins) if basins else scores
        state = "published" if curve.period else "recomputed"
        published.append(plots.Scored(curve.label, _array(values), state))
        periods |= {curve.period} - {""}
    if not ours and all(each.state == "published" for each in published):
        return
    label = METRICS[SKILL].label
    caption = f"Distribution of {label} over basins (their number in brackets)."
    grey = any(p.state == "published" for p in published)
    days = f" and the days {' or '.join(sorted(periods))}" if periods else ""
    caption += f" Grey: published scores, on all of these basins{days}." if grey else ""
    caption += " Dashed: reduced." if any(m.state == "reduced" for m in ours) else ""
    caption += f" {'; '.join(notes)}." if notes else ""
    figure = plots.comparison([*ours, *published], label)
    yield picture(figure, f"Cumulative distribution of {label}, ours and published", caption)


def _files(benchmark: Benchmark) -> Iterator[Curve]:
    """Series that are read from published files, as curves."""
    for series in benchmark.series.values():
        if series.file is not None:
            yield Curve(label=series.label, file=series.file, column=series.column, period="")


def _array(values: pd.Series[float]) -> plots.Array:
    return np.asarray(values, np.float64)


def _peaks(benchmark: Benchmark, models: Sequence[Model]) -> Iterator[Picture]:
    """Errors of annual peaks by return period, ours beside the published boxes."""
    rows = [row for row in benchmark.published if row.metric == "peak_error"]
    groups = dict.fromkeys((str(row.group) for row in rows), 0)
    if not groups:
        return
    drawn = []
    for key, series in benchmark.series.items():
        boxes = [("published", _published_quartiles(rows, key))]
        for model in (m for m in models if m.label == series.label):
            table = headline(model.outcome.peaks).groupby("group")["peak_error"]
            boxes.append((model.state, {str(g): _quartiles(v) for g, v in table}))
            groups |= {str(g): max(groups.get(str(g), 0), v.count()) for g, v in table if g}
        drawn += [plots.Boxes(series.label, state, box) for state, box in boxes if box]
    xlabel = "Return period of the annual peak [years]"
    figure = plots.boxes(drawn, groups, "Error of the annual peak [1]", xlabel)
    caption = "Absolute error of the largest daily flow of a water year over the observed one:"
    caption += " quartiles over basins and years, the bar is the median. Open boxes are published;"
    caption += " n is the number of years that ours were scored on."
    yield picture(figure, "Errors of annual peaks by return period", caption)


def _quartiles(values: pd.Series[float]) -> tuple[float, float, float]:
    low, middle, high = (float(values.quantile(q)) for q in (0.25, 0.5, 0.75))
    return low, middle, high


def _published_quartiles(
    rows: Sequence[Published], series: str
) -> dict[str, tuple[float, float, float]]:
    values = {(r.group, r.statistic): r.value for r in rows if r.series == series}
    groups = dict.fromkeys(str(group) for group, _ in values)
    found = {g: [values.get((g, s)) for s in ("q25", "median", "q75")] for g in groups}
    return {g: (v[0], v[1], v[2]) for g, v in found.items() if None not in v}  # type: ignore[misc]


def _map(model: Model) -> Iterator[Picture]:
    basins = list(model.skill.index)
    where = coordinates_of(model.store, basins) if model.store and basins else None
    if where is None:
        return
    label = METRICS[SKILL].label
    figure = plots.basin_map(*where, _array(model.skill), label)
    caption = f"{label} of {model.name} at the gauges, worst on top."
    yield picture(figure, f"Map of {label} of {model.name}", caption)


def _parameters(model: Model) -> Iterator[Picture]:
    """Map the static parameters of the first run, means over components."""
    path = model.outcome.runs[0] / "predictions.zarr" if model.outcome.runs else None
    if path is None or not path.is_dir() or model.store is None:
        return
    dataset = open_zarr(path)
    basins = [str(basin) for basin in dataset["basin"].values]
    where = coordinates_of(model.store, basins)
    names = [str(n) for n in dataset.data_vars if dataset[n].attrs.get("kind") == "parameter"]
    if where is None or not names:
        return
    panels = []
    for name in sorted(names):
        values = dataset[name]
        mean = values.mean("component") if "component" in values.dims else values
        numbers = mean.values.astype(float)
        lower, upper = np.nanquantile(numbers, [0.02, 0.98])
        panels.append(plots.Panel(name, values.attrs["units"], numbers, lower, upper))
    caption = (
        f"Static parameters of {model.name}, learned for each basin; means over components of one"
        " trained model, colours from the 2nd to the 98th percentile."
    )
    figure = plots.parameter_maps(*where, panels)
    yield picture(figure, f"Maps of the learned parameters of {model.name}", caption)
