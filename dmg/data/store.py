"""The store: canonical physical data of one dataset, written in parts by independent jobs.

`initialise` writes an unfinished store beside its final place, `extract` fills whole shards of it,
one part a job, and leaves a record with checksums; `merge` verifies all records and renames the
store into place. A job may be killed and started again at any moment.
"""

from __future__ import annotations

import errno
import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import xarray as xr
import zarr
from numpy.typing import NDArray

from dmg.data.parts import (
    Plan,
    Record,
    array,
    checksums,
    parts_folder,
    read_plan,
    read_record,
    read_records,
    record_path,
    shards_of_part,
    write_plan,
    write_record,
)
from dmg.data.sources import Source, open_source
from dmg.data.template import strings, write_template
from dmg.data.variables import DYNAMIC
from dmg.data.zarrs import consolidate, open_zarr
from dmg.files import atomic, remove

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
NAMES = list(DYNAMIC)


def initialise(
    tree: Path,
    store: Path,
    *,
    source: str,
    dataset: str,
    product: str,
    basins: Sequence[str] | None = None,
    shard_basins: int = 64,
    chunk_basins: int = 8,
    chunk_days: int = 1461,
) -> None:
    """Write an unfinished store: metadata, time axis, static variables; no series yet.

    Parts that are already there are kept if they belong to the same store, else removed.

    Parameters
    ----------
    tree
        Folder of the raw files.
    store
        Final place of the store, `X.zarr`; work goes on in `X.parts/`.
    source, dataset, product
        Reader of the raw files, name of the dataset, forcing product.
    basins
        Ids to extract; none: every basin that has data.
    shard_basins, chunk_basins, chunk_days
        Layout: basins of a shard, basins and days of a chunk.
    """
    reader = open_source(source, tree, product)
    chosen = reader.choose(basins)
    static = reader.attributes(chosen)
    start, end = _span(reader, chosen)
    static_hash = hashlib.sha256(static.to_csv().encode()).hexdigest()
    plan = Plan(
        FORMAT_VERSION, version("dmg-hpc"), source, dataset, product, chosen, str(start), str(end),
        shard_basins, chunk_basins, chunk_days, static_hash,
    )  # fmt: skip
    work = parts_folder(store)
    if _unfinished(work) == plan.digest():
        write_plan(plan, work / "init.json")
        return
    with _one_line_if_full(work), atomic(work) as temporary:
        temporary.mkdir()
        write_template(plan, static, temporary / "store.zarr")
        write_plan(plan, temporary / "init.json")


def _span(reader: Source, basins: Sequence[str]) -> tuple[np.datetime64, np.datetime64]:
    """Days that any basin's forcing covers; tell of the basins that cover fewer."""
    spans = {basin: reader.span(basin) for basin in basins}
    start, end = min(s for s, _ in spans.values()), max(e for _, e in spans.values())
    for basin, (first, last) in spans.items():
        if (first, last) != (start, end):
            logger.warning(
                "basin %s: forcing from %s to %s, others from %s to %s; is its file whole?",
                basin, first, last, start, end,
            )  # fmt: skip
    return start, end


def _unfinished(work: Path) -> str | None:
    """Digest of the plan of an unfinished store, if there is one."""
    if not (work / "store.zarr" / "zarr.json").is_file():
        return None
    return str(zarr.open_group(work / "store.zarr", mode="r").attrs["plan"])


def extract(tree: Path, store: Path, part: int, num_parts: int) -> None:
    """Fill the shards of part `part` (from 1) of `num_parts`, and record their checksums.

    A part that is done, from the same source files, is left as it is. Values outside the possible
    range of their variable are logged and kept.
    """
    plan = read_plan(store)
    work, path = parts_folder(store), record_path(store, part, num_parts)
    shards = shards_of_part(part, num_parts, plan.num_shards)
    group = _open_unfinished(store)
    reader = open_source(plan.source, tree, plan.product)
    basins = [basin for shard in shards for basin in plan.basins[plan.rows(shard)]]
    hashes = {basin: reader.fingerprint(basin) for basin in basins}
    if _is_done(read_record(path), plan, hashes, group):
        logger.info("part %d-of-%d is done", part, num_parts)
        return
    path.unlink(missing_ok=True)
    sums = {}
    with _one_line_if_full(work):
        for shard in shards:
            _write_shard(work / "store.zarr", reader, plan, shard)
            sums[str(shard)] = checksums(group, NAMES, plan.rows(shard))
            logger.info(
                "part %d-of-%d: shard %d of %d", part, num_parts, shard + 1, plan.num_shards
            )
        write_record(Record(plan.digest(), hashes, sums), path)


def _open_unfinished(store: Path) -> zarr.Group:
    path = parts_folder(store) / "store.zarr"
    if not path.is_dir():
        raise FileNotFoundError(
            f"{path}: expected an unfinished store, found none; run `dmg extract --init`"
        )
    return zarr.open_group(path, mode="r+")


def _is_done(
    record: Record | None, plan: Plan, hashes: Mapping[str, str], group: zarr.Group
) -> bool:
    if record is None or record.plan != plan.digest() or record.source_hash != hashes:
        return False
    return all(
        checksums(group, NAMES, plan.rows(int(shard))) == sums
        for shard, sums in record.checksums.items()
    )


def _write_shard(folder: Path, reader: Source, plan: Plan, shard: int) -> None:
    """Read the basins of a shard one by one, then write each variable once."""
    group = zarr.open_group(folder, mode="r+")
    rows, days = plan.rows(shard), plan.days
    block = {name: np.empty((rows.stop - rows.start, len(days)), np.float32) for name in NAMES}
    for row, basin in enumerate(plan.basins[rows]):
        series = reader.series(basin, days)
        for name in NAMES:
            block[name][row] = series[name]
            _report_range(basin, name, series[name], days)
    for name in NAMES:
        variable = array(group, name)
        remove(folder / name / variable.metadata.encode_chunk_key((shard, 0)))  # may be torn
        variable[rows] = block[name]


def _report_range(
    basin: str, name: str, values: NDArray[np.float32], days: NDArray[np.datetime64]
) -> None:
    variable = DYNAMIC[name]
    outside = (values < variable.lower) | (values > variable.upper)
    if outside.any():
        logger.warning(
            "basin %s: %d values of %s outside %g..%g %s, first on %s; kept",
            basin, outside.sum(), name, variable.lower, variable.upper, variable.unit,
            days[outside.argmax()],
        )  # fmt: skip


def merge(store: Path) -> None:
    """Verify that every part is there and whole, consolidate, and rename into place."""
    plan = read_plan(store)
    work = parts_folder(store)
    if _unfinished(work) is None:
        _require_merged(store, plan)
        return
    records = read_records(store)
    group = _open_unfinished(store)
    sums = _verify(records, plan, group, work)
    hashes = {basin: value for record in records for basin, value in record.source_hash.items()}
    with _one_line_if_full(work):
        array(group, "source_hash")[:] = strings([hashes[b] for b in plan.basins])
        group.attrs["checksums"] = sums
        consolidate(work / "store.zarr")
    with atomic(store) as temporary:
        (work / "store.zarr").rename(temporary)


def _require_merged(store: Path, plan: Plan) -> None:
    """Accept a second merge; otherwise the records speak of data that are gone."""
    if store.is_dir() and zarr.open_group(store, mode="r").attrs.get("plan") == plan.digest():
        return
    work = parts_folder(store)
    remove(work)
    raise FileNotFoundError(
        f"{work}: expected an unfinished store, found only records of one that is gone;"
        " they are removed now: extract all parts again"
    )


def _verify(
    records: Sequence[Record], plan: Plan, group: zarr.Group, work: Path
) -> dict[str, list[str]]:
    """Compare every shard with its record; give the checksums, shard by shard."""
    recorded = {shard: sums for record in records for shard, sums in record.checksums.items()}
    for shard in range(plan.num_shards):
        found = checksums(group, NAMES, plan.rows(shard))
        if recorded.get(str(shard)) != found or any(r.plan != plan.digest() for r in records):
            raise ValueError(
                f"{work}: expected shard {shard} as its part recorded it, found other values;"
                " extract the parts again"
            )
    return {name: [recorded[str(s)][name] for s in range(plan.num_shards)] for name in NAMES}


def open_store(path: Path, *, chunks: Mapping[str, int] | None = None) -> xr.Dataset:
    """Open a merged store lazily; with `chunks` (`{}`: as stored), as Dask arrays.

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
    return open_zarr(path, chunks)


@contextmanager
def _one_line_if_full(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(
            f"{folder}: no space left on the disk; free some and run again, finished parts are kept"
        ) from None
