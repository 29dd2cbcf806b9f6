"""Stores of many units: which chunks and shards, and how fast they are built.

    python benchmarks/store.py layouts      # both access patterns, by layout
    python benchmarks/store.py speeds       # extract + preprocess against the codec alone
    python benchmarks/store.py peaks        # memory, for some units and ten times as many

Weather is that of generated stations, interpolated to generated units as the real one is, so that
it compresses alike. Files stay in the page cache: what is measured is unpacking, not the disk.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import xarray as xr
import zarr
from measure import own_process, resident
from numcodecs import blosc

from dmg.data.derive_store import derive_store
from dmg.data.network import generate
from dmg.data.sources.units import Units
from dmg.data.store import FORMAT_VERSION, extract, initialise, merge, open_store
from dmg.data.template import strings
from dmg.data.variables import DYNAMIC
from dmg.data.weather.interpolation import InterpolatedWeather
from dmg.data.zarrs import consolidate, encode
from dmg.synthetic.basins import make_basins
from dmg.synthetic.weather import make_weather

T = TypeVar("T")
NAMES = ("precipitation", "temperature_min", "temperature_max")
LAYOUTS = {  # basins and days of a chunk, basins of a shard
    "8 x 1461 / 64": (8, 1461, 64),
    "32 x 365 / 1024": (32, 365, 1024),
    "64 x 365 / 1024": (64, 365, 1024),
    "64 x 731 / 1024": (64, 731, 1024),
    "128 x 365 / 1024": (128, 365, 1024),
    "256 x 73 / 1024": (256, 73, 1024),
    "256 x 183 / 1024": (256, 183, 1024),
    "256 x 365 / 1024": (256, 365, 1024),
    "512 x 365 / 1024": (512, 365, 1024),
    "1024 x 30 / 1024": (1024, 30, 1024),
}


def write_stations(path: Path, years: int, count: int = 100) -> None:
    """Write a store of generated basins."""
    streams = np.random.default_rng(1).spawn(2)
    basins = make_basins(count, streams[0])
    days = pd.date_range("1990-01-01", periods=round(365.25 * years))
    weather = make_weather(basins, days, streams[1])
    series = {
        name: (("basin", "time"), weather[name].astype(np.float32), DYNAMIC[name].attrs())
        for name in NAMES
    }
    static = {
        "latitude": ("basin", basins["gauge_lat"]),
        "longitude": ("basin", basins["gauge_lon"]),
        "elevation": ("basin", basins["elev_mean"]),
        "area": ("basin", basins["area_gages2"]),
    }
    coords = {"basin": strings(basins.index.tolist()), "time": days.astype("datetime64[s]")}
    dataset = xr.Dataset({**series, **static}, coords, {"format_version": FORMAT_VERSION})
    dataset.to_zarr(path, encoding=encode(dataset, 64, 8, 1461), consolidated=False)
    consolidate(path)


def make_reader(stations: Path, num_units: int) -> Units:
    network = generate(num_units, 1)
    weather = InterpolatedWeather(
        stations,
        network.unit_latitude,
        network.unit_longitude,
        network.unit_elevation,
        variables=NAMES,
    )
    return Units(network, weather, lambda: pd.DataFrame(index=network.unit_id), "generated")


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Least of some times of the processor, all threads: others may be at work on this machine."""
    return min(clock(work)[0] for _ in range(repeats))


def build(reader: Units, store: Path, layout: tuple[int, int, int]) -> None:
    begin(reader, store, layout)
    extract(reader, store, 1, 1)
    merge(store)


def begin(reader: Units, store: Path, layout: tuple[int, int, int]) -> None:
    chunk_basins, chunk_days, shard = layout
    initialise(
        reader, store, source="synthetic_network", dataset="bench",
        chunk_basins=chunk_basins, chunk_days=chunk_days, shard_basins=shard,
    )  # fmt: skip


def reads(store: Path) -> dict[str, Callable[[], object]]:
    """The access patterns, each for all variables."""
    arrays = [zarr.open_array(store / name, mode="r") for name in NAMES]
    units, days = arrays[0].shape
    draw = np.random.default_rng(0)
    firsts = draw.integers(units - 8, size=50)
    starts = draw.integers(days - 730, size=50)

    def block(rows: slice, columns: slice) -> Callable[[], object]:
        return lambda: [a[rows, columns] for a in arrays]

    def gauges() -> object:
        return [
            a[int(f) : int(f) + 8, int(s) : int(s) + 730]
            for a in arrays
            for f, s in zip(firsts, starts, strict=True)
        ]

    return {
        "1024 units, all days": block(slice(1024, 2048), slice(None)),
        "50 x (8 units, 730 days)": gauges,
        "all units, 30 days": block(slice(None), slice(1000, 1030)),
        "all units, 365 days": block(slice(None), slice(1000, 1365)),
    }


def layouts(folder: Path, num_units: int, years: int) -> None:
    stations = folder / "stations.zarr"
    write_stations(stations, years)
    reader = make_reader(stations, num_units)
    rows = []
    for name, layout in LAYOUTS.items():
        store = folder / "units.zarr"
        took, _ = clock(partial(build, reader, store, layout))
        files = [f for n in NAMES for f in (store / n).rglob("*") if f.is_file()]
        size = sum(f.stat().st_size for f in files) / 1e6
        times = {what: seconds(work) for what, work in reads(store).items()}
        rows.append({"chunk / shard": name, "build [s]": took, "MB": size, "files": len(files)}
                    | {f"{what} [s]": value for what, value in times.items()})  # fmt: skip
        shutil.rmtree(store)
        print(pd.DataFrame(rows).round(3).to_string(index=False), flush=True)


def pack(values: np.ndarray, layout: tuple[int, int, int]) -> list[bytes]:
    """Pack an array `[B, T]` chunk by chunk, in memory, as a store does."""
    rows, days = layout[:2]
    edge = -values.shape[0] % rows, -values.shape[1] % days
    whole = np.pad(values, ((0, edge[0]), (0, edge[1])), constant_values=np.nan)
    chunks = whole.reshape(whole.shape[0] // rows, rows, -1, days).swapaxes(1, 2)
    return [
        blosc.compress(np.ascontiguousarray(c), b"zstd", 3, blosc.SHUFFLE)
        for block in chunks
        for c in block
    ]


def unpack(chunks: list[bytes]) -> None:
    for chunk in chunks:
        blosc.decompress(chunk)


def clock(work: Callable[[], T]) -> tuple[float, T]:
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def speeds(folder: Path, num_units: int, years: int) -> None:
    """Extract and preprocess shard after shard, in turn with the codec alone.

    Times are those of the processor, all threads together: other work does not count.
    """
    blosc.use_threads = False
    layout = LAYOUTS["256 x 365 / 1024"]
    stations, store, out = folder / "stations.zarr", folder / "units.zarr", folder / "out"
    write_stations(stations, years)
    reader = make_reader(stations, num_units)
    begin(reader, store, layout)
    ids = reader.choose(None)
    first, last = reader.span(ids)
    days = np.arange(first, last + 1)
    parts = [ids[i : i + layout[2]] for i in range(0, len(ids), layout[2])]
    dict(reader.blocks(ids[:1], days))  # the basins are read once
    size = extracted = alone = unpacking = packing = 0.0
    for number, part in enumerate(parts):
        extracted += clock(partial(extract, reader, store, number + 1, len(parts)))[0]
        for name, values in reader.blocks(part, days):
            took, packed = clock(partial(pack, values, layout))
            size, alone = size + values.nbytes / 1e6, alone + took
            unpacking += 0 if name == "precipitation" else clock(partial(unpack, packed))[0]
    merge(store)
    out.mkdir()
    derived, _ = clock(partial(derive_units, store, out, ids))
    for name in ("temperature", "pet"):
        array = zarr.open_array(out / "derived.zarr" / name, mode="r")
        for start in range(0, len(ids), layout[2]):
            packing += clock(partial(pack, array[start : start + layout[2]], layout))[0]
    show_speeds(size, extracted, alone, derived, packing + unpacking)


def derive_units(store: Path, out: Path, ids: list[str]) -> None:
    derive_store(
        store, out / "derived.zarr", ids, {"all": {}}, (),
        log_forcings=(), pet="hargreaves", workers=0, logs=out,
    )  # fmt: skip


def show_speeds(mb: float, extracted: float, alone: float, derived: float, codec: float) -> None:
    """Print a row for each stage; preprocessing reads two variables and writes two."""
    moved = 4 / 3 * mb
    rows = [
        ("extract", mb, extracted, alone),
        ("preprocess", moved, derived, codec),
        ("both", mb + moved, extracted + derived, alone + codec),
    ]
    print("| stage | MB | MB/s | codec alone [MB/s] | share |\n|---|---:|---:|---:|---:|")
    for stage, size, took, least in rows:
        print(
            f"| {stage} | {size:.0f} | {size / took:.0f} | {size / least:.0f} |"
            f" {least / took:.0%} |"
        )


def peaks(folder: Path, num_units: int, years: int) -> None:
    """Peak memory of extraction and of preprocessing, for some units and ten times as many."""
    print("| units | extract [MB] | preprocess [MB] |\n|---:|---:|---:|")
    write_stations(folder / "stations.zarr", years)
    for count in (num_units // 10, num_units):
        found = [
            own_process(__file__, stage, "--units", count, "--years", years, "--folder", folder)[-1]
            for stage in ("peak-of-extract", "peak-of-preprocess")
        ]
        print(f"| {count} | {found[0]:.0f} | {found[1]:.0f} |", flush=True)


def peak(stage: str, folder: Path, num_units: int) -> None:
    """Print the peak of this process in one stage; the first leaves the store for the second."""
    store = folder / f"{num_units}.zarr"
    if stage == "peak-of-extract":
        build(make_reader(folder / "stations.zarr", num_units), store, LAYOUTS["256 x 365 / 1024"])
    else:
        (folder / f"{num_units}").mkdir()
        ids = [str(b) for b in open_store(store)["basin"].values]
        derive_units(store, folder / f"{num_units}", ids)
    print(resident("VmHWM"))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    works = {"layouts": layouts, "speeds": speeds, "peaks": peaks}
    options.add_argument("what", choices=[*works, "peak-of-extract", "peak-of-preprocess"])
    options.add_argument("--units", type=int, default=9000)
    options.add_argument("--years", type=int, default=10)
    options.add_argument("--folder", type=Path)
    chosen = options.parse_args()
    if chosen.what not in works:
        peak(chosen.what, chosen.folder, chosen.units)
        return
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        works[chosen.what](Path(folder), chosen.units, chosen.years)


if __name__ == "__main__":
    main()
