"""Climatology and persistence: what they are, what they may see, how they are scored."""

import numpy as np
import pandas as pd
import pytest
from evaluation_data import edit, make

from dmg.baselines import BASELINES, climatology, persistence, score_baselines
from dmg.metrics import METRICS
from dmg.score import read_scores
from dmg.score.files import FlowFile

DAYS = pd.date_range("1999-10-01", "2005-09-30")
YEAR = DAYS.day_of_year.to_numpy()


def every(flow):
    return np.ones(flow.shape, dtype=bool)


def test_climatology_is_the_mean_or_median_of_the_day_of_the_year():
    flow = np.array([1.0, 2.0, 6.0, 4.0, 5.0, 3.0])[np.newaxis, DAYS.year - 2000 + (DAYS.month > 9)]
    out = climatology(flow, DAYS, every(flow))
    plain = ~((DAYS.month == 2) & (DAYS.day == 29))
    np.testing.assert_allclose(out[0, plain], 3.5)
    np.testing.assert_allclose(out[0, ~plain], [(1 + 5) / 2] * 2)  # 2000 and 2004
    np.testing.assert_allclose(climatology(flow, DAYS, every(flow), "median")[0, plain], 3.5)
    skewed = np.where(flow == 6, 60.0, flow)
    np.testing.assert_allclose(climatology(skewed, DAYS, every(flow), "median")[0, plain], 3.5)


def test_climatology_follows_the_date_in_leap_years_too():
    flow = np.array([DAYS.month * 100.0 + DAYS.day])
    np.testing.assert_allclose(climatology(flow, DAYS, every(flow)), flow)


def test_climatology_fills_days_that_were_never_observed_from_their_neighbours():
    flow = np.array([np.minimum(YEAR, 365.0)])
    missing = ((DAYS.month == 2) & (DAYS.day > 20)) | ((DAYS.month == 12) & (DAYS.day == 31))
    trained = every(flow) & ~missing
    out = climatology(np.where(missing, np.nan, flow), DAYS, trained)
    assert np.isfinite(out).all()
    at = (DAYS.month == 2) & (DAYS.day == 25)
    np.testing.assert_allclose(out[0, at], 56, atol=1)
    last = (DAYS.month == 12) & (DAYS.day == 31)
    np.testing.assert_allclose(out[0, last], (364 + 1) / 2, atol=1)


def test_climatology_of_an_unseen_basin_is_that_of_the_seen_ones():
    flow = np.stack([np.full(len(DAYS), v) for v in (1.0, 3.0, 100.0)])
    trained = every(flow)
    trained[2] = False
    np.testing.assert_allclose(climatology(flow, DAYS, trained)[2], 2.0)


def test_persistence_is_the_last_observed_flow():
    flow = np.array([[1.0, 2.0, np.nan, 4.0, 5.0]])
    out = persistence(flow, DAYS[:5], every(flow))
    np.testing.assert_array_equal(out, [[np.nan, 1.0, 2.0, 2.0, 4.0]])


@pytest.fixture
def files(tmp_path):
    return make(tmp_path, folds=("fold01", "fold02"), seeds=(0,))


def scored(files, *names):
    score_baselines(names, files.preprocess, files.folder, files.baselines, metrics=["nse", "kge"])
    return read_scores(files.baselines)


def test_scores_have_a_row_for_each_basin_and_baseline(files):
    table = scored(files, *BASELINES)
    assert list(table["model"].unique()) == list(BASELINES)
    assert len(table) == 3 * 12
    assert set(table["fold"]) == {"fold01", "fold02"}
    assert set(table["reason"]) == {""}
    row = table[table["model"] == "persistence"].iloc[0]
    sim = FlowFile(files.folder / f"persistence/{row['fold']}/seed0/predictions.zarr")
    obs = FlowFile(files.preprocess / "derived.zarr")
    days = pd.date_range("1992-09-30", "1994-09-29")
    pair = [f.read([row["basin_id"]], days) for f in (sim, obs)]
    np.testing.assert_allclose(row["nse"], METRICS["nse"].function(*pair)[0], rtol=1e-5)
    yesterday, today = pair[1][0, :-1], pair[0][0, 1:]
    known = np.isfinite(yesterday)
    np.testing.assert_allclose(today[known], yesterday[known], rtol=1e-6)


def test_climatology_does_not_see_the_test_period(files):
    flow = FlowFile(files.preprocess / "derived.zarr").days
    before = scored(files, "climatology")
    stores = [
        FlowFile(files.folder / f"climatology/{fold}/seed0/predictions.zarr")
        for fold in ("fold01", "fold02")
    ]
    first = [s.read(list(s.basins), flow) for s in stores]
    edit(files.preprocess / "derived.zarr", poison)
    after = scored(files, "climatology")
    second = [s.read(list(s.basins), flow) for s in stores]
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(before["nse"], after["nse"])


def poison(dataset):
    """Other flow in the test period, the second half."""
    late = dataset["time"] > dataset["time"][dataset.sizes["time"] // 2]
    flow = dataset["streamflow"].where(~late, 777 * dataset["streamflow"])
    return dataset.assign(streamflow=flow.assign_attrs(units="mm d-1"))


def test_nothing_observed_is_no_climatology():
    flow = np.full((2, len(DAYS)), np.nan)
    assert np.isnan(climatology(flow, DAYS, every(flow))).all()
