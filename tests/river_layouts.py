"""One small network in every layout that there is a reader for.

a   b
 \\ /
  c   d
   \\ /
    e
"""

import struct
from pathlib import Path

import numpy as np
import pandas as pd
from pyogrio import raw

FRAME = pd.DataFrame(
    {
        "id": [74000011, 74000012, 74000013, 74000014, 74000015],  # a b c d e
        "down": [74000013, 74000013, 74000015, 74000015, 0],
        "length": [4.0, 6.0, 5.0, 8.0, 7.0],  # [km]
        "slope": [0.005, 0.003, 0.002, 0.0015, 0.0005],
        "unit": [40.0, 30.0, 10.0, 50.0, 20.0],  # [km2]
        "area": [40.0, 30.0, 80.0, 50.0, 150.0],
        "longitude": [-96.2, -96.0, -96.1, -95.9, -96.0],
        "latitude": [41.2, 41.2, 41.1, 41.1, 41.0],
    }
)
A, B, C, D, E = range(5)


def upstream(row: int) -> list[int]:
    """Ids of the reaches directly upstream."""
    return FRAME["id"][FRAME["down"] == FRAME["id"][row]].tolist()


def write_nhm(folder: Path) -> Path:
    """Parameter files: c has two units, one is off the network, two gauges; areas in acres."""
    folder.mkdir()
    acre = 0.0040468564224
    hru = pd.DataFrame(
        {
            "hru_segment": [1, 2, 3, 3, 4, 5, 0],
            "hru_area": np.array([40.0, 30.0, 5.0, 5.0, 50.0, 20.0, 9.0]) / acre,
            "hru_lat": [41.2, 41.2, 41.0, 41.2, 41.1, 41.0, 45.0],
            "hru_lon": [-96.2, -96.0, -96.1, -96.1, -95.9, -96.0, -70.0],
            "hru_elev": 300.0,
            "nhm_id": range(1, 8),
        }
    )
    segment = pd.DataFrame(
        {
            "nhm_seg": range(1, 6),
            "tosegment": [3, 3, 5, 5, 0],
            "seg_length": FRAME["length"] * 1000,
            "seg_slope": FRAME["slope"],
            "seg_cum_area": FRAME["area"] / acre,
        }
    )
    gauge = pd.DataFrame({"poi_gage_id": ["01010500", "02AB003"], "poi_gage_segment": [3, 5]})
    for name, values in [*hru.items(), *segment.items(), *gauge.items()]:
        rows = values.rename(str(name)).set_axis(range(1, len(values) + 1))
        rows.to_csv(folder / f"{name}.csv", index_label="$id")
    return folder


def merit_rivers() -> pd.DataFrame:
    ups = [(upstream(i) + [0] * 4)[:4] for i in range(5)]
    return pd.DataFrame(
        {
            "COMID": FRAME["id"],
            "lengthkm": FRAME["length"],
            "slope": FRAME["slope"],
            "uparea": FRAME["area"],
            "NextDownID": FRAME["down"],
            "maxup": [len(upstream(i)) for i in range(5)],
            **{f"up{k + 1}": [up[k] for up in ups] for k in range(4)},
        }
    )


def merit_catchments() -> pd.DataFrame:
    return pd.DataFrame({"COMID": FRAME["id"], "unitarea": FRAME["unit"]})


def write_merit_csv(folder: Path) -> Path:
    """One table with rivers and catchments."""
    folder.mkdir()
    both = merit_rivers().assign(unitarea=FRAME["unit"])
    both.to_csv(folder / "merit.csv", index=False)
    return folder


def write_merit_shapes(folder: Path, suffix: str = ".shp") -> Path:
    """Files of rivers and of catchments, rivers in two regions."""
    folder.mkdir()
    rivers, driver = merit_rivers(), {".shp": "ESRI Shapefile", ".gpkg": "GPKG"}[suffix]
    for region, rows in (("71", slice(0, 3)), ("72", slice(3, 5))):
        write_shapes(folder / f"riv_pfaf_{region}{suffix}", rivers[rows], "LineString", driver)
    write_shapes(folder / f"cat_pfaf_7{suffix}", merit_catchments(), "Polygon", driver)
    return folder


def write_shapes(path: Path, table: pd.DataFrame, kind: str, driver: str) -> None:
    places = FRAME.loc[table.index, ["longitude", "latitude"]].to_numpy()
    write_layer(path, path.stem, table, kind, "EPSG:4326", places, 0.05, driver)


def write_layer(
    path: Path,
    layer: str,
    table: pd.DataFrame,
    kind: str | None,
    crs: str | None = None,
    places: np.ndarray | None = None,
    size: float = 0.0,
    driver: str = "GPKG",
) -> None:
    """Write one layer; its shapes are diagonals or squares around the places."""
    shapes = None
    if places is not None:
        draw = _diagonal if kind == "LineString" else _square
        shapes = np.array([draw(x, y, size) for x, y in places], dtype=object)
    raw.write(
        path,
        geometry=shapes,
        field_data=[_plain(table[name]) for name in table],
        fields=[str(name) for name in table],
        layer=layer,
        driver=driver,
        geometry_type=kind,
        crs=crs,
    )


def _plain(column: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy()
    return column.astype(object).where(column.notna(), None).to_numpy(object)


def _diagonal(x: float, y: float, size: float) -> bytes:
    points = [(x - size, y - size), (x + size, y + size)]
    return struct.pack("<BII", 1, 2, 2) + b"".join(struct.pack("<dd", *p) for p in points)


def _square(x: float, y: float, size: float) -> bytes:
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]
    ring = b"".join(struct.pack("<dd", x + i * size, y + j * size) for i, j in corners)
    return struct.pack("<BII", 1, 3, 1) + struct.pack("<I", 5) + ring


def write_nextgen(folder: Path, slopes: str | None = "flowpath-attributes") -> Path:
    """A hydrofabric in Conus Albers: nexus points, a divide of the coast, a gauge."""
    folder.mkdir()
    path = folder / "hydrofabric.gpkg"
    ids = [f"wb-{i}" for i in range(1, 6)]
    toid = ["nex-3", "nex-3", "nex-5", "nex-5", "tnx-9"]
    x = [-16_000.0, 0.0, -8_000.0, 8_000.0, 0.0]  # [m] from 96 degrees west
    y = [2_022_000.0, 2_022_000.0, 2_011_000.0, 2_011_000.0, 2_000_000.0]
    flowpaths = pd.DataFrame(
        {
            "id": ids,
            "toid": toid,
            "lengthkm": FRAME["length"],
            "areasqkm": FRAME["unit"],
            "tot_drainage_areasqkm": FRAME["area"],
        }
    )
    divides = pd.DataFrame(
        {
            "divide_id": [f"cat-{i}" for i in range(1, 7)],
            "id": [*ids, None],
            "areasqkm": [*FRAME["unit"], 3.0],
            "type": ["network"] * 5 + ["coastal"],
        }
    )
    network = pd.DataFrame(
        {
            "id": [*ids, "wb-1", "wb-3", "wb-5", "nex-3", "nex-5", "tnx-9"],
            "toid": [*toid, "nex-3", "nex-5", "tnx-9", "wb-3", "wb-5", "wb-0"],
            "hl_uri": [None, "nid-7", "gages-01010500", *[None] * 3, "gages-01010500",
                       "gages-01010500", None, None, None],
        }
    )  # fmt: skip
    places = np.stack([x, y], axis=1)
    write_layer(path, "flowpaths", flowpaths, "LineString", "EPSG:5070", places, 1000.0)
    coast = np.vstack([places, [[50_000.0, 1_990_000.0]]])
    write_layer(path, "divides", divides, "Polygon", "EPSG:5070", coast, 1000.0)
    write_layer(path, "network", network, None)
    if slopes:
        write_layer(path, slopes, pd.DataFrame({"id": ids, "So": FRAME["slope"]}), None)
    return folder


def write_rapid(folder: Path, properties: bool = True) -> Path:
    """Connectivity without a header, and a table of what it does not know."""
    folder.mkdir()
    rows = pd.DataFrame(
        {
            0: FRAME["id"],
            1: FRAME["down"],
            2: [len(upstream(i)) for i in range(5)],
            **{k + 3: [(upstream(i) + [0] * 4)[k] for i in range(5)] for k in range(4)},
        }
    )
    rows.to_csv(folder / "rapid_connect.csv", header=False, index=False)
    if properties:
        FRAME.assign(length=FRAME["length"] * 1000).rename(
            columns={"id": "reach_id", "unit": "unit_area"}
        ).drop(columns="down").to_csv(folder / "reaches.csv", index=False)
    return folder
