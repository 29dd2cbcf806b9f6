"""Shards packed here are those of zarr-python."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr

from dmg.data.manifest import EMPTY, checksum, read_chunks, write_shard
from dmg.data.zarrs import encode

BASINS, DAYS = 22, 70
CHUNK, CHUNK_DAYS, SHARD = 4, 16, 12


@pytest.fixture
def values() -> np.ndarray:
    """A shard of all chunks and one that lacks rows and days, values here and there."""
    found = np.random.default_rng(0).normal(size=(BASINS, DAYS)).astype(np.float32)
    found[4:8, 16:32] = np.nan  # a chunk of its own
    found[0, 0] = found[9, 40] = np.nan
    return found


def create(path: Path, values: np.ndarray) -> Path:
    dataset = xr.Dataset(
        {"x": (("basin", "time"), np.full_like(values, np.nan))},
        {"time": np.datetime64("2000-01-01", "ns") + np.arange(DAYS) * np.timedelta64(1, "D")},
    )
    encoding = encode(dataset, SHARD, CHUNK, CHUNK_DAYS)
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


def test_chunks_are_read_as_zarr_reads_them(values: np.ndarray, tmp_path: Path) -> None:
    path = create(tmp_path / "x.zarr", values)
    zarr.open_array(path / "x", mode="r+")[:] = values
    for row in range(0, BASINS, CHUNK):
        expected = np.full((CHUNK, DAYS), np.nan, np.float32)
        expected[: BASINS - row] = values[row : row + CHUNK]
        np.testing.assert_array_equal(read_chunks(path, "x", row, DAYS), expected)


def test_a_shard_without_values_has_no_file(values: np.ndarray, tmp_path: Path) -> None:
    path = create(tmp_path / "x.zarr", values)
    assert write_shard(path, "x", 0, np.full((SHARD, DAYS), np.nan, np.float32)) == EMPTY
    assert not (path / "x/c/0/0").exists()
    assert np.isnan(read_chunks(path, "x", 4, DAYS)).all()
