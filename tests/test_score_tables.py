"""Beside the scores: periods in pieces, peaks, signatures, classes of basins, comparison."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from evaluation_data import edit, make

from dmg import verbs
from dmg.config import Experiment, parse
from dmg.data.zarrs import consolidate
from dmg.metrics import METRICS
from dmg.metrics.signatures import SIGNATURES
from dmg.score import Details, compare, read_scores, score, summarise, write_groups
from dmg.score.files import FlowFile
from dmg.score.groups import area_classes, attribute_classes, by_class, groups_of
from dmg.score.peaks import peak_summary, peaks_of
from dmg.score.signatures import signatures_of, skill

NAMES = ["nse", "kge"]
UNKNOWN = pd.DataFrame(columns=["basin_id", "water_year", "return_period"])


def write_splits(files, rows):
    columns = ["basin_id", "fold", "role", "start", "end"]
    path = files.preprocess / "splits.csv"
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)


def scored(files, **options):
    settings = {"metrics": NAMES, "model": "hbv_1_0"} | options
    score(files.predictions, files.preprocess, files.scores, **settings)
    return read_scores(files.scores)


def flows(path, basin):
    flow = xr.open_zarr(path, chunks=None, consolidated=False)["streamflow"]
    return flow.sel(basin=[basin]).to_series().droplevel("basin").astype(float)


def details(files, periods=None):
    return Details(
        peaks=files.scores.with_name("peaks.csv"),
        signatures=files.scores.with_name("signatures.csv"),
        return_periods=UNKNOWN if periods is None else periods,
        precipitation=FlowFile(files.store, "precipitation"),
    )


def test_only_days_of_tested_years_are_scored(tmp_path):
    """Two pieces of one basin; the flow between them is not seen, whatever it is."""
    files = make(tmp_path)
    write_splits(
        files,
        [
            ("01000000", "all", "test", "1990-10-01", "1991-09-30"),
            ("01000000", "all", "train", "1991-10-01", "1992-09-30"),
            ("01000000", "all", "test", "1992-10-01", "1993-09-30"),
            ("01000035", "all", "test", "1991-10-01", "1992-09-30"),
        ],
    )
    before = scored(files)
    assert list(before["basin_id"]) == ["01000000", "01000035"]
    sim, obs = (
        flows(p, "01000000") for p in (files.predictions[0], files.preprocess / "derived.zarr")
    )
    days = [slice("1990-10-01", "1991-09-30"), slice("1992-10-01", "1993-09-30")]
    pair = [np.concatenate([x[d] for d in days])[None] for x in (sim, obs)]
    np.testing.assert_allclose(before["nse"][0], METRICS["nse"].function(*pair)[0], rtol=1e-7)

    def poison(dataset):
        dataset["streamflow"].loc[
            {"basin": "01000000", "time": slice("1991-10-01", "1992-09-30")}
        ] = 99
        return dataset

    edit(files.preprocess / "derived.zarr", poison)
    pd.testing.assert_frame_equal(scored(files, block_basins=1), before)


def test_basins_that_are_never_tested_are_named(tmp_path):
    files = make(tmp_path, seeds=(0, 1))
    write_splits(
        files,
        [
            ("01000000", "all", "test", "1990-10-01", "1991-09-30"),
            ("01000035", "all", "train", "1991-10-01", "1992-09-30"),
        ],
    )
    table = scored(files)
    lost = table[table["basin_id"] == "01000035"]
    assert list(lost["seed"]) == ["seed0", "seed1", "ensemble"]
    assert set(lost["reason"]) == {"no days of the role test in the split"}
    assert lost["nse"].isna().all() and (lost["period"] == "test").all()
    summarise(files.scores, files.summary)
    summary = pd.read_csv(files.summary)
    assert (summary["basins"] == 2).all() and (summary["failed"] == 1).all()


def test_less_than_a_year_of_observations(tmp_path):
    files = make(tmp_path)

    def lose(dataset):
        dataset["streamflow"][1, : 365 * 3 + 100] = np.nan
        return dataset

    edit(files.preprocess / "derived.zarr", lose)
    row = scored(files).iloc[1]
    assert np.isnan(row["nse"])
    assert row["reason"].endswith("observed days in the period, fewer than 330")
    assert np.isfinite(scored(files, min_days=30)["nse"][1])


def test_peaks_of_each_water_year():
    days = pd.date_range("2000-10-01", "2003-09-30")
    obs, sim = np.ones((2, len(days))), np.ones((2, len(days)))
    obs[0, 100], sim[0, 103] = 10.0, 8.0
    obs[0, 500], sim[0, 500] = 4.0, 5.0
    obs[0, 740:900] = np.nan
    obs[1] = np.nan
    periods = pd.DataFrame(
        {"basin_id": ["a", "a"], "water_year": [2001, 2003], "return_period": [60.0, 2.0]}
    )
    table = peaks_of(["a", "b"], days, sim, obs, periods)
    assert list(table["water_year"]) == [2001, 2002, 2003]
    assert set(table["basin_id"]) == {"a"}
    np.testing.assert_allclose(table["peak_error"][:2], [0.2, 0.25])
    assert list(table["group"]) == ["50-100", "", "1-5"]
    assert list(table["reason"]) == ["", "no return period known", "fewer than 330 observed days"]
    boxes = peak_summary(table)
    assert list(boxes["group"]) == ["all", "1-5", "50-100"]
    assert list(boxes["years"]) == [3, 1, 1] and list(boxes["failed"]) == [1, 1, 0]


def test_peaks_without_flow():
    days = pd.date_range("2000-10-01", "2002-09-30")
    obs, sim = np.zeros((1, 730)), np.ones((1, 730))
    obs[0, 400], sim[0, :300] = 5.0, np.nan
    table = peaks_of(
        ["a"], days, sim, obs, pd.DataFrame(columns=["basin_id", "water_year", "return_period"])
    )
    assert list(table["reason"]) == [
        "no simulated flow on most observed days",
        "no return period known",
    ]
    sim[:] = 1.0
    table = peaks_of(
        ["a"], days, sim, obs, pd.DataFrame(columns=["basin_id", "water_year", "return_period"])
    )
    assert table["reason"].iloc[0] == "no flow observed in the year"
    assert np.isnan(table["peak_error"].iloc[0])


def test_tables_beside_the_scores(tmp_path):
    files = make(tmp_path, folds=("fold01", "fold02"), seeds=(0, 1))
    periods = pd.DataFrame(
        [(f"{1000000 + 35 * i:08d}", 1994, 30.0) for i in range(12)],
        columns=["basin_id", "water_year", "return_period"],
    )
    before = scored(files)
    after = scored(files, details=details(files, periods))
    pd.testing.assert_frame_equal(after, before)
    peaks = pd.read_csv(files.scores.with_name("peaks.csv"), dtype={"basin_id": str})
    assert list(peaks)[:6] == ["basin_id", "fold", "seed", "period", "model", "water_year"]
    assert set(peaks["seed"]) == {"seed0", "seed1", "ensemble"}
    assert set(peaks.loc[peaks["water_year"] == 1994, "group"]) == {"25-50"}
    signatures = pd.read_csv(files.scores.with_name("signatures.csv"), dtype={"basin_id": str})
    assert len(signatures) == len(before)
    assert {f"{name}_{kind}" for name in SIGNATURES for kind in ("obs", "sim")} < set(signatures)
    assert signatures["runoff_ratio_obs"].between(0.3, 1.0).all()
    found = skill(signatures[signatures["seed"] == "ensemble"])
    assert found.set_index("signature").loc["q_mean", "r"] > 0.8


def test_signatures_are_of_the_observed_days():
    days = pd.date_range("2000-10-01", "2002-09-30")
    obs = np.random.default_rng(0).gamma(1, 2, (1, 730))
    sim = obs.copy()
    obs[0, :300] = np.nan
    sim[0, :300] = 1e6
    table = signatures_of(["a"], days, sim, obs)
    for name in SIGNATURES:
        np.testing.assert_array_equal(table[f"{name}_obs"], table[f"{name}_sim"])


def test_skill_of_signatures_that_are_undefined():
    table = pd.DataFrame(
        {f"{n}_{k}": [np.nan, 1.0, 1.0] for n in SIGNATURES for k in ("obs", "sim")}
    )
    found = skill(table)
    assert found["r"].isna().all() and (found["failed"] == 1).all() and (found["basins"] == 2).all()


def test_classes_of_area_and_attributes():
    assert area_classes([10, 1000, 1001, 40_000, 60_000, np.nan]) == [
        "0-1k km2", "0-1k km2", "1-5k km2", "30-50k km2", ">50k km2", "unknown",
    ]  # fmt: skip
    assert attribute_classes(pd.Series(["17", "", "03"])) == ["17", "unknown", "03"]
    labels = attribute_classes(pd.Series([0.0, 1, 2, 3, 4, 5, np.nan]))
    assert labels[0] == labels[1] == "low (to 1.67)" and labels[-2] == "high (over 3.33)"
    assert labels[-1] == "unknown"
    assert attribute_classes(pd.Series([np.nan, np.nan])) == ["unknown"] * 2


def test_scores_by_class():
    table = pd.DataFrame({"basin_id": list("abcd"), "nse": [0.1, 0.5, 0.7, np.nan]})
    found = by_class(table, ["x", "x", "y", "y"], "region")
    assert list(found["group"]) == ["x", "y"]
    np.testing.assert_allclose(found["median"], [0.3, 0.7])
    assert list(found["failed"]) == [0, 1] and list(found["basins"]) == [2, 2]
    assert found["low"][0] == 0.1 and found["high"][0] == 0.5 and np.isnan(found["low"][1])


def test_classes_come_in_their_order_and_by_name_of_the_basin():
    table = pd.DataFrame({"basin_id": list("abc"), "nse": [0.1, 0.5, 0.7]})
    area = pd.Series([20_000.0, 5.0, 2000.0], index=list("cab"))
    found = groups_of(table, {"area": area})
    assert list(found["group"]) == ["0-1k km2", "1-5k km2", "10-30k km2"]
    np.testing.assert_allclose(found["median"], [0.1, 0.5, 0.7])
    assert groups_of(table, {}).empty


def test_groups_are_written_from_the_store(tmp_path):
    files = make(tmp_path)
    scored(files)
    out = files.scores.with_name("groups.csv")
    write_groups(files.scores, files.store, out)
    table = pd.read_csv(out)
    assert set(table["grouping"]) == {"area"}, "the others are not in this store"
    assert table[table["metric"] == "nse"]["basins"].sum() == 12
    with pytest.raises(ValueError, match=r"evaluate.groups: .* found \['wetness'\]; choose from"):
        write_groups(files.scores, files.store, out, ["area", "wetness"])


def test_models_are_compared_by_name_of_the_basin():
    first = pd.DataFrame({"basin_id": list("abcd"), "nse": [0.4, 0.5, 0.6, 0.7], "kge": 0.5})
    second = pd.DataFrame({"basin_id": list("edcba"), "nse": [9, 0.6, 0.5, 0.4, 0.3]})
    found = compare(first, second)
    assert list(found["metric"]) == ["nse"]
    row = found.iloc[0]
    assert row["basins"] == 4 and row["better"] == 1.0
    np.testing.assert_allclose([row["difference"], row["low"], row["high"]], 0.1)


def test_comparison_needs_one_row_a_basin_and_something_in_common():
    first = pd.DataFrame({"basin_id": list("aab"), "nse": [0.4, 0.5, 0.6]})
    with pytest.raises(ValueError, match="several of a in the first table; choose a seed"):
        compare(first, first)
    other = pd.DataFrame({"basin_id": list("xy"), "nse": [0.4, 0.5]})
    with pytest.raises(ValueError, match="expected basins that both tables have, found none"):
        compare(first[1:], other)
    with pytest.raises(ValueError, match="expected metrics that both tables have, found none"):
        compare(first[1:], pd.DataFrame({"basin_id": ["a", "b"], "rmse": [1.0, 2.0]}))


def test_zero_variance_has_a_reason(tmp_path):
    files = make(tmp_path)

    def spoil(dataset):
        dataset["streamflow"][0] = 0.0
        return dataset

    edit(files.preprocess / "derived.zarr", spoil)
    row = scored(files).iloc[0]
    assert np.isnan(row["nse"]) and row["reason"] == "constant observed flow"


def test_the_verb_writes_all_tables(tmp_path):
    """Return periods are fitted to the discharge of the store; ten years are there."""
    files = make(tmp_path, num_basins=4, years=11)
    store = xr.open_zarr(files.store, chunks=None, consolidated=False).load()
    derived = xr.open_zarr(files.preprocess / "derived.zarr", chunks=None, consolidated=False)
    store["discharge"] = derived["streamflow"].load() * store["area"] / 86.4
    edit(files.store, lambda _: store)
    consolidate(files.store)
    period = {"start": "1990-10-01", "end": "1995-09-30"}
    split = {"kind": "temporal", "train": period, "test": period}
    experiment = parse(Experiment, {"data": {"split": split}}, "test")
    verbs.score(
        experiment, files.preprocess, files.predictions, files.scores, files.summary,
        store=files.store,
    )  # fmt: skip
    peaks = pd.read_csv(files.scores.with_name("peaks.csv"))
    assert peaks["return_period"].notna().all()
    assert (peaks["reason"].fillna("") == "").mean() > 0.7
    for name in ("signatures.csv", "groups.csv"):
        assert len(pd.read_csv(files.scores.with_name(name)))
