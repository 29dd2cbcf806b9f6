"""Tiny CAMELS-US text trees in the official layout, with the quirks of each product."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

BASINS = ("01000001", "01000002", "02000003")
HEADERS = {
    "daymet": "Year Mnth Day Hr dayl(s) prcp(mm/day) srad(W/m2) swe(mm) tmax(C) tmin(C) vp(Pa)",
    "maurer_extended": "Year\tMnth\tDay\tHr\tdayl(s)\tprcp(mm/day)\tsrad(W/m2)\tswe(mm)"
    "\ttmax(C)\ttmin(C)\tvp(Pa)",
    "nldas": "Year Mnth Day Hr\tDayl(s)\tPRCP(mm/day)\tSRAD(W/m2)\tSWE(mm)\tTmax(C)\tTmin(C)"
    "\tVp(Pa)",
}
FILES = {"daymet": "cida", "maurer": "maurer", "maurer_extended": "maurer", "nldas": "nldas"}
TOPO = "gauge_id;gauge_lat;gauge_lon;elev_mean;slope_mean;area_gages2;area_geospa_fabric"
AREA = 100.0  # km2 of the first basin; the next ones have 200, 300, ...


def days(start: str, count: int) -> np.ndarray:
    return np.arange(start, np.datetime64(start) + count, dtype="datetime64[D]")


def write_tree(
    root: Path,
    basins: Sequence[str] = BASINS,
    *,
    product: str = "daymet",
    start: str = "2000-02-20",
    count: int = 400,
    seed: int = 0,
) -> Path:
    """Write forcing, streamflow and attributes of some basins; the folder is `root`."""
    rng = np.random.default_rng(seed)
    for basin in basins:
        write_forcing(root, basin, days(start, count), rng, product)
        write_flow(root, basin, days(start, count)[10:-5], rng)
    write_attributes(root, basins)
    return root


def forcing_path(root: Path, basin: str, product: str = "daymet") -> Path:
    name = f"{basin}_lump_{FILES[product]}_forcing_leap.txt"
    return root / "basin_mean_forcing" / product / "17" / name  # never the id's own HUC


def flow_path(root: Path, basin: str) -> Path:
    return root / "usgs_streamflow" / "09" / f"{basin}_streamflow_qc.txt"


def write_forcing(root, basin, dates, rng, product="daymet"):  # type: ignore[no-untyped-def]
    lines = ["  41.86", " 606.00", "234552619", HEADERS[product]]
    rain = rng.gamma(0.3, 8.0, len(dates))
    high = 10 - 15 * np.cos(2 * np.pi * np.arange(len(dates)) / 365) + rng.normal(0, 2, len(dates))
    for day, p, t in zip(dates, rain, high, strict=True):
        y, m, d = (int(x) for x in str(day).split("-"))
        date = f"{y}\t{m}\t{d}\t12" if product == "maurer_extended" else f"{y} {m:02d} {d:02d} 12"
        lines.append(f"{date}\t38000.00\t{p:.2f}\t250.50\t0.00\t{t:.2f}\t{t - 8:.2f}\t800.25")
    path = forcing_path(root, basin, product)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def write_flow(root, basin, dates, rng):  # type: ignore[no-untyped-def]
    flow = rng.gamma(2.0, 50.0, len(dates))
    lines = []
    for i, (day, q) in enumerate(zip(dates, flow, strict=True)):
        y, m, d = str(day).split("-")
        value, flag = (-999.0, "M") if i in (3, 4) else (q, "A:e" if i % 7 == 0 else "A")
        lines.append(f"{basin} {y} {m} {d} {value:8.2f} {flag}")
    path = flow_path(root, basin)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def write_attributes(root: Path, basins: Sequence[str]) -> None:
    tables = {name: [] for name in ("topo", "clim", "geol", "vege", "name")}
    for i, basin in enumerate(basins):
        area = AREA * (i + 1)
        tables["topo"].append(f"{basin};{40 + i}.5;-{70 + i}.25;{300 + i}.5;12.5;{area};{area * 2}")
        tables["clim"].append(f"{basin};{2 + i}.5;1.5;son")
        tables["geol"].append(f"{basin};Metamorphics;NA;0.1714")
        tables["vege"].append(f"{basin};0.9;    Mixed Forests;NA")
        tables["name"].append(f"{basin};01;River {i}, Maine")
    headers = {
        "topo": TOPO,
        "clim": "gauge_id;p_mean;pet_mean;high_prec_timing",
        "geol": "gauge_id;geol_1st_class;geol_2nd_class;geol_porostiy",
        "vege": "gauge_id;frac_forest;dom_land_cover;root_depth_50",
        "name": "gauge_id;huc_02;gauge_name",
    }
    folder = root / "camels_attributes_v2.0"
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        (folder / f"camels_{name}.txt").write_text("\n".join([headers[name], *rows]) + "\n")


def edit(path: Path, line: int, text: str | None) -> None:
    """Replace one line, counted from one as in an editor; None removes it."""
    lines = path.read_text().splitlines()
    lines[line - 1 : line] = [] if text is None else [text]
    path.write_text("\n".join(lines) + "\n")
