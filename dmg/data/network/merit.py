"""MERIT-Basins: one table of rivers and one of catchments per region, or both in one table.

Rivers have COMID, NextDownID (0: an outlet), up1-up4, lengthkm, slope, uparea [km2]; catchments
have COMID and unitarea [km2]; each river has one catchment (Lin et al. 2019,
10.1029/2019WR025287). Files are CSV, shapefiles or GeoPackages; all regions of a folder make one
network.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dmg.data.network.tables import Tables, as_ids
from dmg.data.network.validate import contradictions
from dmg.data.network.vector import columns_of, find_files, read_centres, read_columns

RIVER = {
    "COMID": "reach_id",
    "NextDownID": "downstream_id",
    "lengthkm": "length",
    "slope": "slope",
    "uparea": "area",
}
UPSTREAM = ("up1", "up2", "up3", "up4")
CATCHMENT = {"COMID": "unit_id", "unitarea": "area"}


def read_tables(path: Path) -> Tables:
    """Read a file, or all files of a folder."""
    files = find_files(path, "tables of MERIT-Basins")
    rivers = [f for f in files if "NextDownID" in columns_of(f)]
    catchments = [f for f in files if "unitarea" in columns_of(f)]
    for found, column in ((rivers, "NextDownID"), (catchments, "unitarea")):
        if not found:
            raise ValueError(f"{path}: expected a table with a column {column}, found none")
    reaches = _read(rivers, {**RIVER, **{name: name for name in UPSTREAM}})
    reaches["length"] *= 1000
    _check_upstream(reaches, path)
    units = _read(catchments, CATCHMENT)
    units["reach_id"] = units["unit_id"]
    return Tables(reaches.drop(columns=list(UPSTREAM)), units)


def _read(files: list[Path], names: dict[str, str]) -> pd.DataFrame:
    parts = [pd.concat([read_columns(f, names), read_centres(f)], axis=1) for f in files]
    table = pd.concat(parts, ignore_index=True).rename(columns=names)
    for name in table.columns.intersection(["reach_id", "downstream_id", "unit_id", *UPSTREAM]):
        table[name] = as_ids(table[name])
    return table


def _check_upstream(reaches: pd.DataFrame, path: Path) -> None:
    """Check that up1-up4 say what NextDownID says."""
    ends = reaches.rename(columns={"reach_id": "downstream_id", "downstream_id": "next"})
    stated = ends.melt("downstream_id", list(UPSTREAM), value_name="reach_id")
    linked = reaches.loc[reaches["downstream_id"] != "", ["reach_id", "downstream_id"]]
    odd = contradictions(stated[stated["reach_id"] != ""], linked)
    if odd:
        raise ValueError(
            f"{path}: expected up1-up4 to say the same as NextDownID, found {len(odd)} links in one"
            f" alone, the first {odd[0]}; mend the table"
        )
