import datetime as dt

import numpy as np
import pandas as pd
import pytest

from dmg.data.splits import (
    hold_out,
    random_folds,
    read_splits,
    require_within,
    select,
    temporal,
    write_splits,
)

BASINS = [f"{i:08d}" for i in range(1, 24)]
TRAIN = (dt.date(1999, 10, 1), dt.date(2008, 9, 30))
VALIDATE = (dt.date(1989, 10, 1), dt.date(1990, 9, 30))
TEST = (dt.date(1990, 10, 1), dt.date(1999, 9, 30))


def pub(basins, num_folds=10, seed=0, **periods):
    return hold_out(basins, random_folds(basins, num_folds, seed), **periods)


def ids(splits, fold, role):
    return select(splits, fold, role)["basin_id"].tolist()


def test_temporal_has_every_basin_in_every_role():
    splits = temporal(BASINS, train=TRAIN, test=TEST, validate=VALIDATE)
    for role, period in (("train", TRAIN), ("validate", VALIDATE), ("test", TEST)):
        assert ids(splits, "all", role) == BASINS
        rows = select(splits, "all", role)
        assert (rows["start"] == pd.Timestamp(period[0])).all()
        assert (rows["end"] == pd.Timestamp(period[1])).all()


def test_held_out_basins_are_only_tested():
    splits = temporal(BASINS, train=TRAIN, test=TEST, validate=VALIDATE, frac_holdout=0.2, seed=3)
    trained = ids(splits, "all", "train")
    assert len(trained) == len(BASINS) - 5
    assert ids(splits, "all", "validate") == trained
    assert ids(splits, "all", "test") == BASINS


def test_held_out_basins_follow_the_seed():
    draw = [
        ids(temporal(BASINS, train=TRAIN, test=TEST, frac_holdout=0.3, seed=s), "all", "train")
        for s in (1, 1, 2)
    ]
    assert draw[0] == draw[1]
    assert draw[0] != draw[2]


def test_a_small_fraction_holds_out_one_basin():
    splits = temporal(BASINS[:4], train=TRAIN, test=TEST, frac_holdout=0.01)
    assert len(ids(splits, "all", "train")) == 3


def test_pub_tests_every_basin_once_and_never_trains_on_it():
    splits = pub(BASINS, train=TRAIN, test=TRAIN, num_folds=4, seed=1)
    folds = list(dict.fromkeys(splits["fold"]))
    assert folds == ["fold01", "fold02", "fold03", "fold04"]
    tested = [ids(splits, fold, "test") for fold in folds]
    assert sorted(basin for test in tested for basin in test) == BASINS
    assert {len(t) for t in tested} == {5, 6}
    for fold, test in zip(folds, tested, strict=True):
        assert sorted(test + ids(splits, fold, "train")) == BASINS


def test_pub_validates_training_basins_only():
    splits = pub(BASINS, train=TRAIN, test=TEST, validate=VALIDATE, num_folds=4)
    assert ids(splits, "fold02", "validate") == ids(splits, "fold02", "train")


def test_csv_round_trip_keeps_leading_zeros_and_dates(tmp_path):
    splits = pub(BASINS, train=TRAIN, test=TEST, validate=VALIDATE, num_folds=3)
    write_splits(splits, tmp_path / "splits.csv")
    pd.testing.assert_frame_equal(read_splits(tmp_path / "splits.csv"), splits)
    first = (tmp_path / "splits.csv").read_text().splitlines()[:2]
    assert first[0] == "basin_id,fold,role,start,end"
    assert first[1].startswith("0000000") and first[1].endswith("1999-10-01,2008-09-30")


@pytest.mark.parametrize("make", [temporal, lambda b, **k: hold_out(b, [b], **k)])
@pytest.mark.parametrize(
    ("basins", "message"), [([], "at least one basin, found none"), (["1", "1"], "duplicates")]
)
def test_bad_basins(make, basins, message):
    with pytest.raises(ValueError, match=message):
        make(basins, train=TRAIN, test=TEST)


def test_overlapping_train_and_test_of_the_same_basins():
    late = (dt.date(2008, 9, 30), dt.date(2009, 9, 30))
    with pytest.raises(ValueError, match="days of train and test apart") as error:
        temporal(BASINS, train=TRAIN, test=late)
    assert "1999-10-01..2008-09-30 and 2008-09-30..2009-09-30" in str(error.value)
    assert "\n" not in str(error.value)


def test_overlapping_validation():
    with pytest.raises(ValueError, match="days of validate and train apart"):
        pub(BASINS, train=TRAIN, test=TEST, validate=TRAIN, num_folds=2)


def test_no_basins_left_to_train_on():
    with pytest.raises(ValueError, match=r"found all 1 held out; lower frac_holdout \(0\.5\)"):
        temporal(BASINS[:1], train=TRAIN, test=TEST, frac_holdout=0.5)


@pytest.mark.parametrize("num_folds", [1, 24])
def test_folds_without_basins(num_folds):
    with pytest.raises(ValueError, match=f"2 to 23 folds for 23 basins, found {num_folds}, which"):
        pub(BASINS, train=TRAIN, test=TEST, num_folds=num_folds)


def test_period_outside_the_data():
    splits = temporal(BASINS, train=TRAIN, test=TEST)
    require_within(splits, dt.date(1990, 10, 1), dt.date(2008, 9, 30))
    with pytest.raises(ValueError, match="role train: expected within") as error:
        require_within(splits, np.datetime64("1980-01-01", "D").item(), dt.date(2007, 12, 31))
    assert "within 1980-01-01..2007-12-31" in str(error.value)
    assert "found 1999-10-01..2008-09-30" in str(error.value)


def test_unknown_fold():
    splits = pub(BASINS, train=TRAIN, test=TEST, num_folds=2)
    with pytest.raises(ValueError, match="a fold among fold01, fold02, found all"):
        select(splits, "all", "train")


HEADER = "basin_id,fold,role,start,end\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("basin_id,fold,role\n", r"csv: expected the columns .* missing: \['start', 'end'\]"),
        (HEADER + "01,all,tset,2000-01-01,2001-01-01\n", "csv:2: expected a role .* found 'tset'"),
        (
            HEADER + "01,all,test,2000-01-01,31.12.2001\n",
            "csv:2: expected an ISO date in column end",
        ),
        (HEADER + "01,all,test,2000-01-01,1999-01-01\n", "csv:2: expected an end on or after"),
        (HEADER + "01,all,test,2000-01-01,2001-01-01\n" * 2, "csv:3: expected every row once"),
        (
            HEADER + "01,all,test,2000-01-01,2001-01-01\n01,all,test,2000-10-01,2002-01-01\n",
            "csv: split: expected days of test and test apart",
        ),
        (
            HEADER + "01,all,test,2000-01-01,2001-01-01\n01,all,train,2001-01-01,2002-01-01\n",
            "csv: split: expected days of train and test apart",
        ),
    ],
)
def test_bad_files(tmp_path, text, message):
    path = tmp_path / "splits.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_splits(path)
    assert str(path) in str(error.value)
