"""The part of a report that only a twin experiment has: comparison with the known truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from dmg.metrics.efficiency import nse
from dmg.plots import Array, Recovery
from dmg.report.evidence import by_group
from dmg.score.files import FlowFile, Run, open_zarr


class FlowRecovery(NamedTuple):
    """Skill against the noise-free flow and the observed one; what that flow itself would reach."""

    against_truth: dict[str, Array]
    against_observed: dict[str, Array]
    ceiling: float


def recovered_parameters(truth: Path, table: pd.DataFrame, runs: Sequence[Run]) -> list[Recovery]:
    """Compare true and learned static parameters, the latter means over components and seeds.

    `table` has a row per basin with its fold and group; parameters that the model does not have,
    or that change in time, are left out.
    """
    true = _read_truth(truth / "parameters.csv").set_index("basin_id")
    true.index = true.index.astype(str)
    _check(truth / "parameters.csv", true.index, table["basin_id"])
    stores = [(run.fold, open_zarr(run.flow.path)) for run in runs]
    _, first = stores[0]
    names = [n for n in true.columns if n in first and first[n].attrs.get("kind") == "parameter"]
    panels = []
    for name in names:
        frame = table.assign(
            true=true.loc[table["basin_id"], name].to_numpy(float),
            learned=_learned(name, table, stores),
        )
        panels.append(_panel(name, first[name], frame))
    return panels


def recovered_flow(
    truth: Path, table: pd.DataFrame, runs: Sequence[Run], observed: FlowFile, test: pd.DataFrame
) -> FlowRecovery:
    """Nash-Sutcliffe efficiency by group over the test days; `test` are the rows of the split."""
    true_flow = _read_truth(truth / "streamflow.csv", index_col=0, parse_dates=True)
    _check(truth / "streamflow.csv", true_flow.columns, table["basin_id"])
    periods = table[["basin_id", "fold", "group"]].merge(test, on=["basin_id", "fold"])
    parts = []
    for (fold, start, end), rows in periods.groupby(["fold", "start", "end"]):
        days, basins = pd.date_range(str(start), str(end)), list(rows["basin_id"])
        true = true_flow.reindex(days)[basins].to_numpy(float).T
        obs = observed.read(basins, days)
        sim = np.mean([run.flow.read(basins, days) for run in runs if run.fold == fold], axis=0)
        values = {"truth": nse(sim, true), "observed": nse(sim, obs), "ceiling": nse(true, obs)}
        parts.append(rows.assign(**values))
    frame = pd.concat(parts)
    ceiling = float(frame["ceiling"].median())
    return FlowRecovery(by_group(frame, "truth"), by_group(frame, "observed"), ceiling)


def _learned(name: str, table: pd.DataFrame, stores: Sequence[tuple[str, xr.Dataset]]) -> Array:
    """Learned values `[B]` of the rows of `table`, each from the runs of its fold."""
    total, count = np.zeros(len(table)), np.zeros(len(table))
    for fold, store in stores:
        rows = (table["fold"] == fold).to_numpy()
        values = store[name].astype(float)
        if "component" in values.dims:
            values = values.mean("component")
        series = pd.Series(values.values, index=[str(b) for b in store["basin"].values])
        total[rows] += series.loc[table.loc[rows, "basin_id"]].to_numpy()
        count[rows] += 1
    return total / count


def _panel(name: str, variable: xr.DataArray, frame: pd.DataFrame) -> Recovery:
    """One parameter; without declared bounds the axes span the values."""
    values = frame[["true", "learned"]].to_numpy()
    lower = float(variable.attrs.get("lower", values.min()))
    upper = float(variable.attrs.get("upper", values.max()))
    unit = str(variable.attrs.get("units", "1"))
    return Recovery(name, unit, lower, upper, by_group(frame, "true"), by_group(frame, "learned"))


def _read_truth(path: Path, **options: object) -> pd.DataFrame:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; generate the synthetic dataset again")
    dtype = {"basin_id": str}
    table: pd.DataFrame = pd.read_csv(path, dtype=dtype, **options)  # type: ignore[call-overload]
    return table


def _check(path: Path, have: pd.Index, wanted: pd.Series) -> None:
    missing = sorted(set(wanted) - set(have))
    if missing:
        raise ValueError(
            f"{path}: expected the truth of every scored basin, but {missing[:3]} are missing;"
            " is it that of another dataset?"
        )
