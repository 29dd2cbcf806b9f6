"""The network: order, files, parts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from dmg.data.network import (
    Network,
    Tables,
    accumulate,
    assemble,
    generate,
    levels,
    pieces,
    subnetwork,
    units_of,
    upstream_of,
)
from dmg.data.zarrs import consolidate, open_zarr


@pytest.fixture(scope="module")
def network() -> Network:
    return generate(3000, seed=1, units_per_reach=2)


def small_tables() -> Tables:
    """Three headwaters, two confluences, and a river of its own; rows in no order."""
    reaches = pd.DataFrame(
        [("mouth", ""), ("left", "fork"), ("fork", "mouth"), ("lone", ""), ("right", "fork"),
         ("side", "mouth")], columns=["reach_id", "downstream_id"],
    ).assign(length=[5e3, 1e3, 2e3, 3e3, 1.5e3, 2.5e3], slope=0.01)  # fmt: skip
    units = pd.DataFrame(
        [("u1", "fork", 4.0), ("u2", "left", 1.0), ("u3", "left", 3.0), ("u4", "", 9.0),
         ("u5", "right", 2.0), ("u6", "side", 5.0), ("u7", "mouth", 6.0)],
        columns=["unit_id", "reach_id", "area"],
    ).assign(latitude=[40, 41, 43, 50, 42, 40, 39], longitude=-100.0)  # fmt: skip
    gauges = pd.DataFrame(
        {"gauge_id": ["01", "02"], "reach_id": ["fork", "nowhere"], "area": [10.1, 1.0]}
    )
    return Tables(reaches, units, gauges)


def test_assemble_orders_and_accumulates() -> None:
    network = assemble(small_tables())
    area = dict(zip(network.reach_id, network.area, strict=True))
    assert area == {"left": 4, "right": 2, "fork": 10, "side": 5, "mouth": 21, "lone": 0}
    fork = network.positions(["fork"])
    assert set(network.reach_id[upstream_of(network, fork)]) == {"left", "right", "fork"}
    assert set(network.unit_id[units_of(network, upstream_of(network, fork))]) == {
        "u1", "u2", "u3", "u5",
    }  # fmt: skip
    assert network.unit_id[-1] == "u4"
    assert network.unit_reach[-1] == -1
    left = network.positions(["left"])[0]
    assert network.latitude[left] == (1 * 41 + 3 * 43) / 4
    assert np.isnan(network.latitude[network.positions(["lone"])]).all()
    assert network.gauge_id.tolist() == ["01"]
    assert network.reach_id[network.gauge_reach].tolist() == ["fork"]


def test_stated_areas_are_kept() -> None:
    tables = small_tables()
    tables.reaches["area"] = [np.nan, 4.5, np.nan, 7.0, np.nan, np.nan]
    network = assemble(tables)
    area = dict(zip(network.reach_id, network.area, strict=True))
    assert (area["left"], area["lone"], area["mouth"]) == (4.5, 7.0, 21.0)


def test_reaches_alone_make_a_network() -> None:
    network = assemble(Tables(small_tables().reaches))
    assert (network.num_reaches, network.num_units, network.num_gauges) == (6, 0, 0)
    assert network.area.tolist() == [0.0] * 6


def test_write_and_read_give_the_same(network: Network, tmp_path: Path) -> None:
    for each in (network, assemble(Tables(small_tables().reaches))):
        each.write(tmp_path / "n.zarr", source="synthetic")
        again = Network.read(tmp_path / "n.zarr")
        for name, values in vars(each).items():
            np.testing.assert_array_equal(getattr(again, name), values, strict=len(values) > 0)
    file = open_zarr(tmp_path / "n.zarr")
    assert file.attrs["source"] == "synthetic"
    assert (file["area"].attrs["units"], file["length"].attrs["units"]) == ("km2", "m")


def test_reading_something_else_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a river network, found none; run"):
        Network.read(tmp_path / "none.zarr")
    other = xr.Dataset({"area": ("reach", [1.0])})
    other.to_zarr(tmp_path / "other.zarr", consolidated=False)
    consolidate(tmp_path / "other.zarr")
    with pytest.raises(ValueError, match=r"found a file without 'reach_id', 'downstream'"):
        Network.read(tmp_path / "other.zarr")


def test_a_wrong_order_is_refused(network: Network) -> None:
    with pytest.raises(ValueError, match="each sub-network in one run, found another order"):
        replace(network, downstream=np.r_[-1, np.zeros(2999, np.int64)])
    with pytest.raises(ValueError, match="each sub-network in one run"):  # 0 -> 2, 1 -> 3
        replace(subnetwork(network, [0, 1, 2, 3]), downstream=np.array([2, 3, -1, -1]))
    with pytest.raises(ValueError, match="units in the order of their reaches"):
        replace(network, unit_reach=network.unit_reach[::-1])
    with pytest.raises(ValueError, match=r"length: expected shape \(3000,\), found \(2,\)"):
        replace(network, length=np.ones(2))
    with pytest.raises(ValueError, match=r"gauge_reach: expected positions 0\.\.2999, found -1"):
        replace(network, gauge_reach=network.gauge_reach - network.gauge_reach[0] - 1)
    with pytest.raises(ValueError, match="expected reaches of the network, found 'x'"):
        network.positions(["x"])


def test_everything_upstream_is_closed_and_sorted(network: Network) -> None:
    chosen = network.gauge_reach[:20]
    found = upstream_of(network, chosen)
    assert (np.diff(found) > 0).all()
    assert np.isin(chosen, found).all()
    inside = np.isin(np.arange(network.num_reaches), found)
    feeds = network.downstream >= 0
    assert inside[feeds][inside[network.downstream[feeds]]].all()


def test_subnetwork_is_the_same_water(network: Network) -> None:
    found = upstream_of(network, network.gauge_reach[:20])
    part = subnetwork(network, found)
    assert part.reach_id.tolist() == network.reach_id[found].tolist()
    own = np.bincount(part.unit_reach, part.unit_area, part.num_reaches)
    np.testing.assert_allclose(accumulate(part.downstream, own), part.area, rtol=1e-12)
    assert set(network.gauge_id[:20]) <= set(part.gauge_id)


def test_any_set_of_reaches_makes_a_network(network: Network) -> None:
    rng = np.random.default_rng(0)
    chosen = rng.choice(network.num_reaches, 1500, replace=False)
    part = subnetwork(network, chosen)  # checks its own order
    assert set(part.reach_id) == set(network.reach_id[chosen])
    at = network.positions(part.reach_id)
    down = network.downstream[at]
    kept = np.isin(down, chosen) & (down >= 0)
    assert (part.reach_id[part.downstream[kept]] == network.reach_id[down[kept]]).all()
    assert (part.downstream[~kept] == -1).all()
    assert part.num_units == 2 * 1500


@pytest.mark.parametrize("n", [1, 3, 8])
def test_pieces_hold_everything_once_and_follow_their_inflow(network: Network, n: int) -> None:
    parts = pieces(network, n)
    assert sorted(np.concatenate([p.reaches for p in parts])) == list(range(3000))
    assert sorted(np.concatenate([p.units for p in parts])) == list(range(6000))
    owner = np.empty(3000, int)
    for k, part in enumerate(parts):
        owner[part.reaches] = k
    for k, part in enumerate(parts):
        outside = (owner != k) & (network.downstream >= 0) & (owner[network.downstream] == k)
        assert part.inflow.tolist() == np.flatnonzero(outside).tolist()
        assert (owner[part.inflow] < k).all()
    assert not any(len(part.inflow) for part in parts[:n])


def test_pieces_weigh_alike() -> None:
    network = generate(20_000, seed=2)
    weights = np.random.default_rng(0).uniform(1, 3, 20_000)
    loads = [weights[p.reaches].sum() for p in pieces(network, 4, weights)]
    assert len(loads) == 5
    assert max(loads[:4]) < 1.2 * min(loads[:4])
    assert loads[4] < 0.5 * min(loads[:4])


def test_pieces_of_little(network: Network) -> None:
    assert [len(p.reaches) for p in pieces(subnetwork(network, [7]), 5)] == [1]
    with pytest.raises(ValueError, match="pieces: expected 1 or more, found 0"):
        pieces(network, 0)


def test_generated_networks_look_like_rivers() -> None:
    network = generate(20_000, seed=3)
    level, outlet = levels(network.downstream), network.downstream == -1
    assert 0.48 < (level == 0).mean() < 0.55
    assert 100 < outlet.sum() < 200
    assert np.bincount(network.downstream[~outlet]).max() == 2
    assert 100 < level.max() < 1000
    assert network.area[outlet].max() > 0.1 * network.area[outlet].sum()
    assert 5e3 < np.median(network.length) < 9e3
    upper, lower = network.area < 100, network.area > 10_000
    assert np.median(network.slope[upper]) > 3 * np.median(network.slope[lower])
    assert 0 < network.unit_elevation.min() < network.unit_elevation.max() < 5000
    assert 27 <= network.latitude.min() < network.latitude.max() <= 48
    assert -122 <= network.longitude.min() < network.longitude.max() <= -70
    assert network.num_gauges == 400


@pytest.mark.parametrize("size", [1, 2, 3, 10, 101])
def test_generated_networks_have_any_size(size: int) -> None:
    network = generate(size, seed=size)
    assert network.num_reaches == size
    assert np.array_equal(generate(size, seed=size).slope, network.slope)


def test_a_network_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="num_reaches: expected 1 or more, found 0"):
        generate(0)
