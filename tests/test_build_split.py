"""From the settings of a split to its table."""

from pathlib import Path

import pandas as pd
import pytest

from dmg.build_split import build_return_periods, build_split
from dmg.data.basins import read_basins
from dmg.data.network import generate
from dmg.data.splits import read_folds, select
from dmg.data.zarrs import open_zarr
from tests.small import IDS, experiment, write_store

PERIODS = {
    "train": {"start": "2000-01-01", "end": "2001-03-31"},
    "test": {"start": "2001-04-01", "end": "2002-03-10"},
}
YEARS = {"start": "2000-10-01", "end": "2009-09-30"}


@pytest.fixture
def store(tmp_path):
    return open_zarr(write_store(tmp_path / "x.zarr"))


def split_of(**settings):
    return experiment(data={"split": PERIODS | settings})


def folds_of(table):
    return {fold: select(table, fold, "test")["basin_id"].tolist() for fold in set(table["fold"])}


def test_regions_are_folds(store):
    chosen = split_of(kind="pur", regions=[["3", "1"], ["02"]])
    table = build_split(chosen, IDS, store)
    assert folds_of(table) == {"fold01": [*IDS[:2], *IDS[3:]], "fold02": [IDS[2]]}
    assert chosen.data.split.fold_names == ["fold01", "fold02"]


def test_default_regions_have_no_empty_folds(store):
    with pytest.raises(ValueError, match="fold03: expected basins to test"):
        build_split(split_of(kind="pur"), IDS, store)


def test_spatial_folds_follow_the_map(store):
    table = build_split(split_of(kind="spatial", num_folds=2), IDS, store)
    assert folds_of(table) == {"fold01": IDS[:2], "fold02": IDS[2:]}


def test_some_of_the_folds(store):
    """They are those of the whole split, under their own names."""
    settings = {"kind": "pub", "num_folds": 4}
    whole = build_split(split_of(**settings), IDS, store)
    some = split_of(**settings, only=[3, 2])
    table = build_split(some, IDS, store)
    assert some.data.split.fold_names == ["fold02", "fold03"]
    pd.testing.assert_frame_equal(
        table, whole[whole["fold"].isin(["fold02", "fold03"])].reset_index(drop=True)
    )


def test_an_attribute_that_the_store_lacks(store):
    with pytest.raises(ValueError, match="attribute 'region' in the store, found none of that nam"):
        build_split(split_of(kind="pur", attribute="region"), IDS, store)


def test_published_folds_must_be_as_many_as_the_setting_says(store, tmp_path):
    path = tmp_path / "folds.csv"
    pd.DataFrame({"basin_id": IDS, "fold": [1, 2, 2, 1, 1]}).to_csv(path, index=False)
    table = build_split(split_of(kind="pub", folds=str(path), num_folds=2), IDS, store)
    assert folds_of(table)["fold02"] == IDS[1:3]
    with pytest.raises(ValueError, match=r"folds.csv: .* data.split.num_folds \(3\), found 2"):
        build_split(split_of(kind="pub", folds=str(path), num_folds=3), IDS, store)


def test_the_shipped_folds_hold_all_basins():
    root = Path(__file__).parents[1]
    basins = read_basins(root / "config/basins/camels_60.txt")
    folds = read_folds(root / "config/folds/camels671_pub.csv", basins)
    assert len(folds) == 10 and sorted(b for fold in folds for b in fold) == sorted(basins)


def test_gauges_of_a_network_file_are_groups(store, tmp_path):
    network = generate(60, seed=1, num_outlets=8, num_gauges=12)
    network.write(tmp_path / "rivers.zarr")
    gauges = [str(gauge) for gauge in network.gauge_id]
    chosen = split_of(kind="nested", groups=str(tmp_path / "rivers.zarr"), num_folds=2)
    table = build_split(chosen, gauges, store)
    assert sorted(b for fold in folds_of(table).values() for b in fold) == sorted(gauges)


def test_return_periods_of_a_table_are_matched_by_id(store, tmp_path):
    path = tmp_path / "years.csv"
    rows = [(int(b), y, 9.0 if y == 2004 else 2.0) for b in IDS for y in range(2001, 2010)]
    columns = ["gauge_id", "water_year", "return_period_yr"]
    pd.DataFrame([*rows, (99, 2001, 5.0)], columns=columns).to_csv(path, index=False)
    data = {
        "split": {"kind": "extremes", "train": YEARS, "test": YEARS, "num_folds": 2},
        "return_periods": {"table": str(path)},
    }
    table = build_split(experiment(data=data), IDS, store)
    tested = table[table["role"] == "test"]
    assert sorted(tested["basin_id"]) == IDS
    assert set(tested["start"]) == {pd.Timestamp("2003-10-01")}


def test_no_return_periods_without_flow(store):
    assert build_return_periods(experiment(), IDS, store.drop_vars("discharge")).empty
