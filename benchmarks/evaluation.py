"""Scoring of 531 basins over ten years: all metrics, signatures, peaks, classes of basins.

    python benchmarks/evaluation.py [--basins 531] [--years 10] [--seeds 1]

Flows are generated and written as the stages before leave them, so that reading counts; they lie
in the page cache.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from measure import environment, table

from dmg.data.return_periods import from_daily
from dmg.data.template import strings
from dmg.data.zarrs import consolidate, encode
from dmg.metrics import METRICS
from dmg.metrics.signatures import SIGNATURES
from dmg.score import Details, score, summarise, write_groups
from dmg.score.files import FlowFile

SPINUP_YEARS = 10  # before the test period, as in a record; return periods need them too


def series(name: str, values: np.ndarray, basins: list[str], days: pd.DatetimeIndex) -> xr.Dataset:
    variables = {name: (("basin", "time"), values.astype(np.float32), {"units": "mm d-1"})}
    coords = {"basin": strings(basins), "time": days.astype("datetime64[s]")}
    return xr.Dataset(variables, coords)


def write(dataset: xr.Dataset, path: Path) -> None:
    dataset.to_zarr(path, encoding=encode(dataset, 64, 8, 1461), consolidated=False)
    consolidate(path)


def make(folder: Path, num_basins: int, years: int, seeds: int) -> list[Path]:
    """Write store, derived flow, split and predictions."""
    rng = np.random.default_rng(0)
    basins = [f"{i:08d}" for i in range(1, num_basins + 1)]
    last = 1999
    days = pd.date_range(f"{last - years - SPINUP_YEARS}-10-01", f"{last}-09-30")
    rain = rng.gamma(0.3, 10, (num_basins, len(days))) * (rng.random((num_basins, len(days))) < 0.5)
    store = np.exp(-np.arange(40) / rng.uniform(2, 12, (num_basins, 1)))
    kernel = store / store.sum(axis=1, keepdims=True)
    flow = np.stack([np.convolve(p, k)[: len(days)] for p, k in zip(rain, kernel, strict=True)])
    regions = strings([f"{i % 18 + 1:02d}" for i in range(num_basins)])
    static = {
        "area": ("basin", rng.lognormal(6, 1, num_basins)),
        "aridity": ("basin", rng.uniform(0.3, 3, num_basins)),
        "huc_02": ("basin", regions),
    }
    write(series("precipitation", rain, basins, days).assign(static), folder / "store.zarr")
    observed = flow + 0.02
    observed[rng.random(flow.shape) < 0.001] = np.nan
    write(series("streamflow", observed, basins, days), folder / "preprocess/derived.zarr")
    test = [(b, "all", "test", f"{last - years}-10-01", f"{last}-09-30") for b in basins]
    columns = ["basin_id", "fold", "role", "start", "end"]
    split = pd.DataFrame(test, columns=columns)
    split.to_csv(folder / "preprocess/splits.csv", index=False)
    paths = [folder / f"all/seed{seed}/predictions.zarr" for seed in range(seeds)]
    for path in paths:
        sim = flow * rng.lognormal(0, 0.3, flow.shape) + 0.05
        write(series("streamflow", sim, basins, days), path)
    return paths


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall clock and of CPU."""
    start, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - busy


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--basins", type=int, default=531)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make(folder, options.basins, options.years, options.seeds)
        derived = FlowFile(folder / "preprocess/derived.zarr")
        basins, scores = list(derived.basins), folder / "scores.csv"
        found: list[pd.DataFrame] = []

        def return_periods() -> None:
            found.append(from_daily(basins, derived.read(basins, derived.days), derived.days))

        def all_tables() -> None:
            details = Details(folder / "peaks.csv", folder / "signatures.csv", found[0],
                              FlowFile(folder / "store.zarr", "precipitation"))  # fmt: skip
            score(paths, folder / "preprocess", scores, metrics=list(METRICS), model="generated",
                  details=details)  # fmt: skip

        works = {
            "return periods (Bulletin 17B)": return_periods,
            f"{len(METRICS)} metrics, {2 * len(SIGNATURES)} signatures, peaks": all_tables,
            "medians with intervals": lambda: summarise(scores, folder / "summary.csv"),
            "classes of basins": lambda: write_groups(scores, folder / "store.zarr",
                                                      folder / "groups.csv"),
        }  # fmt: skip
        times = {title: timed(work) for title, work in works.items()}
    times["all"] = tuple(sum(column) for column in zip(*times.values(), strict=True))
    rows = [(title, *(f"{s:.1f}" for s in seconds)) for title, seconds in times.items()]
    print(environment())
    print(f"\n{options.basins} basins, {options.years} years, {options.seeds} seeds\n")
    print(table(["stage", "time [s]", "CPU [s]"], rows))


if __name__ == "__main__":
    main()
