"""Batches of gauges: forcing of the units, flow of the gauges, reaches between."""

from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from dmg.data.gauge_loader import GaugeLoader
from dmg.data.loader import DataLoader
from dmg.data.zarrs import consolidate, open_zarr
from tests.data.test_drainage import GAUGES, UNITS, network

DAYS = np.datetime64("2000-01-01") + np.arange(50)


def store(path: Path, name: str, ids: list[str], days: np.ndarray) -> DataLoader:
    """A series whose value is 1000 x basin + day since 2000-01-01."""
    values = 1000 * np.arange(len(ids))[:, None] + (days - DAYS[0]).astype(int)
    data = xr.Dataset(
        {name: (("basin", "time"), values.astype("f4"))},
        {"basin": np.array(ids, dtype=object), "time": days.astype("datetime64[ns]")},
    )
    data.to_zarr(path, zarr_format=3, consolidated=False)
    consolidate(path)
    forcings = ["precipitation"] if name == "precipitation" else []
    target = "streamflow" if name == "streamflow" else None
    return DataLoader([open_zarr(path)], forcings, target=target)


@pytest.fixture
def loader(tmp_path: Path) -> GaugeLoader:
    """Gauges whose record begins 5 days after that of the units, and ends 5 days before."""
    units = store(tmp_path / "units.zarr", "precipitation", UNITS[:6], DAYS)
    observed = store(tmp_path / "gauges.zarr", "streamflow", GAUGES, DAYS[5:-5])
    return GaugeLoader(units, network(), observed, with_reaches=True)


def test_a_batch_has_units_and_gauges(loader: GaugeLoader) -> None:
    gauges = np.array([3, 1])
    batch = loader.batch(gauges, np.array([20, 20]), 10, warmup=5)
    units = loader.drainage.units(gauges)
    assert batch.forcing["precipitation"].shape == (15, 5)
    assert batch.forcing["precipitation"][0].tolist() == [1000 * u + 15 for u in units]
    assert batch.target is not None and batch.topology is not None
    assert batch.target[0].tolist() == [3000 + 15, 1000 + 15]
    assert batch.topology.gauge.tolist() == batch.observed.tolist() == [3, 1]
    assert batch.rows.tolist() == batch.basin.tolist() == units.tolist()


def test_days_without_a_record_have_no_target(loader: GaugeLoader) -> None:
    target = loader.batch(np.array([0]), np.array([3]), 44).target
    assert target is not None
    assert target[:, 0].isfinite().nonzero().flatten().tolist() == list(range(2, 42))
    early = loader.batch(np.array([0]), np.array([0]), 3).target
    assert early is not None and early.isnan().all()


def test_chunks_are_the_whole(loader: GaugeLoader) -> None:
    gauges = np.array([0, 2])
    whole = loader.batch(gauges, np.zeros(2, dtype=np.int64), 50).forcing["precipitation"]
    chunks = list(loader.chunks(gauges, 0, 50, 15))
    assert [c.num_steps for c in chunks] == [15, 15, 15, 5]
    assert torch.equal(torch.cat([c.forcing["precipitation"] for c in chunks]), whole)
    assert all(c.topology is chunks[0].topology for c in chunks)


def test_reaches_of_a_batch_are_those_upstream(loader: GaugeLoader) -> None:
    topology = loader.batch(np.array([1]), np.array([9]), 5).topology
    assert topology is not None and topology.channels is not None
    channels = topology.channels
    assert channels.length.tolist() == [1, 2, 3]  # reaches 0, 1 and 2
    assert channels.downstream.tolist() == [2, 2, -1]
    assert channels.gauge_reach.tolist() == [2]
    assert channels.gauge_area.tolist() == [10]
    by_reach = torch.bincount(channels.unit_reach, channels.unit_area)
    assert by_reach.tolist() == [3, 3, 4]


def test_gauges_of_a_batch_share_one_window(loader: GaugeLoader) -> None:
    with pytest.raises(AssertionError, match="share one window"):
        loader.batch(np.array([0, 1]), np.array([10, 11]), 5)


def test_the_distance_of_a_pair_is_that_along_the_rivers(loader: GaugeLoader) -> None:
    """From the middle of the unit's reach, reach by reach, to the end of the gauge's."""
    gauges, river = np.array([2, 0, 3]), network()
    units = loader.drainage.units(gauges)
    at = loader.topology(gauges, units)
    assert at.pair_distance is not None
    for unit, gauge, found in zip(at.pair_unit, at.pair_gauge, at.pair_distance, strict=True):
        reach, end = river.unit_reach[units[unit]], river.gauge_reach[gauges[gauge]]
        way = river.length[reach] / 2
        while reach != end:
            reach = river.downstream[reach]
            way += river.length[reach]
        assert found.item() == pytest.approx(way)
