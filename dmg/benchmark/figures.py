"""Figures of one benchmark: distributions, maps, floods and parameters, from what was left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from dmg import plots
from dmg.benchmark.outcomes import Outcome
from dmg.benchmark.published import read_published
from dmg.benchmark.rows import Sources, outcomes_of
from dmg.config import Benchmark, Curve, Event, Published
from dmg.metrics import METRICS
from dmg.report.evidence import coordinates_of, precipitation_of
from dmg.report.render import Picture, picture
from dmg.score import headline
from dmg.score.files import FlowFile, open_runs, open_zarr, read_splits

BEFORE, AFTER = 45, 75
"""Days shown around a flood."""
SKILL = "nse"


class Model:
    """A series that was run: its outcome, and how to call it."""

    def __init__(self, label: str, state: str, outcome: Outcome) -> None:
        self.label, self.state, self.outcome = label, state, outcome
        self.name = f"{label} (reduced)" if state == "reduced" else label

    @property
    def skill(self) -> pd.Series[float]:
        """Headline scores by basin."""
        table = headline(self.outcome.scores)
        return table.set_index("basin_id")[SKILL].astype(float)

    @property
    def store(self) -> Path | None:
        """Store that it was trained from, if it lies with the results."""
        data = self.outcome.settings.get("data", {})
        folder = self.outcome.folder.parent / "stores"
        path = folder / f"{data.get('store') or data.get('dataset')}.zarr"
        return path if path.is_dir() else None


def models_of(id_: str, benchmark: Benchmark, sources: Sources, lacks: pd.DataFrame) -> list[Model]:
    """Everything that was run of a benchmark; `lacks` are its rows, which know what is reduced."""
    states = dict(zip(lacks["experiment"], lacks["state"], strict=True))
    return [
        Model(series.label, states.get(outcome.name, state), outcome)
        for key, series in benchmark.series.items()
        if series.experiment or series.ensemble
        for state, outcome in outcomes_of(id_, key, sources)
    ]


def pictures(benchmark: Benchmark, models: Sequence[Model], sources: Sources) -> list[Picture]:
    """All figures that can be drawn."""
    drawn = list(_distributions(benchmark, models, sources))
    if models:
        drawn += list(_map(models[0]))
    drawn += list(_peaks(benchmark, models))
    drawn += [flood for event in benchmark.events for flood in _flood(event, models)]
    if models:
        drawn += list(_parameters(models[0]))
    return drawn


def _distributions(
    benchmark: Benchmark, models: Sequence[Model], sources: Sources
) -> Iterator[Picture]:
    ours = [plots.Scored(m.label, _array(m.skill), m.state) for m in models if len(m.skill)]
    basins = models[0].skill.index if models else None
    published, notes = [], []
    for curve in (*benchmark.curves, *_files(benchmark)):
        try:
            scores = read_published(sources.data_root, curve.file, curve.column)
        except FileNotFoundError:
            notes.append(f"{curve.label}: {curve.file} is not in the data root")
            continue
        values = scores if basins is None else scores.reindex(basins)
        state = "published" if curve.period else "recomputed"
        published.append(plots.Scored(curve.label, _array(values), state))
        notes += [f"{curve.label}: scored on {curve.period}"] if curve.period else []
    if not ours and all(each.state == "published" for each in published):
        return
    label = METRICS[SKILL].label
    caption = f"Distribution of {label} over basins."
    grey = any(p.state == "published" for p in published)
    caption += " Grey: published scores, on the same basins." if grey else ""
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
    groups = list(dict.fromkeys(str(row.group) for row in rows))
    if not groups:
        return
    drawn = [
        plots.Boxes(series.label, "published", _published_quartiles(rows, key))
        for key, series in benchmark.series.items()
        if any(row.series == key for row in rows)
    ]
    for model in models:
        table = headline(model.outcome.peaks).groupby("group")["peak_error"]
        quartiles = {str(g): _quartiles(v) for g, v in table}
        drawn += [plots.Boxes(model.label, model.state, quartiles)] if quartiles else []
    xlabel = "Return period of the annual peak [years]"
    figure = plots.boxes(drawn, groups, "Error of the annual peak [1]", xlabel)
    caption = "Absolute error of the largest daily flow of a water year over the observed one:"
    caption += " quartiles over basins and years, the bar is the median. Open boxes are published."
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
    where = coordinates_of(model.store, list(model.skill.index)) if model.store else None
    if where is None:
        return
    label = METRICS[SKILL].label
    figure = plots.basin_map(*where, _array(model.skill), label)
    caption = f"{label} of {model.name} at the gauges, worst on top."
    yield picture(figure, f"Map of {label} of {model.name}", caption)


def _flood(event: Event, models: Sequence[Model]) -> Iterator[Picture]:
    """Hydrograph of a flood by the first model that simulated it in its test."""
    for model in models:
        data = flood_of(event, model)
        if data is not None:
            peak = data.days[int(np.nanargmax(data.obs))]
            heading = f"{event.basin}, water year {event.water_year}: {event.label}"
            caption = (
                f"{model.name}. Observed peak {np.nanmax(data.obs):.1f} mm d⁻¹ on {peak:%Y-%m-%d},"
                f" simulated at most {np.nanmax(data.sim):.1f} mm d⁻¹; daily means."
            )
            alt = f"Observed and simulated streamflow of basin {event.basin}"
            yield picture(plots.hydrograph(data), alt, caption, heading)
            return


def flood_of(event: Event, model: Model) -> plots.Hydrograph | None:
    """Series around the annual peak; none where the model was not tested on it."""
    folder, runs = model.outcome.folder, model.outcome.runs
    predictions = [run / "predictions.zarr" for run in runs]
    if not predictions or not all(path.is_dir() for path in predictions):
        return None
    splits = read_splits(folder / "preprocess" / "splits.csv")
    year = (f"{event.water_year - 1}-10-01", f"{event.water_year}-09-30")
    tested = splits[(splits["basin_id"] == event.basin) & (splits["role"] == "test")]
    tested = tested[(tested["start"] <= year[0]) & (tested["end"] >= year[1])]
    if tested.empty:
        return None
    row = tested.iloc[0]
    mine = [run for run in open_runs(predictions) if run.fold == row["fold"]]
    observed = FlowFile(folder / "preprocess" / "derived.zarr")
    days = _around_peak(observed, event.basin, year, (row["start"], row["end"]))
    basin = [event.basin]
    sim = np.mean([run.flow.read(basin, days)[0] for run in mine], axis=0)
    rain = precipitation_of(model.store) if model.store else None
    fallen = rain.read(basin, days)[0] if rain else None
    return plots.Hydrograph(days, observed.read(basin, days)[0], sim, fallen)


def _around_peak(
    observed: FlowFile, basin: str, year: tuple[str, str], tested: tuple[str, str]
) -> pd.DatetimeIndex:
    days = pd.date_range(*year)
    flow = observed.read([basin], days)[0]
    peak = days[int(np.nanargmax(flow))]
    start = max(peak - pd.Timedelta(days=BEFORE), pd.Timestamp(tested[0]))
    end = min(peak + pd.Timedelta(days=AFTER), pd.Timestamp(tested[1]))
    return pd.date_range(start, end)


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
