"""Shards packed here are those of zarr-python."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from zarr.codecs import ZstdCodec

from dmg.data.manifest import EMPTY, checksum, write_shard
from dmg.data.sharded import Sharded
from dmg.data.zarrs import consolidate, encode, open_zarr

BASINS, DAYS = 22, 70
CHUNK, CHUNK_DAYS, SHARD = 4, 16, 12


@pytest.fixture
def values() -> np.ndarray:
    """A shard of all chunks and one that lacks rows and days, values here and there."""
    found = np.random.default_rng(0).normal(size=(BASINS, DAYS)).astype(np.float32)
    found[4:8, 16:32] = np.nan  # a chunk of its own
    found[0, 0] = found[9, 40] = np.nan
    return found


def create(path: Path, values: np.ndarray, days_of_a_shard: int = DAYS) -> Path:
    dataset = xr.Dataset(
        {"x": (("basin", "time"), np.full_like(values, np.nan))},
        {"time": np.datetime64("2000-01-01", "ns") + np.arange(DAYS) * np.timedelta64(1, "D")},
    )
    encoding = encode(dataset, SHARD, CHUNK, CHUNK_DAYS)
    if days_of_a_shard != DAYS:
        encoding["x"]["shards"] = (SHARD, days_of_a_shard)
    dataset.chunk().to_zarr(
        path, encoding=encoding, compute=False, zarr_format=3, consolidated=False
    )
    return path


def test_the_bytes_are_those_of_zarr(values: np.ndarray, tmp_path: Path) -> None:
    ours, theirs = (create(tmp_path / name, values) for name in ("ours", "theirs"))
    zarr.open_array(theirs / "x", mode="r+")[:] = values
    for shard in (0, 1):
        digest = write_shard(ours, "x", shard, values[shard * SHARD : (shard + 1) * SHARD])
        file = f"x/c/{shard}/0"
        assert (ours / file).read_bytes() == (theirs / file).read_bytes()
        assert digest == checksum(ours / file)
    np.testing.assert_array_equal(zarr.open_array(ours / "x", mode="r")[:], values)


ROWS = [slice(None), 3, slice(5, 17), [2, 3, 4], [21, 0, 7, 7], slice(20, 2, -3), []]
COLUMNS = [slice(None), 69, slice(15, 33), [60, 5, 17], slice(1, 60, 7), slice(8, 8)]


@pytest.mark.parametrize("days_of_a_shard", [DAYS, 2 * CHUNK_DAYS])
def test_series_are_read_as_zarr_reads_them(
    values: np.ndarray, tmp_path: Path, days_of_a_shard: int
) -> None:
    """Rows and days by number, range and list; shards of the whole time and of a part of it."""
    path = create(tmp_path / "x.zarr", values, days_of_a_shard)
    zarr.open_array(path / "x", mode="r+")[:] = values
    consolidate(path)
    series = open_zarr(path)["x"]
    assert isinstance(series.variable._data.array, Sharded)
    for rows, columns in product(ROWS, COLUMNS):
        expected = values[rows][..., columns]
        np.testing.assert_array_equal(series[rows, columns].to_numpy(), expected)
    assert series.encoding["chunks"] == (CHUNK, CHUNK_DAYS)


def test_a_shard_without_values_has_no_file(values: np.ndarray, tmp_path: Path) -> None:
    path = create(tmp_path / "x.zarr", values)
    assert write_shard(path, "x", 0, np.full((SHARD, DAYS), np.nan, np.float32)) == EMPTY
    consolidate(path)
    assert not (path / "x/c/0/0").exists()
    assert np.isnan(open_zarr(path)["x"][4]).all()


def test_a_broken_table_is_named(values: np.ndarray, tmp_path: Path) -> None:
    path = create(tmp_path / "x.zarr", values)
    write_shard(path, "x", 0, values[:SHARD])
    consolidate(path)
    file = path / "x/c/0/0"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(ValueError, match="c/0/0: expected a whole shard, found a broken table"):
        open_zarr(path)["x"][2].load()


def test_other_codecs_are_left_to_zarr(values: np.ndarray, tmp_path: Path) -> None:
    dataset = xr.Dataset({"x": (("basin", "time"), values)})
    encoding = {"chunks": (CHUNK, 10), "shards": (BASINS + 2, DAYS), "compressors": [ZstdCodec()]}
    dataset.to_zarr(
        tmp_path / "x.zarr", encoding={"x": encoding}, zarr_format=3, consolidated=False
    )
    consolidate(tmp_path / "x.zarr")
    np.testing.assert_array_equal(open_zarr(tmp_path / "x.zarr")["x"][3:5], values[3:5])
