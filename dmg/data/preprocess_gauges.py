"""Preprocess for gauges of a river network, whose weather is that of the units upstream.

Beside what `preprocess` leaves, with gauges for basins, there are `network.zarr`, everything
upstream of the gauges; `units.zarr`, what is derived from the units' weather; and `gauges.txt`, the
ids of the gauges, for experiments that look at them as basins.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import xarray as xr

from dmg.data.basins import match_basins
from dmg.data.climate import CLIMATE, climate_of, training_years
from dmg.data.derive import Pet
from dmg.data.derive_store import Folds, Span, derive_store
from dmg.data.drainage import drainage
from dmg.data.network import Network, subnetwork, upstream_of
from dmg.data.network.gauges import describe_matches, match_gauges, with_gauges
from dmg.data.preprocess import of_members, require_days, require_variables, training_spans
from dmg.data.splits import write_splits
from dmg.data.statistics import fold_statistics, write_statistics
from dmg.data.store import open_store
from dmg.data.workers import Workers
from dmg.data.zarrs import consolidate, open_zarr
from dmg.files import atomic, unfinished

log = logging.getLogger(__name__)

TARGET = "streamflow"


def network_of_gauges(
    network: Network,
    store: Path,
    ids: Sequence[str] | None = None,
    *,
    tolerance: float = 0.1,
    max_area: float | None = None,
) -> Network:
    """Cut out what lies upstream of the gauges of a store.

    Parameters
    ----------
    network
        The whole.
    store
        Store of the gauges; its `area` [km2] is compared with that of the reaches.
    ids
        Gauges to use; none: all of the store.
    tolerance
        Largest difference of the areas, as a fraction of the gauge's [1].
    max_area
        Largest drainage area [km2]; none: any.

    Raises
    ------
    ValueError
        If no gauge is left.
    """
    dataset = open_store(store)
    available = [str(basin) for basin in dataset["basin"].values]
    chosen = available if ids is None else match_basins(ids, available, "data.gauges.ids")
    place = ("latitude", "longitude")
    table = dataset[["area", *(n for n in place if n in dataset)]].sel(basin=chosen).to_dataframe()
    table = table.reset_index().rename(columns={"basin": "gauge_id"}).astype({"gauge_id": str})
    if max_area is not None:
        table = table[table["area"] <= max_area].reset_index(drop=True)
    matches = match_gauges(network, table, tolerance=tolerance)
    for line in describe_matches(matches):
        log.warning("left out: %s", line)
    found = with_gauges(network, matches)
    if not found.num_gauges:
        raise ValueError(
            f"data.gauges: expected gauges of {store} on the river network, with a drainage area"
            f" within {tolerance:.0%} of their reach's, found none of {len(chosen)}; check the ids,"
            " or raise data.gauges.area_tolerance or max_area"
        )
    return subnetwork(found, upstream_of(found, found.gauge_reach))


def preprocess_gauges(
    units: Path,
    gauges: Path,
    network: Network,
    out: Path,
    *,
    splits: pd.DataFrame,
    forcings: Sequence[str],
    attributes: Sequence[str] = (),
    log_forcings: Sequence[str] = (),
    pet: Pet = "hargreaves",
    workers: Workers = None,
) -> None:
    """Write what a training at gauges needs into the folder `out`.

    Statistics of forcings and attributes are those of the units upstream of a fold's training
    gauges, on the training days; those of the target are the gauges'. The units have the climate
    indices of `dmg.data.climate` for attributes, of the training years, beside those of the store.

    Parameters
    ----------
    units, gauges
        Stores of the units' weather and of the gauges' flow.
    network
        Everything upstream of the gauges: see `network_of_gauges`.
    splits
        Table of gauges as made by `dmg.data.splits`.
    forcings, attributes, log_forcings, pet, workers
        As for `dmg.data.preprocess.preprocess`; forcings and attributes are the units'.
    out
        Folder of the results.
    """
    of_units, of_gauges = open_store(units), open_store(gauges)
    gauge_ids, unit_ids = network.gauge_id.tolist(), network.unit_id.tolist()
    require_days(splits, of_units)
    require_days(splits, of_gauges)
    stored = [name for name in attributes if name not in CLIMATE]
    require_variables(of_units, {"forcings": forcings}, stored)
    require_variables(of_gauges, {"target": [TARGET]}, ())
    flow_spans = training_spans(splits, gauge_ids, of_gauges["time"].values[0])
    weather_spans = unit_spans(
        network, training_spans(splits, gauge_ids, of_units["time"].values[0])
    )
    derive = partial(
        derive_store, pet=pet, workers=workers, log_forcings=log_forcings, logs=out / "workers"
    )
    with unfinished(out / "derived.zarr") as of_flow, unfinished(out / "units.zarr") as of_weather:
        flow = derive(gauges, of_flow, gauge_ids, flow_spans, [TARGET])
        weather = derive(units, of_weather, unit_ids, weather_spans, forcings)
        climate = _add_climate(of_units, of_weather, unit_ids, splits)
        of_store = of_units[["basin", *stored]].sel(basin=unit_ids).to_dataframe()[stored]
        table = of_store.join(climate)[[*attributes]]
        statistics = {}
        for fold, members in weather_spans.items():
            samples = of_members(weather, members) | of_members(flow, flow_spans[fold])
            known = table.loc[[*members]]
            statistics[fold] = fold_statistics(samples, forcings, TARGET, known)
    write_statistics(statistics, out / "statistics.json")
    write_splits(splits, out / "splits.csv")
    network.write(out / "network.zarr")
    with atomic(out / "gauges.txt") as temporary:
        temporary.write_text("".join(f"{gauge}\n" for gauge in gauge_ids), encoding="utf-8")


def _add_climate(
    units: xr.Dataset, derived: Path, ids: Sequence[str], splits: pd.DataFrame
) -> pd.DataFrame:
    """Add the units' climate in the training years to what is derived from their weather."""
    table = climate_of(units, open_zarr(derived), ids, training_years(splits))
    variables = {
        name: ("basin", table[name].to_numpy(), {"units": unit, "long_name": meaning})
        for name, (unit, meaning) in CLIMATE.items()
    }
    xr.Dataset(variables).to_zarr(derived, mode="a", zarr_format=3, consolidated=False)
    consolidate(derived)
    return table


def unit_spans(network: Network, folds: Folds) -> dict[str, dict[str, list[Span]]]:
    """Training days of each unit upstream of a fold's training gauges.

    A unit of nested gauges has the days of all of them, each once.
    """
    found = drainage(network)
    row_of = {gauge: row for row, gauge in enumerate(network.gauge_id.tolist())}
    ids = network.unit_id.tolist()
    out: dict[str, dict[str, list[Span]]] = {}
    for fold, members in folds.items():
        days: dict[int, set[tuple[int, int]]] = {}
        for gauge, spans in members.items():
            for unit in found.units([row_of[gauge]]).tolist():
                days.setdefault(unit, set()).update((first, last) for _, first, last in spans)
        out[fold] = {
            ids[unit]: [(unit, first, last) for first, last in _joined(days[unit])]
            for unit in sorted(days)
        }
    return out


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges of days that do not overlap."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return joined
