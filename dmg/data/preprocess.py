"""Preprocess: what an experiment derives from a store before it trains.

`splits.csv` says who is trained on when, `derived.zarr` holds mean temperature, potential
evapotranspiration and runoff depth, `statistics.json` the statistics of each fold's training part.
Blocks of basins, each a whole shard of the result, are processed apart with Dask, so memory grows
with the number of workers and not with the store.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
import zarr
from numpy.typing import NDArray

from dmg.data.basins import match_basins
from dmg.data.derive import Pet, derive, layout, write_template
from dmg.data.splits import require_within, write_splits
from dmg.data.statistics import (
    Sample,
    fold_statistics,
    log_root,
    merge,
    stride_for,
    summarise,
    write_statistics,
)
from dmg.data.store import open_store
from dmg.data.variables import DERIVED
from dmg.data.workers import SlurmWorkers, compute_all
from dmg.data.zarrs import consolidate
from dmg.files import atomic

BLOCKS_PER_WORKER = 8
"""Blocks that pay for a worker process.

A block of 64 basins x 29 years takes about 0.6 s, the start of a cluster about 5 s (measured on
two cores), so that fewer blocks are done sooner in this process.
"""

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

    start: int  # row of the first basin in the experiment
    rows: slice | NDArray[np.intp]  # rows in the store
    size: int
    spans: list[Span]  # training days of these basins


def preprocess(
    store: Path,
    out: Path,
    *,
    basins: Sequence[str],
    splits: pd.DataFrame,
    forcings: Sequence[str],
    attributes: Sequence[str] = (),
    log_forcings: Sequence[str] = (),
    target: str = "streamflow",
    pet: Pet = "hargreaves",
    workers: int | SlurmWorkers | None = None,
) -> None:
    """Write `splits.csv`, `statistics.json` and `derived.zarr` into the folder `out`.

    Parameters
    ----------
    store
        Store with dims `(basin, time)`.
    out
        Folder of the results; each of the three is replaced as a whole, none after an error.
    basins
        Basins of the experiment, in order.
    splits
        Table as made by `dmg.data.splits`.
    forcings, attributes, target
        Variables of the store or of `DERIVED` that need statistics.
    log_forcings
        Forcings whose statistics are taken after `log10(sqrt(x) + 0.1)`.
    pet
        Formula of potential evapotranspiration.
    workers
        Processes of a local Dask cluster, or jobs of Slurm (whose logs are left in `out`); 0: all
        in this process; none: as many processes as pay.

    Raises
    ------
    ValueError
        If a basin, a variable or a period is not in the store, or if training data are missing.
    """
    dataset = open_store(store)
    basins, splits = _match(dataset, basins, splits, str(store))
    require_days(splits, dataset)
    require_variables(dataset, {"forcings": forcings, "target": [target]}, attributes)
    folds = training_spans(splits, basins, dataset["time"].values[0])
    table = dataset[["basin", *attributes]].sel(basin=basins).to_dataframe()[[*attributes]]
    with atomic(out / "derived.zarr") as derived:
        samples = derive_store(
            store, derived, basins, folds, [*forcings, target],
            log_forcings=log_forcings, pet=pet, workers=workers, logs=out / "workers",
        )  # fmt: skip
        statistics = {
            fold: fold_statistics(
                of_members(samples, members), forcings, target, table.loc[[*members]]
            )
            for fold, members in folds.items()
        }
    write_statistics(statistics, out / "statistics.json")
    write_splits(splits, out / "splits.csv")


def derive_store(
    store: Path,
    derived: Path,
    basins: Sequence[str],
    folds: Folds,
    variables: Iterable[str],
    *,
    log_forcings: Sequence[str],
    pet: Pet,
    workers: int | SlurmWorkers | None,
    logs: Path,
) -> Samples:
    """Write the derived variables of some basins of a store; return samples of training days.

    Parameters
    ----------
    store, derived
        Store, and the Zarr folder to be made.
    basins
        Basins in order, as the store writes them.
    folds
        Training days by fold and basin.
    variables
        Variables of the store or derived ones to be summarised.
    log_forcings, pet, workers
        See `preprocess`.
    logs
        Folder for the logs of jobs of Slurm.
    """
    dataset = open_store(store)
    spans = sorted({s for members in folds.values() for mine in members.values() for s in mine})
    stride = stride_for(sum(last - first + 1 for _, first, last in spans))
    write_template(derived, dataset, basins, pet)
    recipe = Recipe(
        store, derived, pet, tuple(dict.fromkeys(variables)), frozenset(log_forcings), stride
    )
    blocks = [(recipe, block) for block in _blocks(dataset, basins, spans)]
    workers = _num_workers(len(blocks)) if workers is None else workers
    samples = _merge(compute_all(process, blocks, workers, logs))
    consolidate(derived)
    return samples


def process(recipe: Recipe, block: Block) -> dict[str, dict[Span, Sample]]:
    """Write the derived variables of one block; return the samples of its training days."""
    dataset = open_store(recipe.store).isel(basin=block.rows)
    derived = derive(dataset, recipe.pet)
    group = zarr.open_group(recipe.derived, mode="r+")
    for name, values in derived.items():
        array = group[name]
        assert isinstance(array, zarr.Array)
        array[block.start : block.start + block.size] = values
    samples = {}
    for name in recipe.variables:
        series = derived[name] if name in derived else dataset[name].to_numpy()
        series = log_root(series) if name in recipe.log_forcings else series
        samples[name] = {
            (row, first, last): summarise(
                series[row - block.start, first : last + 1], recipe.stride
            )
            for row, first, last in block.spans
        }
    return samples


def _match(
    dataset: xr.Dataset, basins: Sequence[str], splits: pd.DataFrame, where: str
) -> tuple[list[str], pd.DataFrame]:
    """Ids as the store writes them, in the list of basins and in the split."""
    found = match_basins(basins, [str(b) for b in dataset["basin"].values], where)
    matched = splits["basin_id"].map(dict(zip(basins, found, strict=True)))
    if matched.isna().any():
        stranger = splits["basin_id"][matched.isna()].iloc[0]
        raise ValueError(
            f"split: expected only basins of the experiment, found {stranger}; remove it or add it"
            " to data.basins"
        )
    return found, splits.assign(basin_id=matched)


def training_spans(
    splits: pd.DataFrame, basins: Sequence[str], origin: np.datetime64
) -> dict[str, dict[str, list[Span]]]:
    """Training days of each basin in each fold."""
    row_of = {basin: row for row, basin in enumerate(basins)}
    table = splits.assign(
        first=(splits["start"] - pd.Timestamp(origin)).dt.days,
        last=(splits["end"] - pd.Timestamp(origin)).dt.days,
    )
    folds: dict[str, dict[str, list[Span]]] = {fold: {} for fold in dict.fromkeys(table["fold"])}
    train = table[table["role"] == "train"]
    for basin, fold, first, last in train[["basin_id", "fold", "first", "last"]].to_numpy():
        folds[fold].setdefault(basin, []).append((row_of[basin], first, last))
    for fold, spans in folds.items():
        if not spans:
            raise ValueError(f"split: {fold}: expected basins to train on, found none")
    return folds


def _blocks(dataset: xr.Dataset, basins: Sequence[str], spans: Sequence[Span]) -> Iterator[Block]:
    size = layout(dataset)["shard_basins"]
    rows = dataset.indexes["basin"].get_indexer(pd.Index(basins))
    for start in range(0, len(basins), size):
        stop = start + size
        part = rows[start:stop]
        inside = [span for span in spans if start <= span[0] < stop]
        yield Block(start, _as_slice(part), len(part), inside)


def _as_slice(rows: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Consecutive rows as a slice, which Zarr reads twice as fast as a list of rows."""
    is_run = bool((np.diff(rows) == 1).all())
    return slice(int(rows[0]), int(rows[-1]) + 1) if is_run else rows


def _num_workers(num_blocks: int) -> int:
    """Count the processes that pay; 0: none beside this one."""
    workers = min(os.cpu_count() or 1, num_blocks // BLOCKS_PER_WORKER)
    return 0 if workers < 2 else workers


def _merge(parts: Sequence[dict[str, dict[Span, Sample]]]) -> dict[str, dict[Span, Sample]]:
    merged: dict[str, dict[Span, Sample]] = {}
    for part in parts:
        for name, samples in part.items():
            merged.setdefault(name, {}).update(samples)
    return merged


def of_members(
    samples: Samples, members: Mapping[str, Sequence[Span]]
) -> dict[str, dict[str, Sample]]:
    """Pick the samples of the training basins of one fold, by variable and basin."""
    return {
        name: {basin: merge([by_span[s] for s in spans]) for basin, spans in members.items()}
        for name, by_span in samples.items()
    }


def require_days(splits: pd.DataFrame, dataset: xr.Dataset) -> None:
    """Raise `ValueError` unless every period lies within the days of a store."""
    first, last = (pd.Timestamp(dataset["time"].values[i]) for i in (0, -1))
    require_within(splits, first, last)


def require_variables(
    dataset: xr.Dataset, series: Mapping[str, Sequence[str]], attributes: Sequence[str]
) -> None:
    """Raise `ValueError` if a store has no such variable, and name the nearest."""
    moving = {str(n) for n, v in dataset.items() if v.dims == ("basin", "time")} | set(DERIVED)
    static = {str(n) for n, v in dataset.items() if v.dims == ("basin",)}
    for key, names in series.items():
        _require_known(key, names, moving)
    _require_known("attributes", attributes, static)


def _require_known(key: str, names: Sequence[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.4)
            raise ValueError(
                f"data.{key}: expected a variable of the store, found '{name}'; the nearest there:"
                f" {', '.join(near) or 'none'}"
            )
