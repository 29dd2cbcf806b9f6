"""From stores to tensors: windows, codes, gaps, bounded reads."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from zarr.abc.store import RangeByteRequest
from zarr.core.buffer import BufferPrototype
from zarr.storage import LocalStore, WrapperStore

from dmg.data.loader import DataLoader, open_loader
from dmg.data.sampler import DataSampler, part
from dmg.data.zarrs import open_zarr
from tests.small import IDS, write_store

FORCINGS = ("precipitation", "temperature_max")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("store") / "s.zarr")


@pytest.fixture
def data(store: Path) -> xr.Dataset:
    return open_zarr(store).load()


def loader(data: xr.Dataset, **options: object) -> DataLoader:
    return DataLoader([data], FORCINGS, **options)


def test_windows_hold_the_days_asked_for(data: xr.Dataset) -> None:
    batch = loader(data, target="discharge").batch(np.array([3, 0]), np.array([100, 250]), 30, 10)
    for column, (basin, start) in enumerate([(3, 100), (0, 250)]):
        days = slice(start - 10, start + 30)
        for name in FORCINGS:
            expected = data[name][basin, days].to_numpy()
            np.testing.assert_array_equal(batch.forcing[name][:, column].numpy(), expected)
        np.testing.assert_array_equal(
            batch.target[:, column].numpy(), data["discharge"][basin, days].to_numpy()
        )
        assert batch.time[column] == data["time"].values[start - 10].astype("datetime64[D]").astype(
            int
        )
    assert batch.warmup == 10
    assert batch.basin.tolist() == [3, 0]
    assert batch.constants["area"].tolist() == [400.0, 100.0]


def test_a_constant_that_the_model_reads_is_no_series(data: xr.Dataset) -> None:
    chosen = DataLoader([data], [*FORCINGS, "elevation"])
    assert chosen.forcings == FORCINGS
    batch = chosen.batch(np.array([1]), np.array([0]), 5)
    assert batch.constants["elevation"].tolist() == [500.0]


def test_a_constant_that_the_model_reads_is_there_for_every_basin(data: xr.Dataset) -> None:
    data["elevation"][1] = np.nan
    with pytest.raises(ValueError, match=rf"the elevation of every basin, .* \['{IDS[1]}'\]"):
        DataLoader([data], [*FORCINGS, "elevation"])
    assert DataLoader([data], FORCINGS).basin_ids == IDS
    with pytest.raises(ValueError, match="expected the variable 'elevation' in the stores"):
        DataLoader([data.drop_vars("elevation")], [*FORCINGS, "elevation"])


def test_day_of_the_year_follows_from_the_days(data: xr.Dataset) -> None:
    starts = [int(data.indexes["time"].get_loc(day)) for day in ("2000-12-30", "2001-02-28")]
    found = DataLoader([data], [*FORCINGS, "day_of_year"]).batch(np.array([0, 1]), starts, 3)
    assert found.forcing["day_of_year"].T.tolist() == [[365, 366, 1], [59, 60, 61]]


def test_order_of_basins_is_the_experiments(data: xr.Dataset) -> None:
    chosen = loader(data, basin_ids=[IDS[4], IDS[1]])
    batch = chosen.batch(np.array([0, 1]), np.array([0, 0]), 5)
    expected = data["precipitation"].sel(basin=[IDS[4], IDS[1]])[:, :5].to_numpy().T
    np.testing.assert_array_equal(batch.forcing["precipitation"].numpy(), expected)


def test_text_attributes_become_codes_and_unknown_classes_missing(data: xr.Dataset) -> None:
    chosen = loader(
        data, attributes=["aridity", "geol_1st_class"], categories={"geol_1st_class": ["a", "b"]}
    )
    attributes = chosen.batch(np.arange(5), np.zeros(5, int), 1).attributes
    assert attributes[:, 0].nan_to_num(-1).tolist() == pytest.approx([0.5, 0.7, -1, 1.2, 0.9])
    assert attributes[:, 1].nan_to_num(-1).tolist() == [0, -1, 1, 0, -1]


def test_chunks_cover_the_period_in_order(data: xr.Dataset) -> None:
    chunks = list(loader(data).chunks(np.array([1]), 5, 105, 30))
    assert [c.num_steps for c in chunks] == [30, 30, 30, 10]
    joined = torch.cat([c.forcing["precipitation"] for c in chunks])
    np.testing.assert_array_equal(joined[:, 0].numpy(), data["precipitation"][1, 5:105].to_numpy())


class CountingStore(WrapperStore[LocalStore]):
    """Notes which chunks are read: file and place in it."""

    def __init__(self, path: Path) -> None:
        super().__init__(LocalStore(path, read_only=True))
        self.chunks: list[tuple[str, int]] = []

    async def get(self, key: str, prototype: BufferPrototype, byte_range: Any = None) -> Any:
        if isinstance(byte_range, RangeByteRequest):  # not the index of a shard, at its end
            self.chunks.append((key, byte_range.start))
        return await super().get(key, prototype, byte_range)


def counted(path: Path) -> tuple[DataLoader, list[tuple[str, int]]]:
    """A loader of its own, as every process has, and the chunks of series that it reads."""
    counting = CountingStore(path)
    data = xr.open_zarr(counting, consolidated=True, chunks=None)
    chosen = DataLoader([data], FORCINGS)
    counting.chunks.clear()
    return chosen, counting.chunks


def test_only_the_chunks_of_the_windows_are_read_and_only_once(store: Path) -> None:
    """Chunks hold two basins and 400 days."""
    chosen, chunks = counted(store)
    chosen.batch(np.array([3, 2]), np.array([0, 395]), 5)  # both in one chunk of each variable
    assert len(chunks) == len(set(chunks)) == len(FORCINGS)
    chosen.batch(np.array([2]), np.array([50]), 5)  # from the cache
    assert len(chunks) == len(FORCINGS)
    chosen.batch(np.array([3]), np.array([396]), 5)  # into the days of the next chunk
    assert len(chunks) == len(set(chunks)) == 2 * len(FORCINGS)


def test_each_of_two_processes_reads_the_chunks_of_its_own_windows(store: Path) -> None:
    sampler = DataSampler(np.arange(5), 0, 799, batch_size=4, window=30, warmup=20, seed=3)

    def read(rank: int, world_size: int) -> set[tuple[str, int]]:
        chosen, chunks = counted(store)
        mine = part(sampler.windows(1, 0), rank, world_size)
        chosen.batch(mine.basins, mine.starts, mine.length, 20)
        days = np.r_[mine.starts - 20, mine.starts + 29] // 400
        touched = set(zip(np.r_[mine.basins, mine.basins] // 2, days, strict=True))
        assert len(chunks) == len(set(chunks)) == len(FORCINGS) * len(touched)
        return set(chunks)

    one, two, whole = read(0, 2), read(1, 2), read(0, 1)
    assert one | two == whole
    assert one < whole and two < whole


def test_cache_is_bounded(store: Path) -> None:
    chosen = open_loader([store], forcings=FORCINGS, cache_mb=0)
    for basin in range(5):
        chosen.batch(np.array([basin]), np.array([0]), 5)
    assert len(chosen._cache) == 1


def test_memory_is_for_the_rows_of_the_experiment(store: Path) -> None:
    """Of chunks of two basins only the one that is asked for stays."""
    ids = [str(b) for b in open_zarr(store)["basin"].values]
    whole = open_loader([store], forcings=FORCINGS)
    some = open_loader([store], forcings=FORCINGS, basin_ids=[ids[3], ids[0]])
    days = np.array([390, 390])
    found = some.batch(np.array([0, 1]), days, 20)
    expected = whole.batch(np.array([3, 0]), days, 20)
    for name in FORCINGS:
        assert torch.equal(found.forcing[name], expected.forcing[name])
    assert some._cache._size == 2 * 2 * len(FORCINGS) * 400 * 4
    assert whole._cache._size == 2 * some._cache._size


def test_the_limit_changes_no_value(store: Path) -> None:
    rng = np.random.default_rng(0)
    loaders = [open_loader([store], forcings=FORCINGS, cache_mb=mb) for mb in (0, 0.004, 512)]
    for _ in range(10):
        basins, starts = rng.integers(5, size=7), rng.integers(500, size=7)
        batches = [each.batch(basins, starts, 300) for each in loaders]
        for name in FORCINGS:
            assert torch.equal(batches[0].forcing[name], batches[2].forcing[name])
            assert torch.equal(batches[1].forcing[name], batches[2].forcing[name])
    assert 0 < loaders[1]._cache._size <= 4000


def test_gap_in_forcing_names_basin_and_day(data: xr.Dataset) -> None:
    data["temperature_max"][2, 40] = np.nan
    with pytest.raises(
        ValueError, match="no temperature_max at basin 02000003 on 2000-02-10; fill the gap"
    ):
        loader(data).batch(np.array([1, 2]), np.array([30, 30]), 20)


def test_unknown_variable_basin_and_day(data: xr.Dataset) -> None:
    with pytest.raises(ValueError, match="expected the variable 'snow' in the stores, found"):
        DataLoader([data], ["snow"])
    with pytest.raises(ValueError, match=r"expected basins \['9'\] in the store, found none"):
        loader(data, basin_ids=["9"])
    with pytest.raises(
        ValueError, match=r"expected a day within 2000-01-01\.\.2002-03-10, found 1999-12-31"
    ):
        loader(data).index("1999-12-31")


def test_stores_with_other_days_are_refused(data: xr.Dataset) -> None:
    with pytest.raises(ValueError, match="expected stores with the same days, found"):
        DataLoader([data, data.isel(time=slice(1, None))], FORCINGS)
