"""Training from a store on the disk against the same with all data in memory.

Steps of δHBV 1.0, as `Trainer` makes them: one thread reads the next batch while the model works on
this one. "disk": memory for series (`train.cache_mb`) is a tenth of the store, and the operating
system is told to forget the store's files before each epoch. Epochs are run in turn.

    python benchmarks/loader.py --basins 2000 --years 20 --steps 8
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from training_step import FORCINGS, NUM_ATTRIBUTES, make_model

from dmg.batch import Batch
from dmg.data.loader import DataLoader, open_loader
from dmg.data.sampler import DataSampler
from dmg.data.template import strings
from dmg.data.zarrs import consolidate, encode

NAMES = (*FORCINGS, "streamflow")


def write_store(path: Path, num_basins: int, years: int, layout: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    days = pd.date_range("1980-01-01", periods=round(365.25 * years)).astype("datetime64[s]")
    size = (num_basins, len(days))
    ranges = {"precipitation": (0, 20), "temperature": (-10, 25), "pet": (0, 5)}
    series = {
        name: (("basin", "time"), rng.uniform(*ranges.get(name, (0, 9)), size).astype(np.float32))
        for name in NAMES
    }
    static = {f"a{i}": ("basin", rng.normal(size=num_basins)) for i in range(NUM_ATTRIBUTES)}
    ids = strings([f"{i:08d}" for i in range(num_basins)])
    dataset = xr.Dataset({**series, **static}, {"basin": ids, "time": days})
    chunk_basins, chunk_days, shard_basins = layout
    encoding = encode(dataset, shard_basins, chunk_basins, chunk_days)
    dataset.to_zarr(path, encoding=encoding, consolidated=False, zarr_format=3)
    consolidate(path)


def forget(path: Path) -> None:
    """Take the files out of the page cache."""
    os.sync()
    for file in (p for p in path.rglob("*") if p.is_file()):
        handle = os.open(file, os.O_RDONLY)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def open_data(path: Path, cache_mb: float) -> DataLoader:
    attributes = [f"a{i}" for i in range(NUM_ATTRIBUTES)]
    return open_loader(
        [path], forcings=FORCINGS, attributes=attributes, target="streamflow", cache_mb=cache_mb
    )


def epoch(
    model: torch.nn.Module, loader: DataLoader, sampler: DataSampler, number: int
) -> list[float]:
    """Seconds of each step, of waiting for data, and of the processor in all."""

    def read(step: int) -> Batch:
        windows = sampler.windows(number, step)
        return loader.batch(windows.basins, windows.starts, windows.length, sampler.warmup)

    waited, times, began = 0.0, [], time.process_time()
    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(read, 0)
        for step in range(sampler.steps_per_epoch):
            start = time.perf_counter()
            batch = ahead.result()
            waited += time.perf_counter() - start
            ahead = reader.submit(read, step + 1)
            loss = model(batch).fluxes["streamflow"].sub(batch.target[batch.warmup :]).square()
            loss.mean().backward()
            model.zero_grad()
            times.append(time.perf_counter() - start)
    return [*times, waited, time.process_time() - began]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--basins", type=int, default=2000)
    options.add_argument("--years", type=int, default=20)
    options.add_argument("--steps", type=int, default=8)
    options.add_argument("--epochs", type=int, default=3)
    options.add_argument("--hidden", type=int, default=256)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--layout", type=int, nargs=3, default=(8, 1461, 64))
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.zarr"
        write_store(path, chosen.basins, chosen.years, tuple(chosen.layout))
        days = round(365.25 * chosen.years)
        size_mb = 4e-6 * len(NAMES) * chosen.basins * days
        loaders = {"memory": open_data(path, 2 * size_mb), "disk": open_data(path, size_mb / 10)}
        for first in range(0, chosen.basins, 100):
            rows = np.arange(first, min(first + 100, chosen.basins))
            loaders["memory"].batch(rows, np.zeros(len(rows), int), days)
        sampler = DataSampler(
            np.arange(chosen.basins), 0, days - 1, batch_size=100, window=365, warmup=365, seed=0,
            steps_per_epoch=chosen.steps,
        )  # fmt: skip
        model = make_model(chosen.hidden, 16)
        epoch(model, loaders["memory"], sampler, 0)
        found: dict[str, list[list[float]]] = {name: [] for name in loaders}
        for number in range(1, chosen.epochs + 1):
            for name, loader in loaders.items():
                if name == "disk":
                    forget(path)
                found[name].append(epoch(model, loader, sampler, number))
        print(f"store {size_mb:.0f} MB, {chosen.steps} steps of 100 windows x 730 days")
        print("| data | epoch [s] | min-max | waited for data [s] | processor [s] |")
        print("|---|---:|---:|---:|---:|")
        for name, runs in found.items():
            sums = [sum(run[:-2]) for run in runs]
            waited, busy = (statistics.median(run[i] for run in runs) for i in (-2, -1))
            middle = statistics.median(sums)
            print(
                f"| {name} | {middle:.2f} | {min(sums):.2f}-{max(sums):.2f} | {waited:.2f} |"
                f" {busy:.2f} |"
            )


if __name__ == "__main__":
    main()
