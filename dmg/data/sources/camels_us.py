"""CAMELS-US in the layout of its official download: daily text files and attribute tables.

Newman et al. (2015), doi:10.5194/hess-19-209-2015; Addor et al. (2017),
doi:10.5194/hess-21-5293-2017. Forcing products lie in `basin_mean_forcing/<product>/<huc>/`,
discharge in `usgs_streamflow/<huc>/`, attributes in `camels_attributes_v2.0/`. The folder `<huc>`
is not always the start of the gauge id, so files are found by name.
"""

from __future__ import annotations

import filecmp
import hashlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dmg.data.basins import match_basins
from dmg.data.sources.camels_us_attributes import read_attributes
from dmg.data.sources.text import DATE, TextTable
from dmg.data.variables import DYNAMIC

logger = logging.getLogger(__name__)

CUBIC_FEET = 0.028316846592  # m3, exact: 0.3048 ** 3
MISSING_FLOW = -999.0
FORCING_HEADER = 4  # latitude, elevation, area, column names
DATE_COLUMNS = {"year": "year", "mnth": "month", "day": "day"}
FORCING_COLUMNS = {  # as printed, lower case: NLDAS prints some in upper case
    "prcp(mm/day)": "precipitation",
    "tmin(c)": "temperature_min",
    "tmax(c)": "temperature_max",
    "srad(w/m2)": "shortwave",
    "vp(pa)": "vapour_pressure",
    "dayl(s)": "daylength",
}
FLOW_COLUMNS = ("basin", *DATE, "discharge", "flag")


class CamelsUs:
    """The raw files of one forcing product.

    Parameters
    ----------
    tree
        Folder that holds `basin_mean_forcing/` at any depth.
    product
        Folder under `basin_mean_forcing/`: `daymet`, `maurer`, `maurer_extended`, ...

    Attributes
    ----------
    origin
        Folder of the forcing files, for messages.
    about
        The product.
    variables
        Forcings and discharge.
    """

    variables = tuple(DYNAMIC)

    def __init__(self, tree: Path, product: str) -> None:
        root = find_root(tree)
        forcing = root / "basin_mean_forcing" / product
        if not forcing.is_dir():
            there = sorted(p.name for p in forcing.parent.iterdir() if p.is_dir())
            raise ValueError(
                f"product '{product}': expected the folder {forcing}, found {', '.join(there)};"
                " choose one of these or add the product"
            )
        self.origin = str(forcing)
        self.about = {"product": product}
        self._forcing = _index(forcing, "_forcing_leap.txt")
        self._flow = _index(root / "usgs_streamflow", "_streamflow_qc.txt")
        self._attributes = read_attributes(_find_attributes(tree, root))
        if not self._forcing:
            raise ValueError(
                f"{forcing}: expected files <id>_lump_*_forcing_leap.txt there or below, found none"
            )

    def choose(self, wanted: Sequence[str] | None) -> list[str]:
        """Sorted ids of the wanted basins; none: of all that have their three kinds of data.

        A wanted basin without a file or an attribute row is an error; otherwise it is left out
        with a warning.
        """
        known = sorted(self._forcing)
        basins = known if wanted is None else match_basins(wanted, known, self.origin)
        lacking = {basin: lack for basin in basins if (lack := self._lacks(basin))}
        if wanted is not None and lacking:
            basin, lack = next(iter(lacking.items()))
            raise ValueError(
                f"basin {basin}: expected forcing, discharge and attributes, found {lack};"
                " remove it from the list or add the data"
            )
        for basin, lack in lacking.items():
            logger.warning("basin %s: left out, found %s", basin, lack)
        return sorted(set(basins) - set(lacking))

    def _lacks(self, basin: str) -> str:
        flow = "" if basin in self._flow else "no file usgs_streamflow/*/*_streamflow_qc.txt"
        row = "" if basin in self._attributes.index else "no row in the attribute tables"
        return " and ".join(filter(None, (flow, row)))

    def span(self, basins: Sequence[str]) -> tuple[np.datetime64, np.datetime64]:
        """Days that any basin's forcing covers; tell of the basins that cover fewer."""
        spans = {basin: self.days_of(basin) for basin in basins}
        start, end = min(s for s, _ in spans.values()), max(e for _, e in spans.values())
        for basin, (first, last) in spans.items():
            if (first, last) != (start, end):
                logger.warning(
                    "basin %s: forcing from %s to %s, others from %s to %s; is its file whole?",
                    basin, first, last, start, end,
                )  # fmt: skip
        return start, end

    def days_of(self, basin: str) -> tuple[np.datetime64, np.datetime64]:
        """First and last day of a basin's forcing, read without parsing the rows between."""
        path = self._file(self._forcing, basin)
        table = TextTable.read(path, FORCING_HEADER)
        names = _forcing_names(table)
        try:
            first, last = (_day(dict(zip(names, row, strict=True))) for row in table.ends())
        except ValueError:  # parse it all: either it is well, or the error names the line
            days = read_forcing(path).index.to_numpy("datetime64[D]")
            return days[0], days[-1]
        return first, last

    def fingerprints(self, basins: Sequence[str]) -> list[str]:
        """sha256 over the forcing file and the discharge file of each basin."""
        return [self._fingerprint(basin) for basin in basins]

    def _fingerprint(self, basin: str) -> str:
        digest = hashlib.sha256()
        for index in (self._forcing, self._flow):
            digest.update(self._file(index, basin).read_bytes())
        return digest.hexdigest()

    def blocks(
        self, basins: Sequence[str], days: NDArray[np.datetime64]
    ) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Give each variable `[B, T]`; a text file has all of them, so all are read first."""
        found = {n: np.empty((len(basins), len(days)), np.float32) for n in self.variables}
        for row, basin in enumerate(basins):
            for name, values in self.series(basin, days).items():
                found[name][row] = values
        yield from found.items()

    def peak_mb(self, num_basins: int, num_days: int) -> float:
        """All variables of a block, and the text of one file, about as large as ten series."""
        return 4e-6 * num_days * (num_basins * len(self.variables) + 10 * 20)

    def series(self, basin: str, days: NDArray[np.datetime64]) -> dict[str, NDArray[np.float32]]:
        """Dynamic variables `[T]` on consecutive `days`, in canonical units, `NaN` if missing."""
        found = read_forcing(self._file(self._forcing, basin))
        flow = read_flow(self._file(self._flow, basin))
        columns = {name: found[name] for name in found.columns} | {"discharge": flow}
        return {name: _on_days(column, days) for name, column in columns.items()}

    def attributes(self, basins: Sequence[str]) -> pd.DataFrame:
        """Give static variables and attributes, a row per basin, units in `frame.attrs`."""
        rows = self._attributes.loc[list(basins)]
        rows.attrs = dict(self._attributes.attrs)
        return rows

    def _file(self, index: Mapping[str, list[Path]], basin: str) -> Path:
        first, *others = index[basin]
        for other in others:
            if not filecmp.cmp(first, other, shallow=False):
                raise ValueError(
                    f"basin {basin}: expected one file, found two that differ: {first} and {other};"
                    " remove the wrong one"
                )
        return first


def find_root(tree: Path) -> Path:
    """Folder in or under `tree` that holds `basin_mean_forcing/`."""
    for folder, names, _ in os.walk(tree):
        if "basin_mean_forcing" in names:
            return Path(folder)
        names[:] = sorted(n for n in names if n not in ("usgs_streamflow", "__MACOSX"))
    raise ValueError(
        f"{tree}: expected a folder basin_mean_forcing/ in it or below, found none;"
        " is this CAMELS-US time series data?"
    )


def _find_attributes(tree: Path, root: Path) -> Path:
    """Folder of the attribute tables: in the tree, or beside the folders that lead to it."""
    for folder, names, files in os.walk(tree):
        if "camels_topo.txt" in files:
            return Path(folder)
        names[:] = sorted(n for n in names if n not in ("basin_mean_forcing", "usgs_streamflow"))
    for parent in root.resolve().parents[:3]:
        if (parent / "camels_attributes_v2.0" / "camels_topo.txt").is_file():
            return parent / "camels_attributes_v2.0"
    raise ValueError(
        f"{tree}: expected the folder camels_attributes_v2.0/ with camels_topo.txt, found none;"
        " put the attribute tables there"
    )


def _index(folder: Path, ending: str) -> dict[str, list[Path]]:
    """Files of each basin; several only where two folders hold the same gauge."""
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob(f"[0-9]*{ending}")):
        files.setdefault(path.name.split("_")[0], []).append(path)
    return files


def read_forcing(path: Path) -> pd.DataFrame:
    """Read one forcing file: canonical variables in canonical units, indexed by day."""
    table = TextTable.read(path, FORCING_HEADER)
    names = _forcing_names(table)
    frame = table.frame(names, [*DATE, *FORCING_COLUMNS.values()])
    days = table.days(frame, gaps=False)
    negative = frame["precipitation"].to_numpy() < 0
    if negative.any():
        row = int(negative.argmax())
        value = frame["precipitation"].iloc[row]
        raise table.error(
            row, f"expected precipitation >= 0 mm/day, found {value:g} on {days[row]}"
        )
    return frame[list(FORCING_COLUMNS.values())].set_index(pd.DatetimeIndex(days))


def _forcing_names(table: TextTable) -> list[str]:
    """Names of the columns, in our words where we use them."""
    printed = table.line(FORCING_HEADER - 1).lower().split()
    known = DATE_COLUMNS | FORCING_COLUMNS
    missing = [name for name in known if name not in printed]
    if missing:
        raise ValueError(
            f"{table.path}:{FORCING_HEADER}: expected the columns {', '.join(missing)},"
            f" found {' '.join(printed) or 'a blank line'}"
        )
    return [known.get(name, name) for name in printed]


def read_flow(path: Path) -> pd.Series[float]:
    """Read one discharge file [m3 s-1], indexed by day; -999 and flag M are missing."""
    table = TextTable.read(path, 0)
    frame = table.frame(FLOW_COLUMNS, [*DATE, "discharge"], ["flag"])
    days = table.days(frame, gaps=True)
    flow = frame["discharge"].to_numpy(np.float64)
    missing = (flow < 0) | (frame["flag"] == "M").to_numpy()
    strange = (flow < 0) & (flow != MISSING_FLOW)
    if strange.any():
        logger.warning(
            "%s: %d negative discharges other than -999, first on %s, read as missing",
            path, strange.sum(), days[strange.argmax()],
        )  # fmt: skip
    values = np.where(missing, np.nan, flow * CUBIC_FEET)
    return pd.Series(values, index=pd.DatetimeIndex(days), name="discharge")


def _day(row: Mapping[str, str]) -> np.datetime64:
    year, month, day = (int(row[name]) for name in DATE)
    return np.datetime64(f"{year:04d}-{month:02d}-{day:02d}")


def _on_days(column: pd.Series[float], days: NDArray[np.datetime64]) -> NDArray[np.float32]:
    """Put a series on consecutive days; other days of it are left out."""
    values = np.full(len(days), np.nan, np.float32)
    rows = (column.index.to_numpy("datetime64[D]") - days[0]).astype(np.int64)
    inside = (rows >= 0) & (rows < len(days))
    values[rows[inside]] = column.to_numpy(np.float32)[inside]
    return values
