"""Gauges that share a river."""

import numpy as np
import pytest

from dmg.data.network import generate, upstream_of
from dmg.data.splits.nested import nested_groups, river_groups

NETWORK = generate(300, seed=4, num_outlets=3)


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
