"""Ways to share out basins among folds."""

import datetime as dt

import numpy as np
import pytest

from dmg.data.splits import (
    grouped_folds,
    hold_out,
    random_folds,
    read_folds,
    regions,
    select,
    spatial_folds,
)
from dmg.data.splits.folds import read_groups

BASINS = [f"{i:08d}" for i in range(1, 24)]
DAYS = (dt.date(1999, 10, 1), dt.date(2008, 9, 30))


def test_grouped_folds_keep_groups_together():
    groups = {basin: f"river{i % 7}" for i, basin in enumerate(BASINS)}
    folds = grouped_folds(groups, 3, seed=1)
    assert sorted(basin for fold in folds for basin in fold) == BASINS
    assert sorted(len(fold) for fold in folds) == [7, 7, 9]
    homes = [{groups[basin] for basin in fold} for fold in folds]
    assert not homes[0] & homes[1] and not homes[0] & homes[2] and not homes[1] & homes[2]
    assert grouped_folds(groups, 3, seed=1) == folds
    assert grouped_folds(groups, 3, seed=2) != folds


def test_regions_read_numbers_as_text():
    units = dict(zip(BASINS[:4], ["01", "17", 2.0, 1], strict=True))
    assert regions(units, [("1", "2"), ("17",)]) == [
        [BASINS[0], BASINS[2], BASINS[3]],
        [BASINS[1]],
    ]


def test_a_basin_without_a_region():
    with pytest.raises(ValueError, match="found none for '04' of basin 00000001; add it"):
        regions({BASINS[0]: "04"}, [("1",), ("2",)])


@pytest.mark.parametrize("number", [2, 3, 5, 8])
def test_spatial_folds_are_compact(number):
    rng = np.random.default_rng(0)
    basins = [f"{i}" for i in range(240)]
    lat, lon = rng.uniform(30, 48, 240), rng.uniform(-120, -70, 240)
    folds = spatial_folds(basins, lat, lon, number)
    assert sorted(basin for fold in folds for basin in fold) == sorted(basins)
    assert max(map(len, folds)) - min(map(len, folds)) <= 1
    rows = [np.array([int(basin) for basin in fold]) for fold in folds]
    inside = np.mean([np.std(lat[r]) * np.std(lon[r]) for r in rows])
    assert inside < 1.5 * np.std(lat) * np.std(lon) / number
    assert spatial_folds(basins, lat, lon, number) == folds


def test_spatial_folds_need_positions():
    with pytest.raises(ValueError, match="latitude and longitude of every basin, found none for 2"):
        spatial_folds(["1", "2"], [40, np.nan], [-80, -81], 2)


def test_published_folds_are_those_of_the_file(tmp_path):
    path = tmp_path / "folds.csv"
    path.write_text("# published\nbasin_id,fold\n1,1\n2,10\n3,2\n4,1\n5,2\n00000006,10\n9,1\n")
    folds = read_folds(path, BASINS[:6])
    assert folds == [[BASINS[0], BASINS[3]], [BASINS[2], BASINS[4]], [BASINS[1], BASINS[5]]]


def test_published_folds_without_a_basin(tmp_path):
    (tmp_path / "folds.csv").write_text("basin_id,fold\n1,1\n2,2\n")
    with pytest.raises(ValueError, match=r"folds.csv: .* found 1 unknown: 00000003"):
        read_folds(tmp_path / "folds.csv", BASINS[:3])


@pytest.mark.parametrize(("text", "missing"), [("basin_id\n1\n", "group"), ("group\n1\n", "basin")])
def test_tables_of_groups_need_columns(tmp_path, text, missing):
    (tmp_path / "g.csv").write_text(text)
    with pytest.raises(ValueError, match=rf"expected the columns basin_id and group; .*{missing}"):
        read_groups(tmp_path / "g.csv", BASINS[:1], "group")


def test_a_missing_table(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"g.csv: no such table of basins"):
        read_groups(tmp_path / "g.csv", BASINS[:1], "group")


@pytest.mark.parametrize("number", [1, 5])
def test_more_folds_than_groups(number):
    with pytest.raises(ValueError, match=f"2 to 4 folds for 4 groups, found {number}, which leave"):
        grouped_folds(dict(zip("abcd", "wxyz", strict=True)), number)


def test_each_fold_tests_its_own_basins():
    folds = random_folds(BASINS, 5, seed=3)
    table = hold_out(BASINS, folds, train=DAYS, test=DAYS)
    assert select(table, "fold02", "test")["basin_id"].tolist() == folds[1]
    assert not set(select(table, "fold02", "train")["basin_id"]) & set(folds[1])


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ([BASINS[:3], BASINS[3:22]], "found 00000023 in none; add them"),
        ([BASINS, BASINS[4:5]], "found 00000005 in several; keep one"),
        ([BASINS[:3], BASINS[3:], []], "fold03: expected basins to test and others to train on, f"),
        ([BASINS], "fold01: .* found all 23 to test; change the folds"),
    ],
)
def test_folds_that_do_not_share_out_the_basins(folds, message):
    with pytest.raises(ValueError, match=message) as error:
        hold_out(BASINS, folds, train=DAYS, test=DAYS)
    assert "\n" not in str(error.value)
