"""From configuration and a store to a split, and to the return periods that it may rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from dmg import config as schema
from dmg.config import Experiment
from dmg.data import return_periods as tables
from dmg.data import splits
from dmg.data.splits.extremes import Rule
from dmg.data.splits.folds import Folds
from dmg.data.splits.nested import nested_groups

PEAKS = "discharge"
"""Series whose annual maxima have the return periods."""


def build_split(
    experiment: Experiment,
    basins: Sequence[str],
    store: xr.Dataset,
    return_periods: pd.DataFrame | None = None,
    groups: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Table of who is trained on, validated on and tested on, and when, in the folds that are run.

    Parameters
    ----------
    experiment
        Its `data.split` says how.
    basins
        Basin ids, as the store has them.
    store
        Dataset with attributes and positions of the basins, and their discharge.
    return_periods
        Return periods of annual peaks where they are known already: see `build_return_periods`.
    groups
        Group of each basin that stays together; none: those that the split names, if any.
    """
    table = _all_folds(experiment, basins, store, return_periods, groups)
    run = table["fold"].isin(experiment.data.split.fold_names)
    return table[run].reset_index(drop=True)


def _all_folds(
    experiment: Experiment,
    basins: Sequence[str],
    store: xr.Dataset,
    return_periods: pd.DataFrame | None,
    groups: Mapping[str, str] | None,
) -> pd.DataFrame:
    how = experiment.data.split
    periods = {"train": _days(how.train), "test": _days(how.test)}
    validate = _days(how.validate_) if how.validate_ else None
    named = getattr(how, "groups", None)
    if groups is None and named is not None:
        groups = nested_groups(named, basins)
    match how:
        case schema.TemporalSplit():
            return splits.temporal(
                basins,
                **periods,
                validate=validate,
                frac_holdout=how.frac_holdout,
                seed=how.seed,
                groups=groups,
            )
        case schema.ExtremesSplit():
            if return_periods is None:
                return_periods = build_return_periods(experiment, basins, store)
            return splits.extremes(
                basins,
                return_periods,
                **periods,
                validate=validate,
                rule=_rule(how),
                folds=_folds(how, basins, store, groups) if how.num_folds else None,
            )
        case _:
            folds = _folds(how, basins, store, groups)
            return splits.hold_out(basins, folds, **periods, validate=validate)


def build_return_periods(
    experiment: Experiment, basins: Sequence[str], store: xr.Dataset
) -> pd.DataFrame:
    """Return periods of the annual peaks of these basins, read or fitted; empty without flow."""
    how = experiment.data.return_periods
    if how.table is not None:
        table = tables.read_return_periods(how.table)
        known = [*dict.fromkeys(table["basin_id"])]
        listed = {_plain(basin): basin for basin in known}
        wanted = {listed[_plain(b)]: b for b in basins if _plain(b) in listed}
        table = table[table["basin_id"].isin(wanted)]
        return table.assign(basin_id=table["basin_id"].map(wanted))
    if PEAKS not in store:
        return pd.DataFrame(columns=tables.COLUMNS)
    flow = store[PEAKS].sel(basin=list(basins)).transpose("basin", "time").to_numpy()
    days = pd.DatetimeIndex(store["time"].values)
    return tables.from_daily(
        basins,
        flow,
        days,
        regional_skew=how.regional_skew,
        regional_mse=how.regional_skew_mse,
    )


def _folds(
    how: schema.Split,
    basins: Sequence[str],
    store: xr.Dataset,
    groups: Mapping[str, str] | None,
) -> Folds:
    match how:
        case schema.PurSplit():
            values = _column(store, how.attribute, basins)
            return splits.regions(dict(zip(basins, values, strict=True)), how.regions)
        case schema.SpatialSplit():
            lat, lon = (_column(store, name, basins) for name in ("latitude", "longitude"))
            return splits.spatial_folds(basins, lat, lon, how.num_folds)
        case schema.NestedSplit():
            assert groups is not None  # the configuration asks for them
            return splits.grouped_folds(groups, how.num_folds, how.seed)
        case schema.PubSplit() | schema.ExtremesSplit():
            number = how.num_folds
            assert number is not None
            if how.folds is None and groups is not None:
                return splits.grouped_folds(groups, number, how.seed)
            if how.folds is None:
                return splits.random_folds(basins, number, how.seed)
            return _published(splits.read_folds(how.folds, basins), number, str(how.folds))
    raise AssertionError(how)


def _published(folds: Folds, number: int, where: str) -> Folds:
    if len(folds) != number:
        raise ValueError(
            f"{where}: expected as many folds as data.split.num_folds ({number}), found"
            f" {len(folds)}; correct one of them"
        )
    return folds


def _rule(how: schema.ExtremesSplit) -> Rule:
    return Rule(
        threshold=how.threshold,
        test_threshold=how.threshold if how.test_threshold is None else how.test_threshold,
        tested=how.tested,
        gap_years=how.gap_years,
        max_years=how.max_years,
    )


def _column(store: xr.Dataset, name: str, basins: Sequence[str]) -> np.ndarray:
    if name not in store:
        raise ValueError(
            f"data.split: expected the attribute '{name}' in the store, found none of that name;"
            " choose another attribute or split"
        )
    return np.asarray(store[name].sel(basin=list(basins)).to_numpy())


def _plain(basin: str) -> str:
    return basin.lstrip("0")


def _days(period: schema.Period) -> splits.Period:
    return period.start, period.end
