"""The store: canonical physical data of one dataset, written in parts by independent jobs.

`initialise` writes an unfinished store beside its final place, `extract` fills whole shards of it,
one part a job, and leaves a record of each; `merge` verifies all records and renames the store into
place. A job may be killed and started again at any moment: it goes on after its last whole shard.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from dmg.data.locks import shard_writer, sole_writer
from dmg.data.manifest import ShardRecord, array, broken_files, write_shard
from dmg.data.memory import require_memory, shard_that_fits
from dmg.data.parts import (
    Plan,
    mark_done,
    parts_folder,
    read_plan,
    record_path,
    require_records,
    shards_of_part,
    write_plan,
)
from dmg.data.sources import Source
from dmg.data.template import strings, write_template
from dmg.data.variables import DYNAMIC
from dmg.data.zarrs import consolidate, open_zarr
from dmg.files import atomic, one_line_if_full, remove

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
MANIFEST = "manifest"
"""Attribute of a merged store: checksums of each variable's files, shard by shard."""


def initialise(
    reader: Source,
    store: Path,
    *,
    source: str,
    dataset: str,
    basins: Sequence[str] | None = None,
    shard_basins: int = 64,
    chunk_basins: int = 8,
    chunk_days: int = 1461,
    memory_mb: float | None = None,
) -> None:
    """Write an unfinished store: metadata, time axis, static variables; no series yet.

    Shards that are already there are kept if they belong to the same store, else removed.

    Parameters
    ----------
    reader
        Raw data.
    store
        Final place of the store, `X.zarr`; work goes on in `X.parts/`.
    source, dataset
        Names of the reader and of the dataset.
    basins
        Ids to extract; none: every basin that has data.
    shard_basins, chunk_basins, chunk_days
        Layout: basins of a shard, basins and days of a chunk.
    memory_mb
        Memory of a process that will extract [MB]; shards are made smaller where they need more.
    """
    chosen = reader.choose(basins)
    static = reader.attributes(chosen)
    start, end = reader.span(chosen)
    days = int((end - start).astype(int)) + 1
    shard = shard_that_fits(reader, shard_basins, chunk_basins, days, memory_mb)
    static_hash = hashlib.sha256(static.to_csv().encode()).hexdigest()
    plan = Plan(
        FORMAT_VERSION, version("dmg-hpc"), source, dataset, dict(reader.about),
        list(reader.variables), chosen, str(start), str(end), shard, chunk_basins, chunk_days,
        static_hash,
    )  # fmt: skip
    work = parts_folder(store)
    with sole_writer(store), one_line_if_full(work):
        if _unfinished(work) == plan.digest:
            write_plan(plan, work / "init.json")
            return
        with atomic(work) as temporary:
            temporary.mkdir()
            write_template(plan, static, temporary / "store.zarr")
            write_plan(plan, temporary / "init.json")


def _unfinished(work: Path) -> str | None:
    """Digest of the plan of an unfinished store, if there is one."""
    if not (work / "store.zarr" / "zarr.json").is_file():
        return None
    return str(zarr.open_group(work / "store.zarr", mode="r").attrs["plan"])


def extract(
    reader: Source, store: Path, part: int, num_parts: int, memory_mb: float | None = None
) -> None:
    """Fill the shards of part `part` (from 1) of `num_parts`, and record their checksums.

    A shard that is done, from the same source files, is left as it is. Values outside the possible
    range of their variable are logged and kept.

    Raises
    ------
    ValueError
        If the raw data are others than those the store was begun with, if another process writes
        one of these shards, or if a shard needs more than `memory_mb`.
    """
    plan = read_plan(store)
    _require_unfinished(store)
    _require_same_data(reader, plan, store)
    require_memory(reader, plan.shard_basins, len(plan.days), memory_mb)
    shards = shards_of_part(part, num_parts, plan.num_shards)
    with shard_writer(store, shards), one_line_if_full(parts_folder(store)):
        for shard in shards:
            did = _extract_shard(reader, store, plan, shard)
            logger.info(
                "part %d-of-%d: shard %d of %d%s",
                part, num_parts, shard + 1, plan.num_shards, "" if did else " is done",
            )  # fmt: skip
        mark_done(store, plan, part, num_parts)


def _extract_shard(reader: Source, store: Path, plan: Plan, shard: int) -> bool:
    """Write a shard and then its record, unless it is there; tell whether it was not."""
    folder, path = parts_folder(store) / "store.zarr", record_path(store, shard)
    basins = plan.basins[plan.rows(shard)]
    sources = reader.fingerprints(basins)
    record = ShardRecord.read(path)
    same = record is not None and (record.key, record.sources) == (plan.digest, sources)
    if record and same and record.is_whole(folder, shard):
        return False
    path.unlink(missing_ok=True)
    files = _write_shard(folder, reader, basins, plan.days, shard)
    ShardRecord(plan.digest, files, sources).write(path)
    return True


def _write_shard(
    folder: Path, reader: Source, basins: Sequence[str], days: NDArray[np.datetime64], shard: int
) -> dict[str, str]:
    """Read and write one variable after another; give the checksums of their files."""
    files = {}
    for name, values in reader.blocks(basins, days):
        _report_range(basins, name, values, days)
        files[name] = write_shard(folder, name, shard, values)
    return files


def _report_range(
    basins: Sequence[str],
    name: str,
    values: NDArray[np.float32],
    days: NDArray[np.datetime64],
) -> None:
    variable = DYNAMIC[name]
    lowest, highest = np.fmin.reduce(values, None), np.fmax.reduce(values, None)
    if lowest >= variable.lower and highest <= variable.upper:  # nearly always
        return
    outside = (values < variable.lower) | (values > variable.upper)
    for row in np.flatnonzero(outside.any(axis=1)).tolist():
        logger.warning(
            "basin %s: %d values of %s outside %g..%g %s, first on %s; kept",
            basins[row], outside[row].sum(), name, variable.lower, variable.upper, variable.unit,
            days[outside[row].argmax()],
        )  # fmt: skip


def _require_unfinished(store: Path) -> None:
    path = parts_folder(store) / "store.zarr"
    if not path.is_dir():
        raise FileNotFoundError(
            f"{path}: expected an unfinished store, found none; run `dmg extract --init`"
        )


def _require_same_data(reader: Source, plan: Plan, store: Path) -> None:
    found = dict(reader.about)
    changed = sorted(k for k in found | plan.about if found.get(k) != plan.about.get(k))
    if changed:
        raise ValueError(
            f"{store}: expected the data it was begun with, found another {changed[0]};"
            " run `dmg extract --init` again"
        )


def merge(store: Path) -> None:
    """Verify that every shard is there and whole, consolidate, and rename into place."""
    with sole_writer(store):
        plan = read_plan(store)
        work = parts_folder(store)
        if _unfinished(work) is None:
            _require_merged(store, plan)
            return
        records = require_records(store, plan)
        _require_whole(records, work)
        with one_line_if_full(work):
            group = zarr.open_group(work / "store.zarr", mode="r+")
            array(group, "source_hash")[:] = strings([h for r in records for h in r.sources])
            group.attrs[MANIFEST] = {n: [r.files[n] for r in records] for n in plan.variables}
            consolidate(work / "store.zarr")
        with atomic(store) as temporary:
            (work / "store.zarr").rename(temporary)
        remove(work / "shards")


def _require_merged(store: Path, plan: Plan) -> None:
    """Accept a second merge; otherwise the records speak of data that are gone."""
    if store.is_dir() and zarr.open_group(store, mode="r").attrs.get("plan") == plan.digest:
        return
    work = parts_folder(store)
    remove(work)
    raise FileNotFoundError(
        f"{work}: expected an unfinished store, found only records of one that is gone;"
        " they are removed now: extract all parts again"
    )


def _require_whole(records: Sequence[ShardRecord], work: Path) -> None:
    for shard, record in enumerate(records):
        for name, what in broken_files(work / "store.zarr", shard, record.files).items():
            raise ValueError(
                f"{work}: expected shard {shard} as it was recorded, found {name} {what};"
                " extract its part again"
            )


def repair(reader: Source, store: Path, shard: int) -> None:
    """Write one shard of a merged store again, where its files are missing or corrupt.

    Raises
    ------
    ValueError
        If there is no such shard, or if the raw data no longer give the recorded values.
    """
    dataset = open_store(store)
    files = {name: sums[shard] for name, sums in manifest(store).items() if shard < len(sums)}
    if shard < 0 or not files:
        raise ValueError(f"{store}: expected a shard of the store, found number {shard}")
    rows = dataset[next(iter(files))].encoding["shards"][0]
    basins = [str(b) for b in dataset["basin"].values[shard * rows : (shard + 1) * rows]]
    days = dataset["time"].values.astype("datetime64[D]")
    with sole_writer(store), one_line_if_full(store):
        broken = broken_files(store, shard, files)
        for name, values in reader.blocks(basins, days):
            if name in broken and write_shard(store, name, shard, values) != files[name]:
                raise ValueError(
                    f"{store}: shard {shard}: expected the recorded values of {name}, found others"
                    " in the raw data or another version of dmg; extract the store again"
                )
    logger.info("%s: shard %d: repaired %s", store, shard, ", ".join(broken) or "nothing")


def manifest(store: Path) -> Mapping[str, Sequence[str]]:
    """Checksums of the files of a merged store: by variable, shard after shard."""
    found = zarr.open_group(store, mode="r").attrs.get(MANIFEST)
    if not isinstance(found, dict):
        raise ValueError(f"{store}: expected recorded checksums, found none; extract it again")
    return found


def open_store(
    path: Path, *, chunks: Mapping[str, int] | None = None, names: bool = True
) -> xr.Dataset:
    """Open a merged store lazily: see `dmg.data.zarrs.open_zarr`.

    Another format version is an error, so that no reader mistakes what it reads.
    """
    if not (path / "zarr.json").is_file():
        raise FileNotFoundError(
            f"{path}: expected a store, found none; run `dmg extract` and `dmg merge`"
        )
    found = zarr.open_group(path, mode="r").attrs.get("format_version")
    if found != FORMAT_VERSION:
        raise ValueError(
            f"{path}: expected a store of format version {FORMAT_VERSION}, found"
            f" {found if found is not None else 'none'}; extract it again with this version of dmg"
        )
    return open_zarr(path, chunks, names=names)
