"""Derived series of many basins, shard by shard, and samples of their training days.

Blocks of basins, each a whole shard of the result, are processed apart. A block leaves its samples
and a record of its files; whoever comes again with the same settings goes on after the last whole
one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import zarr
from numpy.typing import NDArray

from dmg.cores import num_cores
from dmg.data.derive import Pet, derive, derived_names, layout, write_template
from dmg.data.manifest import ShardRecord, write_shard
from dmg.data.memory import BASE_MB, COPIES
from dmg.data.statistics import Sample, log_root, stride_for, summarise
from dmg.data.store import open_store
from dmg.data.workers import LocalWorkers, SlurmWorkers, Workers, compute_all, memory_of
from dmg.data.zarrs import consolidate
from dmg.files import atomic, remove

BLOCKS_PER_WORKER = 8
"""Blocks that pay for a worker process.

A block of 64 basins x 29 years takes about 0.6 s, the start of a cluster about 5 s (measured on
two cores), so that fewer blocks are done sooner in this process.
"""
FORMULAS_MB = 100.0
"""Memory for what formulas read and make, besides the results [MB]."""

Span = tuple[int, int, int]
"""Row of a basin, first and last day (indices, both included)."""
Folds = Mapping[str, Mapping[str, Sequence[Span]]]
"""Training days by fold and basin."""
Samples = Mapping[str, Mapping[Span, Sample]]
"""Samples by variable and training days."""


@dataclass(frozen=True)
class Recipe:
    """What the processing of every block needs to know."""

    store: Path
    derived: Path
    pet: Pet
    variables: tuple[str, ...]  # to be summarised
    log_forcings: frozenset[str]
    stride: int  # days from one value kept for the percentiles to the next


@dataclass(frozen=True)
class Block:
    """Consecutive basins of the experiment, a whole shard of the result."""

    number: int
    start: int  # row of the first basin in the experiment
    rows: NDArray[np.intp]  # in the store
    spans: list[Span]  # training days of these basins


def derive_store(
    store: Path,
    derived: Path,
    basins: Sequence[str],
    folds: Folds,
    variables: Iterable[str],
    *,
    log_forcings: Sequence[str],
    pet: Pet,
    workers: Workers,
    logs: Path,
) -> Samples:
    """Write the derived variables of some basins of a store; return samples of training days.

    Parameters
    ----------
    store, derived
        Store, and the Zarr folder to be made or gone on with; records lie beside it.
    basins
        Basins in order, as the store writes them.
    folds
        Training days by fold and basin.
    variables
        Variables of the store or derived ones to be summarised.
    log_forcings, pet, workers
        See `dmg.data.preprocess.preprocess`.
    logs
        Folder for the logs of jobs of Slurm.
    """
    dataset = open_store(store)
    spans = sorted({s for members in folds.values() for mine in members.values() for s in mine})
    stride = stride_for(sum(last - first + 1 for _, first, last in spans))
    shard = _shard_that_fits(dataset, memory_of(workers))
    key = _digest(_identity(store, dataset), basins, pet, shard)
    if not derived.exists() or zarr.open_group(derived, mode="r").attrs.get("key") != key:
        remove(derived.parent / "shards")
        remove(derived)
        with atomic(derived) as temporary:
            write_template(temporary, dataset, basins, pet, shard, key)
    recipe = Recipe(
        store, derived, pet, tuple(dict.fromkeys(variables)), frozenset(log_forcings), stride
    )
    calls = [(recipe, block) for block in _blocks(dataset, basins, spans, shard)]
    samples = _merge(compute_all(process, calls, _chosen(workers, len(calls)), logs))
    consolidate(derived)
    return samples


def process(recipe: Recipe, block: Block) -> dict[str, dict[Span, Sample]]:
    """Write the derived variables of one block; return the samples of its training days.

    What was done before is left as it is, and its samples are read.
    """
    folder = recipe.derived.parent / "shards"
    record_path = folder / f"{block.number:05d}.json"
    samples_path = record_path.with_suffix(".npz")
    what = recipe.variables, sorted(recipe.log_forcings), recipe.stride, block.spans
    key = _digest(*what, block.rows.tolist())
    record = ShardRecord.read(record_path)
    if record and record.key == key and record.is_whole(recipe.derived, block.number):
        return _read_samples(samples_path, recipe, block)
    record_path.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    dataset = open_store(recipe.store, names=False)
    derived = _derived(dataset, block.rows, recipe.pet)
    number = block.number
    files = {name: write_shard(recipe.derived, name, number, v) for name, v in derived.items()}
    samples = {}
    for name in recipe.variables:
        series = derived[name] if name in derived else _rows(dataset, block.rows)[name].to_numpy()
        samples[name] = _summarised(series, name in recipe.log_forcings, recipe.stride, block)
    _write_samples(samples_path, samples, block)
    ShardRecord(key, files).write(record_path)
    return samples


def _derived(
    dataset: xr.Dataset, rows: NDArray[np.intp], pet: Pet
) -> dict[str, NDArray[np.float32]]:
    """Read and derive chunk after chunk, so that memory is bounded."""
    days, chunk = dataset.sizes["time"], layout(dataset)["chunk_basins"]
    out = {name: np.empty((len(rows), days), np.float32) for name in derived_names(dataset)}
    for first in range(0, len(rows), chunk):
        part = _rows(dataset, rows[first : first + chunk])
        for name, values in derive(part, pet).items():
            out[name][first : first + len(values)] = values
    return out


def _rows(dataset: xr.Dataset, rows: NDArray[np.intp]) -> xr.Dataset:
    """Rows of a store; consecutive ones as a slice, which Zarr reads twice as fast as a list."""
    is_run = bool((np.diff(rows) == 1).all())
    return dataset.isel(basin=slice(int(rows[0]), int(rows[-1]) + 1) if is_run else rows)


def _summarised(
    series: NDArray[np.float32], in_log: bool, stride: int, block: Block
) -> dict[Span, Sample]:
    """Reduce the training days of a block, basin by basin."""
    found = {}
    for row, first, last in block.spans:
        days = series[row - block.start, first : last + 1]
        found[row, first, last] = summarise(log_root(days) if in_log else days, stride)
    return found


def _write_samples(path: Path, samples: Mapping[str, Mapping[Span, Sample]], block: Block) -> None:
    arrays: dict[str, NDArray[Any]] = {}
    for name, by_span in samples.items():
        mine = [by_span[span] for span in block.spans]
        arrays[f"{name}/moments"] = np.array([(s.count, s.mean, s.squares) for s in mine])
        arrays[f"{name}/lengths"] = np.array([len(s.values) for s in mine], np.int64)
        none = [np.empty(0, np.float32)]
        arrays[f"{name}/values"] = np.concatenate([s.values for s in mine] or none)
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def _read_samples(path: Path, recipe: Recipe, block: Block) -> dict[str, dict[Span, Sample]]:
    with np.load(path) as arrays:
        found = {}
        for name in recipe.variables:
            ends = np.cumsum(arrays[f"{name}/lengths"])
            kept = np.split(arrays[f"{name}/values"], ends)[:-1]
            moments = arrays[f"{name}/moments"].tolist()
            found[name] = {
                span: Sample(int(count), mean, squares, values.astype(np.float32))
                for span, (count, mean, squares), values in zip(
                    block.spans, moments, kept, strict=True
                )
            }
    return found


def _blocks(
    dataset: xr.Dataset, basins: Sequence[str], spans: Sequence[Span], size: int
) -> Iterator[Block]:
    rows = dataset.indexes["basin"].get_indexer(pd.Index(basins))
    inside: dict[int, list[Span]] = {}
    for span in spans:
        inside.setdefault(span[0] // size, []).append(span)
    for number, start in enumerate(range(0, len(basins), size)):
        yield Block(number, start, rows[start : start + size], inside.get(number, []))


def _shard_that_fits(dataset: xr.Dataset, memory_mb: float | None) -> int:
    """Basins of a shard: as in the store, or fewer where `memory_mb` asks for it."""
    shape, days = layout(dataset), dataset.sizes["time"]
    shard, chunk = shape["shard_basins"], shape["chunk_basins"]
    arrays = len(derived_names(dataset)) + COPIES
    fixed = BASE_MB + FORMULAS_MB
    while memory_mb and shard > chunk and fixed + 4e-6 * arrays * shard * days > memory_mb:
        shard -= chunk
    if memory_mb and fixed + 4e-6 * arrays * shard * days > memory_mb:
        raise ValueError(
            f"--memory-mb: expected at least {fixed + 4e-6 * arrays * shard * days:.0f} for"
            f" {shard} basins x {days} days, found {memory_mb:.0f}; raise it"
        )
    return shard


def _identity(store: Path, dataset: xr.Dataset) -> str:
    """Name the values of a store: its plan, or else its file."""
    state = (store / "zarr.json").stat()
    return str(dataset.attrs.get("plan", (str(store), state.st_size, state.st_mtime_ns)))


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _chosen(workers: Workers, num_blocks: int) -> int | SlurmWorkers:
    """Jobs, or processes; where it is not said how many, those that pay (0: this one alone)."""
    processes = workers.processes if isinstance(workers, LocalWorkers) else workers
    if processes is not None:
        return processes
    paying = min(num_cores(), num_blocks // BLOCKS_PER_WORKER)
    return 0 if paying < 2 else paying


def _merge(parts: Sequence[dict[str, dict[Span, Sample]]]) -> dict[str, dict[Span, Sample]]:
    merged: dict[str, dict[Span, Sample]] = {}
    for part in parts:
        for name, samples in part.items():
            merged.setdefault(name, {}).update(samples)
    return merged
