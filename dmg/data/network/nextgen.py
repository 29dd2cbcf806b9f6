"""NextGen hydrofabric GeoPackage (v2): flowpaths that meet in nexus points, divides, gauges.

A flowpath (wb-1) flows into a nexus (nex-2), which flows into a flowpath; layer `network` has both
links as id, toid, and gauges as `hl_uri` (gages-01234567). Slopes (So) come from the layer of
flowpath attributes where the file has one (Johnson 2022, National Hydrologic Geospatial Fabric,
hydroshare.org/resource/129787b468aa4d55ace7b124ed27dbde).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyogrio

from dmg.data.network.tables import Tables
from dmg.data.network.vector import read_centres, read_columns

ATTRIBUTES = ("flowpath-attributes", "flowpath_attributes")


def read_tables(path: Path) -> Tables:
    """Read a GeoPackage, or the only one of a folder."""
    file = _only_file(path)
    layers = [str(name) for name, _ in pyogrio.list_layers(file)]
    missing = [name for name in ("flowpaths", "divides", "network") if name not in layers]
    if missing:
        raise ValueError(
            f"{file}: expected layers flowpaths, divides, network, found no {', '.join(missing)}"
        )
    links = read_columns(file, ("id", "toid", "hl_uri"), "network")
    reaches = _reaches(file, links)
    slopes = next((name for name in ATTRIBUTES if name in layers), None)
    if slopes:
        known = read_columns(file, ("id", "So"), slopes).drop_duplicates("id").set_index("id")["So"]
        reaches["slope"] = reaches["reach_id"].map(known)
    return Tables(reaches, _units(file, reaches), _gauges(links, reaches))


def _only_file(path: Path) -> Path:
    found = [path] if path.is_file() else sorted(path.glob("*.gpkg"))
    if len(found) != 1:
        raise ValueError(f"{path}: expected one GeoPackage (*.gpkg), found {len(found)}")
    return found[0]


def _reaches(file: Path, links: pd.DataFrame) -> pd.DataFrame:
    names = {
        "id": "reach_id",
        "toid": "nexus",
        "lengthkm": "length",
        "tot_drainage_areasqkm": "area",
    }
    table = read_columns(file, names, "flowpaths").rename(columns=names)
    nexus = links.dropna(subset=["toid"]).drop_duplicates("id").set_index("id")["toid"]
    ahead = table["nexus"].map(nexus).fillna("").replace("wb-0", "")  # what a last nexus names
    return pd.concat(
        [
            table.drop(columns="nexus").assign(
                downstream_id=ahead, length=table["length"] * 1000, slope=float("nan")
            ),
            read_centres(file, "flowpaths"),
        ],
        axis=1,
    )


def _units(file: Path, reaches: pd.DataFrame) -> pd.DataFrame:
    """Divides of the coast and of closed basins have no flowpath: they are off the network."""
    names = {"divide_id": "unit_id", "id": "reach_id", "areasqkm": "area"}
    table = read_columns(file, names, "divides").rename(columns=names)
    table["reach_id"] = table["reach_id"].where(table["reach_id"].isin(reaches["reach_id"]), "")
    return pd.concat([table, read_centres(file, "divides")], axis=1)


def _gauges(links: pd.DataFrame, reaches: pd.DataFrame) -> pd.DataFrame:
    """Of several flowpaths that name one gauge, take the lowest: the largest area."""
    named = links.dropna(subset=["hl_uri"]).drop_duplicates(["id", "hl_uri"])
    named = named[named["hl_uri"].str.lower().str.startswith("gages-")]
    table = pd.DataFrame(
        {"gauge_id": named["hl_uri"].str.slice(len("gages-")), "reach_id": named["id"]}
    )
    area = table["reach_id"].map(reaches.set_index("reach_id")["area"])
    order = area.sort_values(ascending=False, na_position="last").index
    return table.loc[order].drop_duplicates("gauge_id").sort_values("gauge_id")
