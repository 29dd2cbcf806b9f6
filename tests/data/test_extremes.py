"""Splits by the return period of the annual peak."""

import datetime as dt
import logging
import os
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dmg.data.return_periods import read_return_periods
from dmg.data.splits import extremes, read_splits, write_splits
from dmg.data.splits.extremes import Rule
from dmg.data.water_years import whole_years

BASINS = ["01", "02", "03", "04"]
PERIOD = (dt.date(1990, 10, 1), dt.date(2000, 9, 30))
LATER = (dt.date(1995, 10, 1), dt.date(2000, 9, 30))
EARLIER = (dt.date(1990, 10, 1), dt.date(1995, 9, 30))


def table(rare):
    """All peaks return in two years but those of `rare`: {(basin, year): period}."""
    rows = [(b, y, rare.get((b, y), 2.0)) for b in BASINS for y in range(1985, 2005)]
    return pd.DataFrame(rows, columns=["basin_id", "water_year", "return_period"])


RARE = table({("01", 1993): 30.0, ("01", 1994): 12.0, ("02", 1998): 700.0, ("04", 1991): 6.0})


def years(splits, basin, role, fold="all"):
    mine = (splits["basin_id"] == basin) & (splits["role"] == role) & (splits["fold"] == fold)
    rows = splits[mine]
    return [
        y
        for s, e in zip(rows["start"], rows["end"], strict=True)
        for y in whole_years((s.date(), e.date()))
    ]


def test_rare_years_are_tested_and_never_trained_on():
    splits = extremes(BASINS, RARE, train=PERIOD, test=PERIOD)
    assert years(splits, "01", "test") == [1993, 1994]
    assert years(splits, "01", "train") == [1991, 1992, *range(1995, 2001)]
    assert years(splits, "03", "train") == list(range(1991, 2001))
    assert years(splits, "03", "test") == []
    trained = splits[(splits["basin_id"] == "01") & (splits["role"] == "train")]
    assert len(trained) == 2, "neighbouring years are one period"


def test_spatial_version_tests_rare_years_of_basins_it_never_saw():
    folds = [["01", "03"], ["02", "04"]]
    splits = extremes(BASINS, RARE, train=PERIOD, test=PERIOD, folds=folds)
    assert years(splits, "01", "test", "fold01") == [1993, 1994]
    assert years(splits, "01", "train", "fold01") == []
    assert years(splits, "02", "train", "fold01") == [*range(1991, 1998), 1999, 2000]
    assert years(splits, "02", "test", "fold01") == []
    assert years(splits, "02", "test", "fold02") == [1998]


def test_other_periods_for_test_and_all_of_their_years():
    rule = Rule(tested="all")
    splits = extremes(BASINS, RARE, train=LATER, test=EARLIER, rule=rule)
    assert years(splits, "03", "test") == list(range(1991, 1996))
    assert years(splits, "02", "train") == [1996, 1997, 1999, 2000]


def test_years_beside_a_tested_one_may_be_left_out():
    rule = Rule(test_threshold=25.0, gap_years=1, max_years=4)
    splits = extremes(BASINS, RARE, train=PERIOD, test=PERIOD, rule=rule)
    assert years(splits, "01", "test") == [1993], "12 years are above 5 but below 25: in no role"
    assert years(splits, "01", "train") == [1991, 1995, 1996, 1997]


def test_common_years_choose_the_best_epoch():
    splits = extremes(BASINS, RARE, train=LATER, test=LATER, validate=EARLIER)
    assert years(splits, "01", "validate") == [1991, 1992, 1995]


def test_unknown_years_are_in_no_role_and_counted(caplog):
    lost = RARE[~((RARE["basin_id"] == "03") & (RARE["water_year"] == 1996))]
    lost = lost.assign(return_period=lost["return_period"].where(lost["water_year"] != 1997))
    with caplog.at_level(logging.INFO):
        splits = extremes(BASINS, lost, train=PERIOD, test=PERIOD)
    assert {1996, 1997}.isdisjoint(years(splits, "03", "train"))
    assert (
        "31 water years to train on, 4 to test; 5 without a return period; 1 basins" in caplog.text
    )


def test_several_periods_of_a_role_go_through_a_file(tmp_path):
    splits = extremes(BASINS, RARE, train=PERIOD, test=PERIOD)
    write_splits(splits, tmp_path / "splits.csv")
    pd.testing.assert_frame_equal(read_splits(tmp_path / "splits.csv"), splits)


def test_a_basin_without_return_periods():
    lost = RARE.assign(return_period=np.where(RARE["basin_id"] == "03", np.nan, 2.0))
    with pytest.raises(ValueError, match="found none for 03; leave them out"):
        extremes(BASINS, lost, train=PERIOD, test=PERIOD)


def test_nothing_rare():
    with pytest.raises(ValueError, match="all: expected water years to test, found none with a th"):
        extremes(BASINS, table({}), train=PERIOD, test=PERIOD)


def test_nothing_rare_in_a_fold():
    with pytest.raises(ValueError, match="fold01: expected water years to test"):
        extremes(BASINS, RARE, train=PERIOD, test=PERIOD, folds=[["03"], ["01", "02", "04"]])


def test_nothing_common():
    with pytest.raises(ValueError, match="all: expected water years to train on"):
        extremes(BASINS, RARE, train=PERIOD, test=PERIOD, rule=Rule(threshold=1.5))


@pytest.mark.real
def test_published_numbers_of_basin_years():
    """Song et al.: 1990-10 to 2014-09, 531 basins; the classes of their temporal figure."""
    root = Path(os.environ.get("DMG_DATA_ROOT", ""))
    path = root / "published" / "return_periods_camels671_frame2022.csv"
    store = root / "camels_us_531.tar.xz"
    if not (path.is_file() and store.is_file()):
        pytest.skip(f"no {path} or {store}")
    with tarfile.open(store) as archive:
        names = archive.getnames()
    ids = sorted({Path(n).name[:8] for n in names if n.endswith("_streamflow_qc.txt")})
    periods = read_return_periods(path)
    period = (dt.date(1990, 10, 1), dt.date(2014, 9, 30))
    splits = extremes(ids, periods, train=period, test=period)
    count = {role: sum(len(years(splits, b, role)) for b in ids) for role in ("train", "test")}
    assert count == {"train": 10156, "test": 2537}


def test_tested_all_overlaps_training():
    with pytest.raises(ValueError, match="days of train and test apart"):
        extremes(BASINS, RARE, train=PERIOD, test=PERIOD, rule=Rule(tested="all"))
