"""Peak memory of a training against the number of basins in the store.

Each store holds random weather of as many basins as asked for, 20 years long; a small δHBV is
trained on all of them for some steps in a process of its own, with the loader's cache at 64 MB.

    python benchmarks/memory.py --basins 500 2000 8000
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from dmg.data.loader import open_loader
from dmg.data.sampler import DataSampler
from dmg.data.zarrs import consolidate, encode
from dmg.delta import DeltaModel, parameter_map
from dmg.handler import ModelHandler
from dmg.losses import Mse
from dmg.nn import Lstm
from dmg.normalizer import Normalizer
from dmg.phy.hbv_1_0 import Hbv10
from dmg.routing import UnitHydrograph
from dmg.train import Trainer

FORCINGS = ("precipitation", "temperature", "pet")
NUM_DAYS = 7305


def write_store(path: Path, num_basins: int, block: int = 512) -> None:
    """Write random series in blocks of basins."""
    import dask.array as da

    rng = da.random.default_rng(0)
    size, chunks = (num_basins, NUM_DAYS), (block, NUM_DAYS)
    series = {
        "precipitation": 8 * rng.random(size, chunks=chunks, dtype="f4"),
        "temperature": 20 * rng.random(size, chunks=chunks, dtype="f4"),
        "pet": 4 * rng.random(size, chunks=chunks, dtype="f4"),
        "streamflow": 3 * rng.random(size, chunks=chunks, dtype="f4"),
    }
    days = np.arange(NUM_DAYS) * np.timedelta64(1, "D")
    store = xr.Dataset(
        {name: (("basin", "time"), values) for name, values in series.items()},
        {
            "basin": np.array([f"{i:08d}" for i in range(num_basins)], dtype=object),
            "time": np.datetime64("2000-01-01", "ns") + days,
        },
    )  # fmt: skip
    store.to_zarr(path, zarr_format=3, consolidated=False, encoding=encode(store, block, 8, 1461))
    consolidate(path)


def train(path: Path, steps: int, cache_mb: int) -> None:
    """Train and print the peak memory of this process [MB]."""
    torch.set_num_threads(1)
    phy, routing = Hbv10(), UnitHydrograph(15)
    parameters = parameter_map(phy, routing, (), 4)
    net = Lstm(len(FORCINGS), 0, parameters.num_dynamic, parameters.num_static, hidden_size=64)
    normalizer = Normalizer(dict.fromkeys(FORCINGS, (1.0, 2.0)), {})
    model = DeltaModel(net, phy, routing, normalizer=normalizer, parameters=parameters)
    loader = open_loader([path], forcings=FORCINGS, target="streamflow", cache_mb=cache_mb)
    sampler = DataSampler(
        range(len(loader.basin_ids)), 0, NUM_DAYS - 1, batch_size=100, window=365, warmup=365,
        seed=0, steps_per_epoch=steps,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as run_dir:
        handler = ModelHandler(model)
        Trainer(
            handler=handler, loss=Mse(), loader=loader, sampler=sampler, epochs=1,
            optimizer=torch.optim.Adam(handler.parameters()), run_dir=Path(run_dir),
            target="streamflow",
        ).fit()  # fmt: skip
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--basins", type=int, nargs="+", default=[500, 2000, 8000])
    options.add_argument("--steps", type=int, default=20)
    options.add_argument("--cache-mb", type=int, default=64)
    options.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.store:
        train(chosen.store, chosen.steps, chosen.cache_mb)
        return
    print(
        "| basins in the store | series [MB] | peak memory of the training [MiB] |\n|---|---|---|"
    )
    for num_basins in chosen.basins:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "store.zarr"
            write_store(path, num_basins)
            command = [sys.executable, __file__, "--store", str(path), "--steps", str(chosen.steps)]
            command += ["--cache-mb", str(chosen.cache_mb)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            megabytes = 4 * num_basins * NUM_DAYS * 4 / 1e6
            print(f"| {num_basins} | {megabytes:.0f} | {float(done.stdout):.0f} |", flush=True)


if __name__ == "__main__":
    main()
