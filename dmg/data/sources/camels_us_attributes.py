"""The attribute tables of CAMELS-US v2.0 (Addor et al. 2017, doi:10.5194/hess-21-5293-2017)."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd

STATIC_COLUMNS = {  # the area in a forcing file's header is another one: never use it
    "area": "area_gages2",
    "elevation": "elev_mean",
    "latitude": "gauge_lat",
    "longitude": "gauge_lon",
}
TEXT = (
    "huc_02", "gauge_name", "high_prec_timing", "low_prec_timing", "geol_1st_class",
    "geol_2nd_class", "dom_land_cover",
)  # fmt: skip
UNITS = {
    "gauge_lat": "degrees_north", "gauge_lon": "degrees_east", "elev_mean": "m",
    "slope_mean": "m km-1", "area_gages2": "km2", "area_geospa_fabric": "km2",
    "p_mean": "mm d-1", "pet_mean": "mm d-1", "p_seasonality": "1", "frac_snow": "1",
    "aridity": "1", "high_prec_freq": "d yr-1", "high_prec_dur": "d", "low_prec_freq": "d yr-1",
    "low_prec_dur": "d", "q_mean": "mm d-1", "runoff_ratio": "1", "slope_fdc": "1",
    "baseflow_index": "1", "stream_elas": "1", "q5": "mm d-1", "q95": "mm d-1",
    "high_q_freq": "d yr-1", "high_q_dur": "d", "low_q_freq": "d yr-1", "low_q_dur": "d",
    "zero_q_freq": "1", "hfd_mean": "d", "frac_forest": "1", "lai_max": "1", "lai_diff": "1",
    "gvf_max": "1", "gvf_diff": "1", "dom_land_cover_frac": "1", "root_depth_50": "m",
    "root_depth_99": "m", "soil_depth_pelletier": "m", "soil_depth_statsgo": "m",
    "soil_porosity": "1", "soil_conductivity": "cm h-1", "max_water_content": "m",
    "sand_frac": "percent", "silt_frac": "percent", "clay_frac": "percent",
    "water_frac": "percent", "organic_frac": "percent", "other_frac": "percent",
    "glim_1st_class_frac": "1", "glim_2nd_class_frac": "1", "carbonate_rocks_frac": "1",
    "geol_porostiy": "1", "geol_permeability": "m2",
}  # fmt: skip
LONG_NAMES = {"geol_permeability": "decimal logarithm of the subsurface permeability"}


def read_attributes(folder: Path) -> pd.DataFrame:
    """Read every `camels_*.txt` of a folder: a row per basin, sorted, in the tables' own names.

    Columns are float64, or strings with `""` where missing. The canonical static variables come
    first. `frame.attrs["units"]` and `frame.attrs["long_names"]` describe the columns. A basin
    that one table lacks is an error.
    """
    tables = {path: _read(path) for path in sorted(folder.glob("camels_*.txt"))}
    topo = tables[folder / "camels_topo.txt"]
    _require_static(topo, folder / "camels_topo.txt")
    for path, table in tables.items():
        lacking = sorted(set(topo.index) - set(table.index))
        if lacking:
            raise ValueError(
                f"{path}: expected a row for every basin of camels_topo.txt, found none for"
                f" {lacking[0]} ({len(lacking)} missing)"
            )
    frame = pd.concat([t.loc[topo.index] for t in tables.values()], axis=1).sort_index()
    static = {name: frame[column] for name, column in STATIC_COLUMNS.items()}
    frame = pd.concat([pd.DataFrame(static), frame], axis=1)
    frame.attrs = {"units": UNITS, "long_names": LONG_NAMES}
    return frame


def _read(path: Path) -> pd.DataFrame:
    content = path.read_bytes()
    _require_whole(content.splitlines(), path)
    try:
        table = pd.read_csv(
            io.BytesIO(content), sep=";", dtype=dict.fromkeys(("gauge_id", *TEXT), "str")
        )
    except pd.errors.ParserError as error:
        raise ValueError(
            f"{path}: expected a table separated by ';': {str(error).strip()}"
        ) from None
    _require_rows(table, path)
    for name in table.columns.drop("gauge_id"):
        table[name] = _clean(table[name], path)
    return table.set_index("gauge_id")


def _require_whole(lines: list[bytes], path: Path) -> None:
    if len(lines) < 2:
        raise ValueError(
            f"{path}:{len(lines) + 1}: expected a header and rows, found"
            f" {'no rows' if lines else 'an empty file'}; fetch the file again"
        )
    width = lines[0].count(b";")
    for number, line in enumerate(lines, 1):
        if line.strip() and line.count(b";") < width:
            raise ValueError(
                f"{path}:{number}: expected {width + 1} values separated by ';',"
                f" found {line.count(b';') + 1}: truncated?"
            )


def _require_rows(table: pd.DataFrame, path: Path) -> None:
    if "gauge_id" not in table.columns:
        raise ValueError(
            f"{path}:1: expected the column gauge_id, found {', '.join(map(str, table.columns))}"
        )
    repeated = table["gauge_id"].duplicated().to_numpy()
    if repeated.any():
        row = int(repeated.argmax())
        raise ValueError(
            f"{path}:{row + 2}: basin {table['gauge_id'].iloc[row]} has a second row; remove one"
        )


def _clean(column: pd.Series[str], path: Path) -> pd.Series[str] | pd.Series[float]:
    """Numbers as float64, text without the blanks around it."""
    if column.name not in TEXT:
        numbers = pd.to_numeric(column, errors="coerce")
        bad = (numbers.isna() & column.notna()).to_numpy()
        if not bad.any():
            return numbers.astype("float64")
        if column.name in UNITS:
            row = int(bad.argmax())
            raise ValueError(
                f"{path}:{row + 2}: expected a number for {column.name}, found '{column.iloc[row]}'"
            )
    return column.fillna("").astype("str").str.strip()


def _require_static(topo: pd.DataFrame, path: Path) -> None:
    missing = [column for column in STATIC_COLUMNS.values() if column not in topo.columns]
    if missing:
        raise ValueError(
            f"{path}:1: expected the columns {', '.join(missing)},"
            f" found {', '.join(map(str, topo.columns))}"
        )
