"""Simulation of a whole country: where the time goes, how much memory it takes.

A generated river network with a unit on each reach, random weather, δHBV 2.0 with an LSTM of 64,
four components, three dynamic parameters, 20 attributes, hourly Muskingum-Cunge. Units are
simulated by processes of one thread each, rivers by as many threads. Forty years are
extrapolated: cost is linear in days.

    python benchmarks/national.py                                     # 180,000 units, one year
    python benchmarks/national.py --units 2000 --folder results/tmp   # does it work?
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import torch
import xarray as xr
from measure import environment, resident, table

from dmg import simulate
from dmg.build_model import build_handler
from dmg.checkpoint import save_model
from dmg.config import Experiment, parse, resolved
from dmg.data.loader import DataLoader
from dmg.data.network import Network, generate
from dmg.data.store import FORMAT_VERSION
from dmg.data.zarrs import consolidate, encode
from dmg.routing import MuskingumCunge
from dmg.simulation import Simulation

YEARS, DAYS = 40, 14_610
FORCINGS = ("precipitation", "temperature", "pet")
ATTRIBUTES = tuple(f"attribute_{i}" for i in range(20))
BLOCK = 1024


def experiment(bfloat16: bool) -> Experiment:
    content: dict[str, Any] = {
        "data": {
            "source": "nhm",
            "dataset": "country",
            "forcing": {"name": "spatial_interpolation", "store": "none"},
            "gauges": {"store": "none"},
            "forcings": FORCINGS,
            "attributes": ATTRIBUTES,
            "split": {
                "kind": "temporal",
                "train": {"start": "2000-01-01", "end": "2000-06-30"},
                "test": {"start": "2000-07-01", "end": "2000-12-30"},
            },
        },
        "model": {
            "phy": {"name": "hbv_2_0", "dynamic": ["BETA", "K0", "BETAET"]},
            "nn": {
                "name": "lstm_mlp",
                "hidden_size": 64,
                "precision": "bfloat16" if bfloat16 else "float32",
            },
            "num_components": 4,
            "routing": {"name": "muskingum_cunge"},
        },
        "simulate": {"block_units": BLOCK, "chunk_days": 365},
    }
    return parse(Experiment, content, "benchmark")


def prepare(folder: Path, num_units: int, num_days: int, bfloat16: bool) -> None:
    """Network, store of weather and a model that nobody has trained."""
    net = generate(num_units, seed=1)
    net.write(folder / "network.zarr")
    _weather(folder / "units.zarr", net, num_days)
    one = {"mean": 1.0, "std": 2.0}
    statistics = {
        "forcings": dict.fromkeys(FORCINGS, one),
        "attributes": dict.fromkeys(ATTRIBUTES, one),
        "target": one,
        "categories": {},
        "target_std": {},
    }
    settings = experiment(bfloat16)
    torch.manual_seed(0)
    save_model(
        folder / "model.pt", build_handler(settings, statistics), config=resolved(settings),
        digest="benchmark", statistics=statistics, fold="all", seed="seed0",
    )  # fmt: skip


def _weather(path: Path, net: Network, num_days: int) -> None:
    rng, num = np.random.default_rng(0), net.num_units
    days = np.datetime64("2000-01-01", "ns") + np.arange(num_days) * np.timedelta64(1, "D")
    names = {"precipitation": "mm d-1", "temperature_min": "degC", "temperature_max": "degC"}
    static = {
        "area": net.area[net.unit_reach],
        "unit_area": net.unit_area,
        "elevation": net.unit_elevation,
        "latitude": net.unit_latitude,
        **{name: rng.normal(1, 2, num) for name in ATTRIBUTES},
    }
    empty = dask.array.zeros((num, num_days), chunks=(BLOCK, num_days), dtype=np.float32)
    store = xr.Dataset(
        {n: (("basin", "time"), empty, {"units": u}) for n, u in names.items()}
        | {n: ("basin", values) for n, values in static.items()},
        {"basin": net.unit_id.astype(object), "time": days},
        {"format_version": FORMAT_VERSION},
    )
    encoding = encode(store, BLOCK, 64, 365)
    store.to_zarr(path, zarr_format=3, consolidated=False, encoding=encoding, compute=False)
    season = 8 + 10 * np.sin(2 * np.pi * np.arange(num_days) / 365.25)
    for first in range(0, num, BLOCK):
        size = min(BLOCK, num - first), num_days
        mean = season + rng.normal(0, 3, size)
        values = (rng.gamma(0.4, 8, size) * (rng.random(size) < 0.5), mean - 5, mean + 5)
        block = {n: torch.from_numpy(v.T) for n, v in zip(names, values, strict=True)}
        simulate.files.write(path, range(first, first + size[0]), range(num_days), block)
    consolidate(path)


class Clock:
    """Seconds that calls take, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def around(self, owner: Any, name: str, label: str) -> None:
        inner: Callable[..., Any] = getattr(owner, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            result = inner(*arguments, **options)
            spent = time.perf_counter() - start
            self.seconds[label] = self.seconds.get(label, 0.0) + spent
            return result

        setattr(owner, name, timed)


def run(folder: Path, stage: str, threads: int, bfloat16: bool) -> None:
    """Run a stage in this process, and print its seconds by part and its peak memory."""
    torch.set_num_threads(threads)
    places = folder / "model.pt", folder / "units.zarr", folder, folder / "out"
    start = time.perf_counter()
    simulation = Simulation(experiment(bfloat16), *places)
    clock = Clock()
    clock.seconds["start"] = time.perf_counter() - start
    if stage == "init":
        (folder / "out").mkdir(exist_ok=True)
        simulation.begin()
    elif stage == "rivers":
        clock.around(simulate.rivers, "_days", "read")
        clock.around(MuskingumCunge, "forward", "routing")
        clock.around(simulate.rivers, "write", "write")
        simulation.rivers(folder / "network.zarr")
    else:
        clock.around(DataLoader, "batch", "read")
        clock.around(simulation.model.nn, "forward", "network")
        clock.around(simulation.model, "_simulate", "physics")
        clock.around(simulate.units, "write", "write")
        clock.around(simulate.progress.Progress, "write", "state")
        simulation.units(*map(int, stage.split("-of-")))
    whole = time.perf_counter() - start
    print(json.dumps({"whole": whole, "peak": resident("VmHWM"), **clock.seconds}), flush=True)


def spawn(folder: Path, stage: str, threads: int, bfloat16: bool) -> subprocess.Popen[str]:
    options = ["--folder", folder, "--stage", stage, "--threads", threads]
    command = [sys.executable, __file__, *map(str, options), *["--bfloat16"] * bfloat16]
    own = os.environ | {"OMP_NUM_THREADS": str(threads)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=own)


def finished(process: subprocess.Popen[str]) -> dict[str, float]:
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"a stage failed with status {process.returncode}")
    found: dict[str, float] = json.loads(out.splitlines()[-1])
    return found


def measure(folder: Path, num_days: int, processes: int, bfloat16: bool) -> str:
    finished(spawn(folder, "init", 1, bfloat16))
    start = time.perf_counter()
    running = [spawn(folder, f"{k + 1}-of-{processes}", 1, bfloat16) for k in range(processes)]
    units = [finished(p) for p in running]
    of_units = time.perf_counter() - start
    rivers = finished(spawn(folder, "rivers", processes, bfloat16))
    once = of_units - max(u["whole"] - u["start"] for u in units) + rivers["start"]
    parts = ("read", "network", "physics", "write", "state")
    rows = [(f"units: {n}", max(u.get(n, 0.0) for u in units)) for n in parts]
    rest = max(u["whole"] - u["start"] for u in units) - sum(seconds for _, seconds in rows)
    rows += [("units: the rest", rest)]
    of_rivers = [(f"rivers: {n}", rivers.get(n, 0.0)) for n in ("read", "routing", "write")]
    rest = rivers["whole"] - rivers["start"] - sum(seconds for _, seconds in of_rivers)
    rows += [*of_rivers, ("rivers: the rest", rest)]
    scale = DAYS / num_days
    lines = [(n, f"{seconds:.1f}", f"{seconds * scale / 60:.1f}") for n, seconds in rows]
    lines.append(("once: start of the processes", f"{once:.1f}", f"{once / 60:.1f}"))
    whole = sum(seconds for _, seconds in rows)
    lines.append(("everything", f"{whole + once:.1f}", f"{(whole * scale + once) / 60:.1f}"))
    peak = sum(u["peak"] for u in units), rivers["peak"]
    title = f"{num_days} days, {processes} processes of one thread"
    return (
        table([title, "time [s]", f"{YEARS} years [min]"], lines)
        + f"\n\nPeak memory: units {peak[0]:.0f} MiB (all processes), rivers {peak[1]:.0f} MiB."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, default=180_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true", help="LSTM in bfloat16")
    parser.add_argument("--folder", type=Path, default=Path("results/benchmarks/national"))
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stage:
        return run(args.folder, args.stage, args.threads, args.bfloat16)
    print(f"{environment()}\n{args.units:,} units and reaches, LSTM"
          f" {'bfloat16' if args.bfloat16 else 'float32'}\n")  # fmt: skip
    args.folder.mkdir(parents=True, exist_ok=True)
    if not (args.folder / "units.zarr").exists():
        prepare(args.folder, args.units, args.days, args.bfloat16)
    shutil.rmtree(args.folder / "out", ignore_errors=True)
    print(measure(args.folder, args.days, args.processes, args.bfloat16))
    return None


if __name__ == "__main__":
    main()
