"""`dmg data check`: what is wrong with a tree or a store, in lines."""

import pytest
import trees
import zarr

from dmg.data.check import check
from dmg.data.sources.camels_us import CamelsUs
from dmg.data.store import extract, initialise, merge
from dmg.data.variables import DYNAMIC


@pytest.fixture
def tree(tmp_path):
    return trees.write_tree(tmp_path / "tree", count=120)


@pytest.fixture
def store(tree, tmp_path):
    path = tmp_path / "toy.zarr"
    reader = CamelsUs(tree, "daymet")
    initialise(reader, path, source="camels_us", dataset="toy", shard_basins=2, chunk_basins=1)
    extract(reader, path, 1, 1)
    merge(path)
    return path


def test_a_sound_tree_and_store(tree, store):
    for found in (check(tree), check(store), check(tree, "daymet")):
        assert found.problems == []
        assert found.notes == []
        assert list(found.table.index) == list(DYNAMIC)
        assert found.table.loc["precipitation", "missing"] == 0
        assert found.table.loc["discharge", "missing"] == pytest.approx(17 / 120)
        assert found.table.loc["discharge", "basins_with_gaps"] == 3


def test_broken_files_are_all_named(tree):
    first, second = (trees.forcing_path(tree, basin) for basin in trees.BASINS[:2])
    trees.edit(first, 20, None)
    second.write_text("")
    row = "2000 02 21 12\t38000.00\t1.00\t250.50\t0.00\t99.00\t0.00\t800.25"
    trees.edit(trees.forcing_path(tree, trees.BASINS[2]), 6, row)
    found = check(tree)
    assert sorted(line.split(": ")[0] for line in found.problems) == [f"{first}:20", f"{second}:1"]
    assert found.notes == [
        "basin 02000003: 1 values of temperature_max outside -90..60 degC, first on 2000-02-21"
    ]
    assert found.table.loc["temperature_max", "outside"] == 1


def test_a_tree_of_nothing_but_broken_files(tree):
    for basin in trees.BASINS:
        trees.forcing_path(tree, basin).write_text("")
    assert len(check(tree).problems) == 3


def test_a_changed_store(store):
    array = zarr.open_group(store, mode="r+")["shortwave"]
    array[1, 5] = float("nan")
    (store / "discharge/c/1/0").unlink()
    found = check(store)
    assert [line.split("; ")[0] for line in found.problems] == [
        f"{store}: shard 0: shortwave corrupt",
        f"{store}: shard 1: discharge missing",
    ]


def test_gaps_within_a_record(store, tree):
    gap = trees.forcing_path(tree, trees.BASINS[0])
    row = "2000 02 21 12\t38000.00\t1.00\tnan\t0.00\t9.00\t0.00\t800.25"
    trees.edit(gap, 6, row)
    reader = CamelsUs(tree, "daymet")
    initialise(reader, store, source="camels_us", dataset="toy")
    extract(reader, store, 1, 1)
    merge(store)
    assert check(store).problems == ["basin 01000001: shortwave has missing days inside its record"]


def test_a_store_without_checksums(store):
    text = (store / "zarr.json").read_text()
    (store / "zarr.json").write_text(text.replace('"manifest"', '"sums"'))
    assert "expected recorded checksums, found none" in check(store).problems[0]


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a store or a folder of raw data"):
        check(tmp_path / "none")
