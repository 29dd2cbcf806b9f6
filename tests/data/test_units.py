"""The units of a network as a store: their rows, their attributes, and how a store is built."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dmg.config import Experiment, parse
from dmg.data.check import check
from dmg.data.manifest import broken_files
from dmg.data.network import generate
from dmg.data.parts import parts_folder
from dmg.data.sources.nhm import ATTRIBUTES, read_attributes
from dmg.data.sources.units import Units
from dmg.data.store import extract, initialise, manifest, merge, open_store, repair
from dmg.readers import open_reader
from dmg.verbs import extract as extract_verb

HERE = str(Path(__file__).parent)
NUM_UNITS = 22
LAYOUT = {"shard_basins": 6, "chunk_basins": 2, "chunk_days": 20}
ABOUT = {"source": "synthetic_network", "dataset": "net"}


class Ramp:
    """Weather that tells row and day; it may stop the process after some blocks."""

    variables = ("precipitation", "temperature_max")
    held_mb = 0.0

    def __init__(self, blocks_to_live=10**9, num_days=50):
        self.about = {"forcing": "ramp"}
        self.left, self.num_days = blocks_to_live, num_days

    def span(self):
        return np.datetime64("2000-01-01"), np.datetime64("2000-01-01") + self.num_days - 1

    def fingerprint(self):
        return "ramp"

    def blocks(self, rows, days):
        for name in self.variables:
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1
            yield name, (rows[:, None] + np.arange(len(days)) / 100).astype(np.float32)


def reader(network=None, **options):
    network = network or generate(NUM_UNITS, 1)
    none = partial(pd.DataFrame, index=network.unit_id)
    return Units(network, Ramp(**options), none, "net")


def build(path, num_parts=1, **options):
    initialise(reader(), path, **ABOUT, **(LAYOUT | options))
    for part in range(1, num_parts + 1):
        extract(reader(), path, part, num_parts)
    merge(path)
    return open_store(path)


def values(path):
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_rows_follow_the_network(tmp_path):
    network, store = generate(NUM_UNITS, 1), build(tmp_path / "u.zarr")
    assert store["basin"].values.tolist() == network.unit_id.tolist()
    assert list(store["precipitation"].values[:, 0]) == [*range(NUM_UNITS)]
    np.testing.assert_allclose(store["unit_area"], network.unit_area)
    np.testing.assert_allclose(store["area"], network.area[network.unit_reach])
    np.testing.assert_allclose(store["elevation"], network.unit_elevation)
    assert store["unit_area"].attrs["units"] == "km2"
    assert store.attrs["forcing"] == "ramp"
    assert "discharge" not in store
    assert check(tmp_path / "u.zarr").problems == []


def test_wanted_units_keep_the_networks_order():
    found = reader()
    ids = found.network.unit_id
    assert found.choose([ids[5], ids[2]]) == [ids[2], ids[5]]


def test_a_unit_off_the_network_has_its_own_area(tmp_path):
    network = generate(NUM_UNITS, 1)
    reach = np.r_[network.unit_reach[:-1], -1]
    static = reader(replace(network, unit_reach=reach)).attributes(network.unit_id.tolist())
    assert static["area"].iloc[-1] == network.unit_area[-1]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("unit_area", 0.0, "expected units with an area > 0, found 1 without: u04;"),
        ("unit_area", np.nan, "expected units with an area > 0, found 1 without: u04;"),
        ("unit_elevation", np.nan, "latitude, longitude and elevation, found 1 without: u04;"),
    ],
)
def test_units_without_area_or_place(name, value, message):
    network = generate(NUM_UNITS, 1)
    broken = getattr(network, name).copy()
    broken[3] = value
    with pytest.raises(ValueError, match=message):
        reader(replace(network, **{name: broken}))


def test_parts_and_layouts_hold_the_same(tmp_path):
    one, many = tmp_path / "one" / "u.zarr", tmp_path / "many" / "u.zarr"
    build(one)
    build(many, 3)
    assert values(one) == values(many)
    other = build(tmp_path / "u.zarr", shard_basins=8, chunk_basins=8)
    assert open_store(one)["precipitation"].equals(other["precipitation"])


KILLED = """
import sys; sys.path.insert(0, {tests!r})
from test_units import reader, extract
from pathlib import Path
extract(reader(blocks_to_live={blocks}), Path({path!r}), 1, 1)
"""


@pytest.mark.parametrize("blocks", [3, 4])
def test_a_killed_writer_goes_on_after_its_last_whole_shard(tmp_path, blocks):
    """Killed within the second shard, one variable written, and right after it."""
    path, whole = tmp_path / "u.zarr", tmp_path / "whole" / "u.zarr"
    build(whole)
    initialise(reader(), path, **ABOUT, **LAYOUT)
    script = KILLED.format(tests=HERE, blocks=blocks, path=str(path))
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list((parts_folder(path) / "shards").glob("*.json"))) == blocks // 2
    again = reader(blocks_to_live=8 - blocks // 2 * 2)  # 4 shards of 2 variables, less those done
    extract(again, path, 1, 1)
    assert again.weather.left == 0
    merge(path)
    assert values(path) == values(whole)


def test_two_workflows_on_one_store_are_refused(tmp_path):
    """Parts of one division are written side by side, the same shard only once."""
    from dmg.data.locks import shard_writer, sole_writer

    path = tmp_path / "u.zarr"
    initialise(reader(), path, **ABOUT, **LAYOUT)
    with shard_writer(path, [0, 1]):
        extract(reader(), path, 2, 2)
        for call in (
            lambda: extract(reader(), path, 1, 2),
            lambda: extract(reader(), path, 2, 3),
            lambda: initialise(reader(), path, **ABOUT, **LAYOUT),
            lambda: merge(path),
        ):
            with pytest.raises(ValueError, match="expected to be its only writer, found") as error:
                call()
            assert "\n" not in str(error.value)
        with pytest.raises(ValueError, match=f"shard 0: .* found process {os.getpid()} on "):
            extract(reader(), path, 1, 2)
    with sole_writer(path), pytest.raises(ValueError, match=f"found process {os.getpid()} on"):
        extract(reader(), path, 1, 2)
    extract(reader(), path, 1, 2)
    merge(path)


def test_one_broken_shard_is_found_and_repaired_alone(tmp_path):
    path = tmp_path / "u.zarr"
    build(path)
    before = values(path)
    (path / "precipitation/c/2/0").unlink()
    torn = path / "temperature_max/c/2/0"
    torn.write_bytes(torn.read_bytes()[:-7])
    problems = check(path).problems
    assert len(problems) == 1
    assert "shard 2: precipitation missing, temperature_max corrupt; repair it: dmg" in problems[0]
    assert f"--store {path} --shard 2" in problems[0]
    again = reader()
    others = (path / "precipitation/c/1/0").stat().st_mtime_ns
    repair(again, path, 2)
    assert (path / "precipitation/c/1/0").stat().st_mtime_ns == others
    assert values(path) == before
    assert check(path).problems == []


def test_repair_from_other_data_and_of_no_shard(tmp_path):
    path = tmp_path / "u.zarr"
    build(path)
    with pytest.raises(ValueError, match="expected a shard of the store, found number 9"):
        repair(reader(), path, 9)
    (path / "precipitation/c/2/0").unlink()
    other = reader()
    other.weather.blocks = lambda rows, days: iter(
        [("precipitation", np.zeros((len(rows), len(days)), np.float32))]
    )
    with pytest.raises(ValueError, match="shard 2: expected the recorded values of precipitation"):
        repair(other, path, 2)
    files = {name: sums[2] for name, sums in manifest(path).items()}
    assert broken_files(path, 2, files) == {"precipitation": "corrupt"}


def test_other_data_than_those_it_was_begun_with(tmp_path):
    path = tmp_path / "u.zarr"
    initialise(reader(), path, **ABOUT, **LAYOUT)
    other = reader()
    other.about["forcing"] = "slope"
    with pytest.raises(ValueError, match="the data it was begun with, found another forcing;"):
        extract(other, path, 1, 1)


def test_memory_chooses_the_shard_and_is_required(tmp_path):
    """A shard of 5 units x 20,000 days takes 1.4 MB as values and as they are packed."""
    from dmg.data.memory import BASE_MB, needed_mb

    many, days = reader(generate(400, 1), num_days=20_000), 20_000
    path = tmp_path / "u.zarr"
    layout = {"shard_basins": 200, "chunk_basins": 20, "chunk_days": 500}
    limit = needed_mb(many, 60, days) + 0.1
    initialise(many, path, **ABOUT, **layout, memory_mb=limit)
    with pytest.raises(ValueError, match=r"--memory-mb: expected at least \d+ for shards of 60 b"):
        extract(many, path, 1, 10, memory_mb=BASE_MB)
    with pytest.raises(ValueError, match="for shards of 20 basins x 20000 days, found 100; raise"):
        initialise(many, path, **ABOUT, **layout, memory_mb=100)
    initialise(many, path, **ABOUT, **layout)
    with pytest.raises(ValueError, match="for shards of 200 basins"):
        extract(many, path, 1, 2, memory_mb=limit)


PEAK = """
import sys; sys.path.insert(0, {tests!r})
from test_units import reader, extract, generate
from pathlib import Path
many = reader(generate({units}, 1), num_days=20_000)
extract(many, Path({path!r}), 1, 1, memory_mb={limit})
status = Path("/proc/self/status").read_text()  # ru_maxrss would begin at the parent's
print(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
"""


@pytest.mark.slow
def test_memory_is_held_however_many_units(tmp_path):
    peaks = {}
    for units in (300, 3000):
        path = tmp_path / str(units) / "u.zarr"
        many = reader(generate(units, 1), num_days=20_000)
        layout = {"shard_basins": 300, "chunk_basins": 30, "chunk_days": 365}
        initialise(many, path, **ABOUT, **layout, memory_mb=420)
        script = PEAK.format(tests=HERE, units=units, path=str(path), limit=420)
        done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
        peaks[units] = float(done.stdout)
    assert max(peaks.values()) < 420
    assert peaks[3000] < 1.1 * peaks[300]


# --------------------------------------------------------------------------------- NHM and YAML


def write_nhm(folder, names=("hru_slope", "soil_type")):
    folder.mkdir(parents=True)
    for name in names:
        lines = [f"{i},{i / 10}" for i in range(1, 5)]
        (folder / f"{name}.csv").write_text("\n".join([f"$id,{name}", *lines]))
    return folder


def test_attributes_of_the_nhm(tmp_path):
    write_nhm(tmp_path / "nhm_v11")
    units = np.array(["3", "1", "2"])
    for tree in (tmp_path, tmp_path / "nhm_v11"):
        found = read_attributes(tree, units)
        assert found["hru_slope"].tolist() == [0.3, 0.1, 0.2]
        assert list(found) == ["hru_slope", "soil_type"]
    assert found.attrs["units"]["hru_slope"] == "1"
    assert set(found.attrs["long_names"]) == set(ATTRIBUTES)
    with pytest.raises(ValueError, match=r"soil_type\.csv|hru_slope\.csv: expected a value of ev"):
        read_attributes(tmp_path, np.array(["3", "9"]))


def experiment(**data):
    period = {"start": "2000-01-01", "end": "2000-01-20"}
    later = {"start": "2000-01-21", "end": "2000-02-10"}
    return parse(
        Experiment,
        {"data": {"split": {"kind": "temporal", "train": period, "test": later}} | data},
        "e.yaml",
    )


def test_a_store_of_a_generated_network_from_its_configuration(tmp_path):
    """By the verb: network from a file, weather from a store of basins."""
    from weather.places import write_basins

    tree, stores = tmp_path / "raw" / "net", tmp_path / "results" / "stores"
    network = generate(NUM_UNITS, 1)
    network.write(tree / "network.zarr")
    write_basins(stores / "basins.zarr")
    chosen = experiment(
        source="synthetic_network", dataset="net", synthetic_network={},
        forcing={"name": "spatial_interpolation", "store": "basins"},
        layout={"shard_basins": 8, "chunk_basins": 4, "chunk_days": 30},
    )  # fmt: skip
    path = stores / "net.zarr"
    extract_verb(chosen, tmp_path / "raw", path)
    for part in ("1-of-2", "2-of-2"):
        extract_verb(chosen, tmp_path / "raw", path, part=part, memory_mb=800)
    merge(path)
    store = open_store(path)
    assert store["temperature_min"].notnull().all()
    assert store["basin"].values.tolist() == network.unit_id.tolist()
    assert store.attrs["forcing_store"] == "basins"
    (path / "temperature_min/c/0/0").unlink()
    extract_verb(chosen, tmp_path / "raw", path, shard=0)
    assert check(path).problems == []
    reader = open_reader(chosen.data, tree, stores)
    assert reader.variables == ("precipitation", "temperature_min", "temperature_max")


def test_a_grid_from_its_configuration(tmp_path):
    from weather.test_gridded import write_grid

    tree = tmp_path / "net"
    network = generate(3, 1)
    places = {"unit_latitude": [40.1, 41, 42], "unit_longitude": [-99.2, -98, -97]}
    network = replace(network, **{n: np.array(v, float) for n, v in places.items()})
    network.write(tree / "network.zarr")
    chosen = experiment(
        source="synthetic_network", dataset="net", synthetic_network={},
        forcing={
            "name": "gridded", "path": str(write_grid(tmp_path / "grid.zarr")),
            "latitude": "lat", "longitude": "lon",
            "variables": {"precipitation": {"name": "APCP", "daily": "sum"}},
            "period": {"start": "2000-01-02", "end": "2000-01-03"},
        },
    )  # fmt: skip
    found = open_reader(chosen.data, tree, tmp_path)
    days = np.arange(*found.span(found.choose(None)), dtype="datetime64[D]")
    [(name, rain)] = found.blocks(found.choose(None), days)
    assert name == "precipitation"
    np.testing.assert_allclose(rain[:, 0], [1, 7, 13])
    assert list(tmp_path.glob("net.weights-*.npz"))
