"""Attribute tables of GeoPackages, shapefiles and CSV files, and where their features lie."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
import pyogrio

FORMS = (".csv", ".gpkg", ".shp")


def find_files(path: Path, what: str) -> list[Path]:
    """Give the file itself, or the files of a known form in a folder and its folders, sorted."""
    paths = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    found = [p for p in paths if p.suffix.lower() in FORMS]
    if not found:
        raise FileNotFoundError(
            f"{path}: expected {what} ({', '.join(FORMS)}), found none; check the path"
        )
    return found


def columns_of(path: Path, layer: str | None = None) -> list[str]:
    """Names of the columns, without reading the rows."""
    if path.suffix.lower() == ".csv":
        return [str(name) for name in pd.read_csv(path, nrows=0).columns]
    return [str(name) for name in pyogrio.read_info(path, layer=layer)["fields"]]


def read_columns(path: Path, names: Iterable[str], layer: str | None = None) -> pd.DataFrame:
    """Read some columns of a table, in the order asked for; missing ones are an error."""
    names = list(names)
    missing = [name for name in names if name not in columns_of(path, layer)]
    if missing:
        where = f"{path}, layer {layer}" if layer else f"{path}"
        raise ValueError(f"{where}: expected columns {', '.join(names)}, found no {missing[0]}")
    if path.suffix.lower() == ".csv":
        return pd.read_csv(path, usecols=names)[names]
    about, _, _, values = pyogrio.raw.read(path, layer=layer, columns=names, read_geometry=False)
    return pd.DataFrame(dict(zip(about["fields"], values, strict=True)))[names]


def read_centres(path: Path, layer: str | None = None) -> pd.DataFrame:
    """Give the middle of each feature's bounding box: latitude, longitude [degrees], row by row.

    Nothing (no columns) for tables without shapes. A GeoPackage may be in any projection; other
    files are taken to be in degrees.
    """
    if (
        path.suffix.lower() == ".csv"
        or pyogrio.read_info(path, layer=layer)["geometry_type"] is None
    ):
        return pd.DataFrame()
    if path.suffix.lower() == ".gpkg":
        west, east, south, north = _degrees(path, layer)
    else:
        west, south, east, north = pyogrio.read_bounds(path, layer=layer)[1]
    return pd.DataFrame({"latitude": (south + north) / 2, "longitude": (west + east) / 2})


def _degrees(path: Path, layer: str | None) -> Sequence[pd.Series[float]]:
    """Let GDAL's own SQL functions of GeoPackages turn any projection into degrees."""
    about = pyogrio.read_info(path, layer=layer)
    shape = f'ST_Transform("{about["geometry_name"]}", 4326)'
    sides = ", ".join(f"ST_{side}({shape})" for side in ("MinX", "MaxX", "MinY", "MaxY"))
    query = f'SELECT {sides} FROM "{about["layer_name"]}"'  # names are the file's own
    return list(pyogrio.raw.read(path, sql=query, read_geometry=False)[3])
