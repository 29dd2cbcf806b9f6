"""Look through a raw tree or a store and say what is wrong with it, without changing anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from dmg.data.manifest import broken_files
from dmg.data.sources.camels_us import CamelsUs, find_root
from dmg.data.store import manifest, open_store
from dmg.data.variables import DYNAMIC


@dataclass
class Check:
    """Outcome of a check.

    Attributes
    ----------
    table
        A row per variable: unit, share of missing values, values outside the possible range,
        basins with a gap in between.
    problems
        One line each; an empty list means that all is well.
    notes
        One line each: worth knowing, not wrong.
    """

    table: pd.DataFrame
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check(path: Path, product: str | None = None) -> Check:
    """Check a store (`X.zarr`) or a raw CAMELS-US tree (`product`: one of its forcing products).

    Values outside a range are noted, missing forcing inside a record, unreadable files and values
    that differ from their recorded checksum are problems.
    """
    if (path / "zarr.json").is_file():
        return _check_store(path)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: expected a store or a folder of raw data, found none")
    return _check_tree(path, product)


def _check_store(path: Path) -> Check:
    """Count the values of whole shards; name the others, which are not read."""
    store = open_store(path)
    basins = store["basin"].to_numpy()
    names = [name for name in DYNAMIC if name in store]
    counts = _Counts(store["time"].to_numpy().astype("datetime64[D]"), names)
    try:
        broken = _broken_shards(path)
    except ValueError as error:
        broken = {}
        counts.problems.append(str(error))
    for name in names:
        shard, chunk = (store[name].encoding[each][0] for each in ("shards", "chunks"))
        for start in range(0, len(basins), chunk):
            rows = slice(start, start + chunk)
            if start // shard not in broken:
                counts.add(name, basins[rows], _values(store[name], rows))
    counts.problems += [_tell(path, shard, files) for shard, files in broken.items()]
    return Check(counts.table(), counts.problems, counts.notes)


def _values(variable: xr.DataArray, rows: slice) -> NDArray[np.float32]:
    return np.asarray(variable.isel(basin=rows).to_numpy(), np.float32)


def _broken_shards(path: Path) -> dict[int, dict[str, str]]:
    """Shards whose files differ from the checksums that `merge` recorded, and how they do."""
    sums = manifest(path)
    found = {
        shard: broken_files(path, shard, dict(zip(sums, files, strict=True)))
        for shard, files in enumerate(zip(*sums.values(), strict=True))
    }
    return {shard: files for shard, files in found.items() if files}


def _tell(path: Path, shard: int, files: dict[str, str]) -> str:
    what = ", ".join(f"{name} {state}" for name, state in files.items())
    return (
        f"{path}: shard {shard}: {what}; repair it: dmg extract --config EXPERIMENT.yaml"
        f" --data-root DATA_ROOT --store {path} --shard {shard}"
    )


def _check_tree(tree: Path, product: str | None) -> Check:
    there = sorted(p.name for p in (find_root(tree) / "basin_mean_forcing").iterdir() if p.is_dir())
    tables, problems, notes = [], [], []
    for name in [product] if product else there:
        counts = _check_product(CamelsUs(tree, name))
        tables.append(counts.table().assign(product=name))
        problems += counts.problems
        notes += counts.notes
    return Check(pd.concat(tables), problems, notes)


def _check_product(source: CamelsUs) -> _Counts:
    """Read every basin; an unreadable one is a problem, not the end."""
    basins, broken = source.choose(None), []
    spans = {}
    for basin in basins:
        try:
            spans[basin] = source.days_of(basin)
        except ValueError as error:
            broken.append(str(error))
    if not spans:
        return _Counts(np.empty(0, "datetime64[D]"), problems=broken)
    first, last = min(s for s, _ in spans.values()), max(e for _, e in spans.values())
    counts = _Counts(np.arange(first, last + 1, dtype="datetime64[D]"), problems=broken)
    for basin in spans:
        try:
            series = source.series(basin, counts.days)
        except ValueError as error:
            counts.problems.append(str(error))
            continue
        for name, values in series.items():
            counts.add(name, np.array([basin]), values[None])
    return counts


class _Counts:
    """Running counts of each variable over blocks of basins."""

    def __init__(
        self,
        days: NDArray[np.datetime64],
        names: Iterable[str] = DYNAMIC,
        problems: list[str] | None = None,
    ) -> None:
        self.days = days
        self.problems = problems or []
        self.notes: list[str] = []
        self._rows = {name: np.zeros(4, np.int64) for name in names}

    def add(self, name: str, basins: NDArray[np.object_], values: NDArray[np.float32]) -> None:
        """Count a block `[B, T]`."""
        variable, missing = DYNAMIC[name], np.isnan(values)
        outside = (values < variable.lower) | (values > variable.upper)
        gap = _has_gap(missing)
        self._rows[name] += [values.size, missing.sum(), outside.sum(), gap.sum()]
        for basin, days in zip(basins[outside.any(1)], outside[outside.any(1)], strict=True):
            self.notes.append(
                f"basin {basin}: {days.sum()} values of {name} outside"
                f" {variable.lower:g}..{variable.upper:g} {variable.unit},"
                f" first on {self.days[days.argmax()]}"
            )
        if name != "discharge":
            self.problems += [f"basin {b}: {name} has missing days inside its record"
                              for b in basins[gap]]  # fmt: skip

    def table(self) -> pd.DataFrame:
        """Give a row per variable."""
        rows = [
            {
                "variable": name,
                "unit": DYNAMIC[name].unit,
                "missing": missing / size if size else np.nan,
                "outside": outside,
                "basins_with_gaps": gaps,
            }
            for name, (size, missing, outside, gaps) in self._rows.items()
        ]
        return pd.DataFrame(rows).set_index("variable")


def _has_gap(missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell rows that miss a value between their first and their last one."""
    there = ~missing
    started = np.logical_or.accumulate(there, axis=1)
    unfinished = np.logical_or.accumulate(there[:, ::-1], axis=1)[:, ::-1]
    return np.asarray((missing & started & unfinished).any(axis=1))
