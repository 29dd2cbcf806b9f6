"""Attributes of the units of the National Hydrologic Model v1.1: CSV files `<name>.csv`.

USGS, doi:10.5066/P971JAGF; names, units and meanings as in PRMS (Markstrom et al. 2015,
doi:10.3133/tm6B7).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ATTRIBUTES = {
    "hru_slope": ("1", "mean slope, rise over run"),
    "hru_aspect": ("degree", "mean aspect, clockwise from north"),
    "hru_percent_imperv": ("1", "fraction of impervious ground"),
    "hru_type": (None, "0 inactive, 1 land, 2 lake, 3 swale"),
    "cov_type": (None, "cover: 0 bare, 1 grass, 2 shrub, 3 tree, 4 conifer"),
    "covden_sum": ("1", "fraction covered by vegetation in summer"),
    "covden_win": ("1", "fraction covered by vegetation in winter"),
    "srain_intcp": ("inch", "interception of rain in summer"),
    "wrain_intcp": ("inch", "interception of rain in winter"),
    "snow_intcp": ("inch", "interception of snow"),
    "rad_trncf": ("1", "fraction of radiation that winter vegetation lets through"),
    "soil_type": (None, "soil: 1 sand, 2 loam, 3 clay"),
    "soil_moist_max": ("inch", "water that the root zone can hold"),
    "soil_rechr_max_frac": ("1", "part of it in the upper zone"),
    "carea_max": ("1", "largest part of the unit that gives surface runoff"),
    "dprst_frac": ("1", "fraction of surface depressions"),
    "gwflow_coef": ("d-1", "outflow of groundwater over its storage"),
    "jh_coef_hru": ("degF", "temperature of the Jensen-Haise formula, by unit"),
}
"""Unit and meaning of each file that has a value per unit."""


def read_attributes(tree: Path, units: NDArray[np.str_]) -> pd.DataFrame:
    """Read the attributes that are there, a row per unit.

    Parameters
    ----------
    tree
        Folder of the CSV files, or of `nhm_v11/` with them.
    units
        Ids of the units `[U]`, in the wanted order.
    """
    inner = tree / "nhm_v11"
    folder = inner if inner.is_dir() else tree
    files = {name: folder / f"{name}.csv" for name in ATTRIBUTES}
    columns = {name: _read(path, units) for name, path in files.items() if path.is_file()}
    frame = pd.DataFrame(columns, index=units)
    frame.attrs = {
        "units": {name: unit for name, (unit, _) in ATTRIBUTES.items() if unit},
        "long_names": {name: text for name, (_, text) in ATTRIBUTES.items()},
    }
    return frame


def _read(path: Path, units: NDArray[np.str_]) -> NDArray[np.float64]:
    table = pd.read_csv(path, index_col=0)
    column = table[path.stem].set_axis(table.index.astype(str)).reindex(units)
    if column.isna().any():
        lost = column.index[column.isna()][0]
        raise ValueError(
            f"{path}: expected a value of every unit, found none of {lost}; is the file whole?"
        )
    return column.to_numpy(np.float64)
