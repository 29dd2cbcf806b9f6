"""RAPID connectivity: a line per reach without a header (David et al. 2011, 10.1175/2011JHM1345.1).

The columns are reach, downstream reach (0: an outlet), number of upstream reaches, and their ids,
filled up with 0 or not. The format knows neither lengths nor areas: a file `reaches.csv` beside it
may add columns to `reach_id`: length [m], slope [1], area [km2], latitude, longitude [degrees], and
unit_area [km2], the catchment of the reach itself.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from dmg.data.network.tables import Tables, as_ids
from dmg.data.network.validate import contradictions

ADDED = "reaches.csv"
KNOWN = ("length", "slope", "area", "latitude", "longitude", "unit_area")


def read_tables(path: Path) -> Tables:
    """Read a connectivity file, or the only one (`*connect*.csv`) of a folder."""
    file = _only_file(path)
    table = _read(file)
    _check(table, file)
    reaches = pd.DataFrame({"reach_id": as_ids(table[0]), "downstream_id": as_ids(table[1])})
    reaches = reaches.assign(length=np.nan, slope=np.nan)
    if not (file.parent / ADDED).is_file():
        return Tables(reaches)
    reaches = _add(reaches, file.parent / ADDED)
    if "unit_area" not in reaches:
        return Tables(reaches)
    places = reaches.columns.intersection(["latitude", "longitude"])
    units = reaches[["reach_id", "unit_area", *places]].rename(columns={"unit_area": "area"})
    return Tables(reaches.drop(columns="unit_area"), units.assign(unit_id=units["reach_id"]))


def _only_file(path: Path) -> Path:
    found = [path] if path.is_file() else sorted(path.glob("*connect*.csv"))
    if len(found) != 1:
        raise ValueError(
            f"{path}: expected one connectivity file (*connect*.csv), found {len(found)}"
        )
    return found[0]


def _read(file: Path) -> pd.DataFrame:
    """Read lines of any number of upstream reaches, filled up with 0."""
    with file.open(encoding="utf-8") as lines:
        width = 1 + max((line.count(",") for line in lines), default=0)
    table = pd.read_csv(file, header=None, names=list(range(width)))
    table[table.columns[3:]] = table[table.columns[3:]].fillna(0).convert_dtypes()
    return table


def _check(table: pd.DataFrame, file: Path) -> None:
    """Check that the list of upstream reaches says what the downstream reach says."""
    if table.shape[1] < 3 or not all(pd.api.types.is_integer_dtype(kind) for kind in table.dtypes):
        raise ValueError(
            f"{file}: expected whole numbers (reach, downstream reach, number of upstream reaches,"
            " their ids) and no header, found something else"
        )
    lists = table.rename(columns={0: "downstream_id"})
    stated = lists.melt("downstream_id", list(range(3, table.shape[1])), value_name="reach_id")
    linked = table.loc[table[1] != 0, [0, 1]].set_axis(["reach_id", "downstream_id"], axis=1)
    odd = contradictions(stated[stated["reach_id"] != 0], linked)
    if odd:
        raise ValueError(
            f"{file}: expected lists of upstream reaches that say the same as the downstream reach,"
            f" found {len(odd)} links in one alone, the first {odd[0]}; mend the file"
        )


def _add(reaches: pd.DataFrame, file: Path) -> pd.DataFrame:
    added = pd.read_csv(file)
    unknown = sorted(set(added.columns) - {"reach_id", *KNOWN})
    if "reach_id" not in added or unknown:
        raise ValueError(
            f"{file}: expected columns reach_id and some of {', '.join(KNOWN)}, found"
            f" {', '.join(added.columns)}"
        )
    added["reach_id"] = as_ids(added["reach_id"])
    kept = reaches.drop(columns=added.columns.intersection(["length", "slope"]))
    return kept.merge(added, how="left", on="reach_id", validate="one_to_one")
