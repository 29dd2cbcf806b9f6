"""The National Hydrologic Model v1.1 of the conterminous US: segments, response units, gauges.

A folder of files `<name>.csv` with the columns `$id,<name>` (Regan et al. 2018, 10.3133/tm6B9;
data: 10.5066/P971JAGF). Areas are in acres; segments are numbered from 1, and 0 is none.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dmg.data.network.tables import Tables, as_ids
from dmg.data.network.validate import listed

SINK = 9  # segment_type, hundreds aside: a river that ends on land
ACRE = 0.0040468564224  # [km2]


def read_tables(tree: Path) -> Tables:
    """Read a folder of parameter files; the folder may hold them in `nhm_v11/`."""
    folder = next((d for d in (tree, tree / "nhm_v11") if (d / "tosegment.csv").is_file()), tree)
    segments, units, gauges = (
        _columns(folder, names)
        for names in (
            {"reach_id": "nhm_seg", "downstream_id": "tosegment", "length": "seg_length",
             "slope": "seg_slope", "area": "seg_cum_area"},
            {"unit_id": "nhm_id", "reach_id": "hru_segment", "area": "hru_area",
             "latitude": "hru_lat", "longitude": "hru_lon", "elevation": "hru_elev"},
            {"gauge_id": "poi_gage_id", "reach_id": "poi_gage_segment"},
        )
    )  # fmt: skip
    for table in (segments, units):
        table["area"] = table["area"].astype(float) * ACRE
    return Tables(segments, units, gauges, _sinks(folder, segments))


def _sinks(folder: Path, segments: pd.DataFrame) -> list[str]:
    """Say that the source lets closed basins flow on, the Great Basin into the Colorado."""
    if not (folder / "segment_type.csv").is_file():
        return []
    sink = (_read(folder, "segment_type") % 100 == SINK) & (segments["downstream_id"] != "")
    links = segments["reach_id"][sink] + " -> " + segments["downstream_id"][sink]
    return listed(
        links, "segments where rivers end (segment_type 9) flow on", "links are kept as delivered"
    )


def _columns(folder: Path, names: dict[str, str]) -> pd.DataFrame:
    table = pd.DataFrame({column: _read(folder, name) for column, name in names.items()})
    for column in table:
        if str(column).endswith("_id") and column != "gauge_id":
            table[column] = as_ids(table[column])
    return table


def _read(folder: Path, name: str) -> pd.Series[str] | pd.Series[float]:
    path = folder / f"{name}.csv"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a parameter file of the NHM, found none")
    kind = {name: str} if name == "poi_gage_id" else None
    table = pd.read_csv(path, dtype=kind)
    if list(table.columns) != ["$id", name]:
        raise ValueError(f"{path}: expected columns $id,{name}, found {','.join(table.columns)}")
    return table[name]
