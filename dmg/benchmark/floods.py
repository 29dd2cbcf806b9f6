"""Hydrographs of named floods, by every model that was tested on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from dmg import plots
from dmg.benchmark.models import Model
from dmg.config import Event
from dmg.report.evidence import precipitation_of
from dmg.report.render import Picture, picture
from dmg.score.files import FlowFile, open_runs, read_splits

BEFORE, AFTER = 45, 75
"""Days shown around a flood."""


def flood_pictures(event: Event, models: Sequence[Model]) -> Iterator[Picture]:
    """Draw a flood, observed and by all models that simulated it in their test."""
    found = [(model.name, flood_of(event, model)) for model in models]
    floods = {name: data for name, data in found if data is not None}
    if not floods:
        return
    first = next(iter(floods.values()))
    same = {name: data.sim for name, data in floods.items() if data.days.equals(first.days)}
    peak = first.days[int(np.nanargmax(first.obs))]
    simulated = "; ".join(f"{name} {np.nanmax(sim):.1f}" for name, sim in same.items())
    caption = (
        f"Observed peak {np.nanmax(first.obs):.1f} mm d⁻¹ on {peak:%Y-%m-%d}; largest simulated"
        f" flow [mm d⁻¹]: {simulated}. Daily means."
    )
    heading = f"{event.basin}, water year {event.water_year}: {event.label}"
    alt = f"Observed and simulated streamflow of basin {event.basin}"
    yield picture(plots.hydrograph(first, same), alt, caption, heading)


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
