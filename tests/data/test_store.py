"""The store: the same whoever writes it, whole or absent, and checked at every step."""

import errno
import json
import multiprocessing
import shutil

import numpy as np
import pytest
import trees
import xarray as xr
import zarr

from dmg.data import store as store_module
from dmg.data.parts import parts_folder, record_path, shards_of_part
from dmg.data.sources.camels_us import CamelsUs
from dmg.data.store import initialise, merge, open_store
from dmg.data.variables import DYNAMIC
from dmg.data.zarrs import encode

BASINS = tuple(f"0{i}00000{i}" for i in range(1, 8))
LAYOUT = {"shard_basins": 2, "chunk_basins": 1, "chunk_days": 64}
ABOUT = {"source": "camels_us", "dataset": "toy"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return trees.write_tree(tmp_path_factory.mktemp("tree"), BASINS, count=150)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "toy.zarr"


def begin(tree, path, **changes):
    initialise(CamelsUs(tree, "daymet"), path, **(ABOUT | LAYOUT | changes))


def extract(tree, path, part, num_parts, **options):
    store_module.extract(CamelsUs(tree, "daymet"), path, part, num_parts, **options)


def build(tree, path, num_parts=1, **changes):
    begin(tree, path, **changes)
    for part in range(1, num_parts + 1):
        extract(tree, path, part, num_parts)
    merge(path)
    return open_store(path)


def values(path):
    """Every byte of every array file."""
    files = {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}
    assert files
    return files


def test_content(tree, path):
    store = build(tree, path)
    assert store["basin"].values.tolist() == list(BASINS)
    assert isinstance(store["basin"].values[0], str)
    assert str(store["time"].values[0])[:10] == "2000-02-20"
    for name, variable in DYNAMIC.items():
        assert store[name].dtype == np.float32
        assert store[name].attrs["units"] == variable.unit
    assert "daylight" in store["shortwave"].attrs["long_name"]
    assert store["precipitation"].notnull().all()
    assert 0 < store["discharge"].isnull().sum() < store["discharge"].size / 2
    assert store["area"].attrs == {"units": "km2", "long_name": "drainage area"}
    assert store["geol_porostiy"].attrs["units"] == "1"
    assert store["geol_1st_class"].values.tolist() == ["Metamorphics"] * 7
    assert all(len(text) == 64 for text in store["source_hash"].values)
    assert store.attrs["Conventions"] == "CF-1.11"
    assert store.attrs["product"] == "daymet"


def test_lazy_and_by_dask(tree, path):
    build(tree, path)
    assert not open_store(path)["precipitation"].variable._in_memory
    assert open_store(path, chunks={})["precipitation"].chunks[0] == (1,) * 7


def test_one_writer_or_eight(tree, tmp_path):
    """More parts than shards leaves some parts empty; every byte is the same."""
    one, eight = tmp_path / "one" / "toy.zarr", tmp_path / "eight" / "toy.zarr"
    build(tree, one)
    build(tree, eight, 8)
    assert values(one) == values(eight)


@pytest.mark.slow
def test_processes_at_the_same_time(tree, tmp_path):
    one, many = tmp_path / "one" / "toy.zarr", tmp_path / "many" / "toy.zarr"
    build(tree, one)
    begin(tree, many)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.starmap(extract, [(tree, many, part, 4) for part in range(1, 5)])
    merge(many)
    assert values(one) == values(many)


def test_parts_own_whole_shards():
    for num_shards in (1, 9, 20):
        for num_parts in (1, 3, 8, 12):
            parts = [shards_of_part(i, num_parts, num_shards) for i in range(1, num_parts + 1)]
            assert [s for part in parts for s in part] == list(range(num_shards))
    with pytest.raises(ValueError, match="between 1 and 8"):
        shards_of_part(9, 8, 9)


def test_layout_must_fit(tree, path):
    with pytest.raises(ValueError, match="expected a multiple of the 2 of a chunk"):
        begin(tree, path, shard_basins=3, chunk_basins=2)
    assert not parts_folder(path).exists()


def test_a_finished_part_does_nothing_until_something_changes(tmp_path, path, monkeypatch):
    tree = trees.write_tree(tmp_path / "tree", BASINS[:3], count=60)
    begin(tree, path)
    extract(tree, path, 1, 1)
    calls, write = [], store_module._write_shard
    monkeypatch.setattr(store_module, "_write_shard", lambda *a: (calls.append(1), write(*a)))
    extract(tree, path, 1, 1)
    begin(tree, path)
    extract(tree, path, 1, 1)
    assert calls == []
    trees.edit(trees.flow_path(tree, BASINS[0]), 1, f"{BASINS[0]} 2000 03 01 77.00 A")
    extract(tree, path, 1, 1)
    assert len(calls) == 1  # the source of one shard has changed


def test_a_torn_shard_is_found_and_repaired(tree, path):
    begin(tree, path)
    extract(tree, path, 1, 1)
    shard = parts_folder(path) / "store.zarr" / "discharge" / "c" / "1" / "0"
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(ValueError, match="shard 1 as it was recorded, found discharge corrupt"):
        merge(path)
    extract(tree, path, 1, 1)
    merge(path)
    assert open_store(path)["discharge"].notnull().any()


def test_another_configuration_starts_anew(tree, path):
    begin(tree, path)
    extract(tree, path, 1, 2)
    begin(tree, path, basins=BASINS[:3])
    assert not list(parts_folder(path).glob("*-of-*.json"))
    extract(tree, path, 1, 1)
    merge(path)
    assert open_store(path).sizes["basin"] == 3


def test_the_list_may_lack_zeros_and_order(tree, path):
    store = build(tree, path, basins=["5000005", "01000001"])
    assert store["basin"].values.tolist() == ["01000001", "05000005"]


def test_missing_and_broken_parts(tree, path):
    with pytest.raises(FileNotFoundError, match="run `dmg extract --init` first"):
        extract(tree, path, 1, 2)
    begin(tree, path)
    with pytest.raises(ValueError, match="records of all 4 shards, found none of 0, 1, 2, 3;"):
        merge(path)
    extract(tree, path, 2, 3)
    with pytest.raises(ValueError, match="found none of 0, 2, 3; run `dmg extract --part`"):
        merge(path)
    extract(tree, path, 1, 3)
    extract(tree, path, 3, 3)
    record = record_path(path, 1)
    whole = record.read_text()
    record.write_text(whole[:50])
    with pytest.raises(ValueError, match="found none of 1;"):
        merge(path)
    record.write_text(whole)
    array = zarr.open_group(parts_folder(path) / "store.zarr", mode="r+")["discharge"]
    array[2, 20] = 1e6
    with pytest.raises(ValueError, match="expected shard 1 as it was recorded"):
        merge(path)
    assert not path.exists()
    extract(tree, path, 2, 3)  # sees the change and repairs it
    merge(path)
    assert open_store(path)["discharge"].max() < 1e6


def test_merge_twice_and_without_data(tree, path):
    build(tree, path)
    merge(path)
    shutil.rmtree(path)
    with pytest.raises(FileNotFoundError, match="extract all parts again"):
        merge(path)
    assert open_store_fails(path)
    build(tree, path)


def open_store_fails(path):
    with pytest.raises(FileNotFoundError, match="expected a store, found none"):
        open_store(path)
    return True


def test_a_store_of_another_version(tree, path):
    build(tree, path)
    text = (path / "zarr.json").read_text()
    (path / "zarr.json").write_text(text.replace('"format_version": 1', '"format_version": 99'))
    with pytest.raises(ValueError, match="expected a store of format version 1, found 99") as error:
        open_store(path)
    assert "\n" not in str(error.value)
    xr.Dataset({"x": 1}).to_zarr(path.with_name("other.zarr"), consolidated=False, zarr_format=3)
    with pytest.raises(ValueError, match="version 1, found none"):
        open_store(path.with_name("other.zarr"))


@pytest.mark.parametrize("stage", ["write_template", "write_shard", "mark_done", "consolidate"])
def test_disk_full(tree, path, monkeypatch, stage):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store_module, stage, full)
        with pytest.raises(OSError, match="no space left on the disk; free some") as error:
            build(tree, path, 2)
        assert "\n" not in str(error.value)
    assert not path.exists()
    assert build(tree, path, 2)["precipitation"].notnull().all()
    assert {p.name for p in path.parent.iterdir()} == {"toy.zarr", "toy.parts", ".toy.lock"}


def test_other_errors_of_the_disk_are_left_alone(tree, path, monkeypatch):
    def denied(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(store_module, "write_template", denied)
    with pytest.raises(PermissionError):
        begin(tree, path)


def test_a_bad_file_leaves_no_store(tmp_path, path):
    tree = trees.write_tree(tmp_path / "tree", BASINS[:3], count=60)
    bad = trees.forcing_path(tree, BASINS[1])
    trees.edit(bad, 30, None)
    begin(tree, path)
    with pytest.raises(ValueError, match=r":30: expected the day after"):
        extract(tree, path, 1, 1)
    with pytest.raises(ValueError, match="records of all 2 shards"):
        merge(path)
    assert not path.exists()


def test_odd_values_and_short_records_are_told(tmp_path, path, caplog):
    tree = trees.write_tree(tmp_path / "tree", BASINS[:2], count=60)
    short = trees.forcing_path(tree, BASINS[1])
    trees.edit(short, 6, "2000 02 21 12\t38000.00\t1.00\t250.50\t0.00\t99.00\t-99.00\t800.25")
    trees.edit(short, 64, None)
    store = build(tree, path)
    assert f"basin {BASINS[1]}: 1 values of temperature_max outside -90..60 degC" in caplog.text
    assert "first on 2000-02-21; kept" in caplog.text
    assert store["temperature_max"].max() == 99
    assert "forcing from 2000-02-20 to 2000-04-18, others from 2000-02-20" in caplog.text
    assert np.isnan(store["precipitation"].values[1, -1])


def test_everything_missing_is_stored(tmp_path, path):
    """A gauge without one value is for `preprocess` to refuse: forcing alone has its use."""
    tree = trees.write_tree(tmp_path / "tree", BASINS[:2], count=60)
    flow = trees.flow_path(tree, BASINS[0])
    rows = [line.split() for line in flow.read_text().splitlines()]
    flow.write_text("".join(f"{' '.join(row[:4])} -999.00 M\n" for row in rows))
    assert build(tree, path)["discharge"][0].isnull().all()


def test_encode_takes_any_length():
    days = np.arange("2000-01-01", "2000-01-11", dtype="datetime64[D]").astype("datetime64[ns]")
    data = xr.Dataset({"x": (("basin", "time"), np.zeros((3, 10)))}, {"time": days})
    assert encode(data, 64, 8, 4)["x"]["shards"] == (64, 12)
    assert encode(data, 64, 8, 1000)["x"]["chunks"] == (8, 10)


@pytest.mark.real
def test_real_sample(real_data_root, tmp_path):
    from dmg.data.archive import find_tree

    tree = find_tree(real_data_root, "camels_us_sample", tmp_path / "raw")
    one, two = tmp_path / "one" / "s.zarr", tmp_path / "two" / "s.zarr"
    for path, parts in ((one, 1), (two, 4)):
        store = build(tree, path, parts, dataset="camels_us_sample")
    assert values(one) == values(two)
    assert store.sizes == {"basin": 8, "time": 12784}
    assert json.loads((one / "zarr.json").read_text())["consolidated_metadata"]["kind"] == "inline"
