"""Gauges that share a river."""

import datetime as dt

import numpy as np
import pytest

from dmg.data.network import generate, upstream_of
from dmg.data.splits import temporal
from dmg.data.splits.nested import nested_groups, river_groups

NETWORK = generate(300, seed=4, num_outlets=3)
DAY, LATER = dt.date(2000, 1, 1), dt.date(2001, 1, 1)


def related(network, a, b):
    """Whether one gauge lies upstream of the other."""
    reaches = network.gauge_reach[[a, b]]
    return any(reaches[i] in upstream_of(network, reaches[[1 - i]]) for i in (0, 1))


def test_gauges_upstream_of_one_another_are_one_group():
    network = generate(400, seed=4, num_outlets=4, num_gauges=20)
    groups = river_groups(network)
    ids = [str(gauge) for gauge in network.gauge_id]
    assert set(groups) == set(ids)
    assert 1 < len(set(groups.values())) < len(ids)
    for a in range(len(ids)):
        for b in range(a):
            if related(network, a, b):
                assert groups[ids[a]] == groups[ids[b]]
    for leader in set(groups.values()):
        members = [i for i, gauge in enumerate(ids) if groups[gauge] == leader]
        top = ids.index(leader)
        assert all(i == top or related(network, i, top) for i in members)


def test_groups_from_a_network_file(tmp_path):
    NETWORK.write(tmp_path / "rivers.zarr")
    ids = [str(gauge) for gauge in NETWORK.gauge_id[:4]]
    found = nested_groups(tmp_path / "rivers.zarr", ids)
    assert found == {gauge: river_groups(NETWORK)[gauge] for gauge in ids}
    assert np.array_equal(list(found), ids)


def test_a_basin_off_the_network(tmp_path):
    NETWORK.write(tmp_path / "rivers.zarr")
    with pytest.raises(ValueError, match=r"rivers.zarr: expected ids .* found 1 unknown: nowhere"):
        nested_groups(tmp_path / "rivers.zarr", ["nowhere"])


def test_a_missing_network(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"rivers.zarr: no such river network"):
        nested_groups(tmp_path / "rivers.zarr", ["1"])


def test_hold_out_takes_whole_groups_whatever_the_order() -> None:
    groups = {f"g{i}": f"river{i // 3}" for i in range(30)}
    days = {"train": (DAY, DAY), "test": (LATER, LATER)}
    tables = [
        temporal(basins, **days, frac_holdout=0.35, seed=2, groups=groups)
        for basins in ([*groups], [*reversed(groups)])
    ]
    trained = [set(t["basin_id"][t["role"] == "train"]) for t in tables]
    assert trained[0] == trained[1] and len(trained[0]) == 30 - 9
    held_out = {groups[g] for g in groups if g not in trained[0]}
    assert not held_out & {groups[g] for g in trained[0]}


def test_hold_out_of_one_river_is_refused() -> None:
    with pytest.raises(ValueError, match="found all 2 basins in one"):
        temporal(
            ["a", "b"], train=(DAY, DAY), test=(LATER, LATER), frac_holdout=0.5,
            groups={"a": "x", "b": "x"},
        )  # fmt: skip
