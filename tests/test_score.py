"""Scores from files: alignment, periods, seeds and folds, reasons, refusals."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from evaluation_data import edit, make

from dmg.metrics import METRICS
from dmg.score import read_scores, score, summarise
from dmg.score.files import FlowFile

NAMES = ["nse", "kge", "fhv"]
OBSERVED = "derived.zarr"


def scored(files, **options):
    settings = {"metrics": NAMES, "model": "hbv_1_0"} | options
    score(files.predictions, files.preprocess, files.scores, **settings)
    return read_scores(files.scores)


def flows(path, basin, start, end):
    flow = xr.open_zarr(path, chunks=None, consolidated=False)["streamflow"]
    return flow.sel(basin=[basin], time=slice(start, end)).values.astype(float)


def test_a_row_for_every_basin(tmp_path):
    files = make(tmp_path)
    table = scored(files)
    assert list(table) == ["basin_id", "fold", "seed", "period", "model", *NAMES, "reason"]
    assert len(table) == 12
    assert table["basin_id"][0] == "01000000"
    assert set(table["period"]) == {"test"}
    assert set(table["seed"]) == {"seed0"}
    assert set(table["model"]) == {"hbv_1_0"}
    assert set(table["reason"]) == {""}


def test_values_are_those_of_the_test_period(tmp_path):
    files = make(tmp_path)
    row = scored(files).iloc[4]
    pair = [
        flows(path, row["basin_id"], "1992-09-30", "1994-09-29")
        for path in (files.predictions[0], files.preprocess / OBSERVED)
    ]
    assert pair[0].shape == (1, 730)
    for name in NAMES:
        np.testing.assert_allclose(row[name], METRICS[name].function(*pair)[0], rtol=1e-7)


def test_order_of_basins_and_days_in_the_files_does_not_matter(tmp_path):
    files = make(tmp_path)
    before = scored(files)
    edit(files.predictions[0], lambda d: d.isel(basin=slice(None, None, -1)).sortby("time"))
    edit(files.preprocess / OBSERVED, lambda d: d.isel(time=slice(None, None, -1)))
    pd.testing.assert_frame_equal(scored(files), before)


def test_blocks_do_not_change_scores(tmp_path):
    files = make(tmp_path, seeds=(0, 1))
    before = scored(files)
    pd.testing.assert_frame_equal(scored(files, block_basins=5), before)


def test_ensemble_is_the_mean_flow(tmp_path):
    files = make(tmp_path, seeds=(0, 10, 2))
    table = scored(files)
    assert list(dict.fromkeys(table["seed"])) == ["seed0", "seed2", "seed10", "ensemble"]
    basin = table["basin_id"].iloc[-1]
    sims = [flows(p, basin, "1992-09-30", "1994-09-29") for p in files.predictions]
    obs = flows(files.preprocess / OBSERVED, basin, "1992-09-30", "1994-09-29")
    expected = METRICS["nse"].function(sum(sims) / 3, obs)
    np.testing.assert_allclose(table["nse"].iloc[-1], expected, rtol=1e-6)


def test_each_fold_is_scored_on_its_own_basins(tmp_path):
    files = make(tmp_path, folds=("fold01", "fold02", "fold03"))
    table = scored(files)
    assert len(table) == 12
    assert table["basin_id"].is_unique
    assert list(table["fold"].value_counts()) == [4, 4, 4]


def test_basins_may_have_their_own_periods(tmp_path):
    files = make(tmp_path)
    path = files.preprocess / "splits.csv"
    splits = pd.read_csv(path, dtype=str)
    mine = (splits["basin_id"] == "01000035") & (splits["role"] == "test")
    splits.loc[mine, "end"] = "1993-03-31"
    splits.to_csv(path, index=False)
    before_end = flows(files.preprocess / OBSERVED, "01000035", "1992-09-30", "1993-03-31")
    sim = flows(files.predictions[0], "01000035", "1992-09-30", "1993-03-31")
    expected = METRICS["nse"].function(sim, before_end)[0]
    found = scored(files, min_days=180).set_index("basin_id").loc["01000035", "nse"]
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_undefined_metrics_have_a_reason(tmp_path):
    files = make(tmp_path)

    def spoil(dataset):
        flow = dataset["streamflow"]
        flow[0] = np.nan
        flow[1] = 0.1
        flow[2, :-1] = np.nan
        return dataset

    edit(files.preprocess / OBSERVED, spoil)

    def lose(dataset):
        dataset["streamflow"][3, -10:] = np.nan
        dataset["streamflow"][4] = 1.0
        return dataset

    edit(files.predictions[0], lose)
    table = scored(files)
    assert list(table["reason"][:3]) == [
        "no observed flow in the period",
        "constant observed flow",
        "only 1 observed days in the period, fewer than 330",
    ]
    assert "no simulated flow on " in table["reason"][3]
    assert table["reason"][4] == "undefined: kge"
    assert table.loc[:2, NAMES].isna().all(axis=None)
    assert table.loc[5:, NAMES].notna().all(axis=None)


def test_summary_pools_folds_and_counts_failures(tmp_path):
    files = make(tmp_path, folds=("fold01", "fold02"), seeds=(0, 1))
    table = scored(files)
    table.loc[table.index[-1], "nse"] = np.nan
    table.to_csv(files.scores, index=False)
    summarise(files.scores, files.summary)
    summary = pd.read_csv(files.summary)
    assert list(summary) == [
        "metric", "median", "mean", "q25", "q75", "low", "high", "basins", "failed",
    ]  # fmt: skip
    assert list(summary["metric"]) == NAMES
    nse = table.loc[table["seed"] == "ensemble", "nse"]
    first = summary.iloc[0]
    np.testing.assert_allclose(first["median"], nse.median(), rtol=1e-7)
    np.testing.assert_allclose(first["q75"], nse.quantile(0.75), rtol=1e-7)
    assert (first["basins"], first["failed"]) == (12, 1)


def test_summary_of_one_seed(tmp_path):
    files = make(tmp_path)
    table = scored(files)
    summarise(files.scores, files.summary)
    found = pd.read_csv(files.summary).set_index("metric")
    np.testing.assert_allclose(found.loc["kge", "mean"], table["kge"].mean(), rtol=1e-7)


def refused(files, message):
    with pytest.raises((ValueError, OSError), match=message) as caught:
        scored(files)
    assert "\n" not in str(caught.value)
    assert not files.scores.exists()
    assert not list(files.scores.parent.glob("*.tmp"))


def test_missing_basins_are_named(tmp_path):
    files = make(tmp_path)
    edit(files.predictions[0], lambda d: d.isel(basin=slice(5, None)))
    refused(files, r"predictions.zarr: .* basin '01000000', '01000035', '01000070' and 2 more is")


def test_missing_days_are_named(tmp_path):
    files = make(tmp_path)
    edit(files.predictions[0], lambda d: d.isel(time=slice(None, -1)))
    refused(files, r"predictions.zarr: .* day 1994-09-29 is missing")


def test_observations_must_cover_the_period(tmp_path):
    files = make(tmp_path)
    edit(files.preprocess / OBSERVED, lambda d: d.isel(time=slice(None, -2)))
    refused(files, r"derived.zarr: .* day 1994-09-28, 1994-09-29 is missing")


def test_other_units_are_refused(tmp_path):
    files = make(tmp_path)

    def change(dataset):
        dataset["streamflow"].attrs["units"] = "m3 s-1"
        return dataset

    edit(files.predictions[0], change)
    refused(files, r"expected streamflow in 'mm d-1', found 'm3 s-1'")


def test_repeated_basins_are_refused(tmp_path):
    files = make(tmp_path)
    edit(files.predictions[0], lambda d: xr.concat([d, d.isel(basin=[3])], "basin"))
    refused(files, r"basin '01000105' occurs twice")


def test_missing_variable(tmp_path):
    files = make(tmp_path)
    edit(files.predictions[0], lambda d: d[["streamflow"]].rename(streamflow="runoff"))
    refused(files, r"expected a variable 'streamflow', found \['basin', 'runoff', 'time'\]")


def test_missing_coordinate(tmp_path):
    files = make(tmp_path)
    edit(files.predictions[0], lambda d: d[["streamflow"]].drop_vars("basin"))
    refused(files, r"expected a variable 'basin', found \['streamflow', 'time'\]")


def test_missing_store(tmp_path):
    files = make(tmp_path)
    files.runs.append(files.root / "made" / "all" / "seed1")
    refused(files, r"seed1/predictions.zarr: no such store; run the stage that writes it")


def test_missing_splits(tmp_path):
    files = make(tmp_path)
    (files.preprocess / "splits.csv").unlink()
    refused(files, r"splits.csv: no such table")


def test_missing_column(tmp_path):
    files = make(tmp_path)
    path = files.preprocess / "splits.csv"
    pd.read_csv(path, dtype=str).drop(columns="role").to_csv(path, index=False)
    refused(files, r"splits.csv: expected the columns .* but \['role'\] are missing")


def test_unknown_fold(tmp_path):
    files = make(tmp_path)
    path = files.preprocess / "splits.csv"
    path.write_text(path.read_text().replace(",all,", ",fold01,"))
    refused(files, r"no test basins in fold 'all'; the folds are \['fold01'\]")


def test_seeds_must_agree_between_folds(tmp_path):
    files = make(tmp_path, folds=("fold01", "fold02"), seeds=(0, 1))
    files.runs.pop()
    refused(files, r"same seeds in every fold, found \['seed0', 'seed1'\] in 'fold01' and")


def test_a_simulation_is_scored_as_a_prediction_is(tmp_path):
    files = make(tmp_path)
    before = scored(files)
    gauges = files.runs[0] / "simulation/gauges.zarr"
    gauges.parent.mkdir()
    files.predictions[0].rename(gauges)
    score([gauges], files.preprocess, files.scores, metrics=NAMES, model="hbv_1_0")
    pd.testing.assert_frame_equal(read_scores(files.scores), before)


def test_marks_of_the_workflow_in_a_store_are_no_news(tmp_path):
    files = make(tmp_path)
    (files.predictions[0] / ".snakemake_timestamp").touch()
    assert len(scored(files)) == 12  # a warning is an error here


def test_path_without_a_seed(tmp_path):
    files = make(tmp_path)
    files.runs[0] = files.runs[0].parent
    refused(files, r"expected <fold>/seed<integer>/predictions.zarr")


def test_no_predictions(tmp_path):
    files = make(tmp_path)
    files.runs.clear()
    refused(files, "expected predictions of one run at least")


def test_flow_is_read_in_the_order_asked_for(tmp_path):
    file = FlowFile(make(tmp_path).preprocess / OBSERVED)
    days = pd.date_range("1992-01-01", "1992-01-10")
    there = file.read(["01000000", "01000070"], days)
    back = file.read(["01000070", "01000000"], days[::-1])
    np.testing.assert_array_equal(there, back[::-1, ::-1])
