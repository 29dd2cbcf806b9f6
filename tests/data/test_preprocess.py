import datetime as dt
import logging
import multiprocessing
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from dmg import pet as formulas
from dmg.data import derive_store as module
from dmg.data.derive import derive
from dmg.data.preprocess import preprocess
from dmg.data.splits import hold_out, random_folds, read_splits, temporal
from dmg.data.statistics import log_root, read_statistics
from dmg.data.store import FORMAT_VERSION
from dmg.data.template import strings
from dmg.data.workers import LocalWorkers
from dmg.data.zarrs import consolidate, encode, open_zarr
from dmg.files import unfinished

BASINS = [f"{i:08d}" for i in (5, 11, 12, 13, 14, 15, 16, 90)]
TRAIN = (dt.date(2000, 10, 1), dt.date(2002, 9, 30))
TEST = (dt.date(2002, 10, 1), dt.date(2003, 9, 30))
RANGES = {
    "precipitation": (0, 20), "temperature_min": (-10, 5), "temperature_max": (6, 25),
    "shortwave": (50, 400), "vapour_pressure": (200, 900), "daylength": (30_000, 55_000),
    "discharge": (0, 30),
}  # fmt: skip
CHOICE = {
    "basins": BASINS,
    "forcings": ["precipitation", "temperature", "pet"],
    "attributes": ["slope", "cover"],
    "log_forcings": ["precipitation"],
    "workers": 0,
}


def make_store(path, seed=0):
    rng = np.random.default_rng(seed)
    time = pd.date_range("2000-01-01", "2003-12-31", unit="s")
    size = (len(BASINS), len(time))
    series = {
        name: (("basin", "time"), rng.uniform(*ends, size).astype(np.float32), {"units": "?"})
        for name, ends in RANGES.items()
    }
    series["discharge"][1][2, 300:320] = np.nan
    static = {
        "area": ("basin", rng.uniform(10, 500, len(BASINS))),
        "elevation": ("basin", rng.uniform(10, 2500, len(BASINS))),
        "latitude": ("basin", rng.uniform(30, 48, len(BASINS))),
        "slope": ("basin", rng.uniform(0, 50, len(BASINS))),
        "cover": ("basin", strings(list("abcaabcz"))),
    }
    coords = {"basin": strings(BASINS), "time": time}
    dataset = xr.Dataset({**series, **static}, coords, {"format_version": FORMAT_VERSION})
    save(dataset, path)


def save(dataset, path):
    encoding = encode(dataset, shard_basins=4, chunk_basins=2, chunk_days=365)
    dataset.drop_encoding().to_zarr(
        path, mode="w", encoding=encoding, zarr_format=3, consolidated=False
    )
    consolidate(path)


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "stores" / "x.zarr"
    make_store(path)
    return path


@pytest.fixture
def splits():
    return temporal(BASINS, train=TRAIN, test=TEST, frac_holdout=0.25, seed=1)


def test_derived_variables(store, splits, tmp_path):
    preprocess(store, tmp_path / "p", splits=splits, **CHOICE)
    raw, derived = open_zarr(store), open_zarr(tmp_path / "p" / "derived.zarr")
    assert derived["basin"].values.tolist() == BASINS
    assert derived["time"].equals(raw["time"])
    mean = (raw["temperature_min"] + raw["temperature_max"]) / 2
    np.testing.assert_allclose(derived["temperature"], mean, rtol=1e-6)
    depth = raw["discharge"].values * 86.4 / raw["area"].values[:, None]
    np.testing.assert_allclose(derived["streamflow"], depth, rtol=1e-6)
    assert np.isnan(derived["streamflow"].values[2, 300:320]).all()
    radiation = formulas.extraterrestrial_radiation(
        raw["latitude"].values[3], raw["time"].dt.dayofyear.values
    )
    expected = formulas.hargreaves(
        raw["temperature_min"].values[3], raw["temperature_max"].values[3], radiation
    )
    np.testing.assert_allclose(derived["pet"][3], expected, rtol=1e-6)
    assert derived["pet"].attrs["units"] == "mm d-1"
    assert derived["pet"].dtype == np.float32
    assert derived.attrs["pet"] == "hargreaves"


def test_layout_is_that_of_the_store(store, splits, tmp_path):
    preprocess(store, tmp_path / "p", splits=splits, **CHOICE)
    raw, derived = open_zarr(store), open_zarr(tmp_path / "p" / "derived.zarr")
    for key in ("chunks", "shards"):
        assert derived["pet"].encoding[key] == raw["precipitation"].encoding[key]


def test_priestley_taylor_takes_the_mean_over_the_day(store):
    raw = open_zarr(store)
    day = raw.assign(
        shortwave=raw["shortwave"] * raw["daylength"] / 86400,
        daylength=xr.full_like(raw["daylength"], 86400),
    )
    found, expected = (derive(x, "priestley_taylor")["pet"] for x in (raw, day))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert not np.allclose(found, derive(raw)["pet"], rtol=0.05)


@pytest.mark.parametrize("name", ["hargreaves", "priestley_taylor", "hamon", "penman_monteith"])
def test_every_formula_gives_plausible_evapotranspiration(name, store):
    potential = derive(open_zarr(store), name)["pet"]
    assert np.nanmin(potential) >= 0
    assert 0.5 < np.nanmean(potential) < 6


def test_statistics_are_those_of_the_training_days(store, splits, tmp_path):
    preprocess(store, tmp_path / "p", splits=splits, **CHOICE)
    raw, derived = open_zarr(store), open_zarr(tmp_path / "p" / "derived.zarr")
    trained = splits[splits["role"] == "train"]["basin_id"].tolist()
    assert len(trained) == 6
    part = {"basin": trained, "time": slice(*map(str, TRAIN))}
    found = read_statistics(tmp_path / "p" / "statistics.json")["all"]
    pet = derived["pet"].sel(part).values.astype(np.float64)
    assert found["forcings"]["pet"]["mean"] == pytest.approx(pet.mean(), rel=1e-12)
    assert found["forcings"]["pet"]["std"] == pytest.approx(pet.std(), rel=1e-12)
    rain = log_root(raw["precipitation"].sel(part).values).astype(np.float64)
    assert found["forcings"]["precipitation"]["mean"] == pytest.approx(rain.mean(), rel=1e-12)
    flow = derived["streamflow"].sel(part).values.astype(np.float64)
    assert found["target"]["p90"] == pytest.approx(np.nanquantile(flow, 0.9), rel=1e-6)
    assert list(found["target_std"]) == trained
    for basin, row in zip(trained, flow, strict=True):
        assert found["target_std"][basin] == pytest.approx(np.nanstd(row), rel=1e-12)
    classes = raw["cover"].sel(basin=trained).values
    assert found["categories"] == {"cover": sorted(set(classes))}
    assert found["attributes"]["slope"]["mean"] == pytest.approx(
        raw["slope"].sel(basin=trained).mean()
    )


def poison(store, basins, days):
    """Set everything of these basins, and these days of all basins, to 1e9."""
    data = open_zarr(store).load()
    static = [n for n, v in data.items() if v.dims == ("basin",) and v.dtype.kind == "f"]
    for name in [*RANGES, *static]:
        data[name].loc[{"basin": basins}] = 1e9
    data["cover"].loc[{"basin": basins}] = "poison"
    for name in RANGES:
        data[name].loc[{"time": days}] = 1e9
    save(data, store)


def test_test_days_and_held_out_basins_leave_no_trace(store, splits, tmp_path):
    preprocess(store, tmp_path / "before", splits=splits, **CHOICE)
    held_out = sorted(set(BASINS) - set(splits[splits["role"] == "train"]["basin_id"]))
    poison(store, held_out, slice("2002-10-01", None))
    with np.errstate(all="ignore"):  # the poisoned days overflow, which nobody reads
        preprocess(store, tmp_path / "after", splits=splits, **CHOICE)
    before, after = (tmp_path / n / "statistics.json" for n in ("before", "after"))
    assert before.read_text() == after.read_text()


def test_pub_fold_never_sees_its_test_basins(store, tmp_path):
    splits = hold_out(BASINS, random_folds(BASINS, 4), train=TRAIN, test=TRAIN)
    preprocess(store, tmp_path / "before", splits=splits, **CHOICE)
    tested = splits[(splits["fold"] == "fold02") & (splits["role"] == "test")]["basin_id"]
    poison(store, tested.tolist(), slice("2003-01-01", None))
    with np.errstate(all="ignore"):
        preprocess(store, tmp_path / "after", splits=splits, **CHOICE)
    before, after = (read_statistics(tmp_path / n / "statistics.json") for n in ("before", "after"))
    assert list(before) == ["fold01", "fold02", "fold03", "fold04"]
    assert before["fold02"] == after["fold02"]
    assert before["fold01"] != after["fold01"]


def test_without_attributes(store, splits, tmp_path):
    preprocess(store, tmp_path / "p", splits=splits, **CHOICE | {"attributes": []})
    found = read_statistics(tmp_path / "p" / "statistics.json")["all"]
    assert found["attributes"] == found["categories"] == {}
    assert len(found["target_std"]) == 6


def test_a_subset_in_another_order(store, splits, tmp_path):
    chosen = [BASINS[i] for i in (7, 2, 5, 0, 3)]
    splits = temporal(chosen, train=TRAIN, test=TEST)
    preprocess(store, tmp_path / "p", splits=splits, **CHOICE | {"basins": chosen})
    derived = open_zarr(tmp_path / "p" / "derived.zarr")
    assert derived["basin"].values.tolist() == chosen
    expected = derive(open_zarr(store).sel(basin=chosen))
    for name, values in expected.items():
        np.testing.assert_array_equal(derived[name], values)


def test_ids_without_zeros_are_written_in_full(store, tmp_path, caplog):
    short = [basin.lstrip("0") for basin in BASINS]
    splits = temporal(short, train=TRAIN, test=TEST)
    with caplog.at_level(logging.WARNING):
        preprocess(store, tmp_path / "p", splits=splits, **CHOICE | {"basins": short})
    assert "without their leading zeros" in caplog.text
    assert read_splits(tmp_path / "p" / "splits.csv")["basin_id"].tolist() == BASINS * 2


@pytest.mark.slow
def test_worker_processes_give_the_same_bytes_and_end(store, splits, tmp_path, capfd):
    preprocess(store, tmp_path / "0", splits=splits, **CHOICE)
    preprocess(store, tmp_path / "2", splits=splits, **CHOICE | {"workers": 2})
    assert capfd.readouterr() == ("", "")
    assert not multiprocessing.active_children()
    names = sorted(p.relative_to(tmp_path / "0") for p in (tmp_path / "0").rglob("*"))
    assert names == sorted(p.relative_to(tmp_path / "2") for p in (tmp_path / "2").rglob("*"))
    for name in names:
        if (tmp_path / "0" / name).is_file():
            assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_an_interrupted_run_goes_on_after_its_last_whole_block(
    store, splits, tmp_path, monkeypatch
):
    """Blocks of two chunks of two basins: the second is broken off, the first not done again."""
    preprocess(store, tmp_path / "whole", splits=splits, **CHOICE)
    calls, derive = [], module.derive

    def breaks(dataset, pet):
        calls.append(dataset.sizes["basin"])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return derive(dataset, pet)

    monkeypatch.setattr(module, "derive", breaks)
    with pytest.raises(KeyboardInterrupt):
        preprocess(store, tmp_path / "p", splits=splits, **CHOICE)
    preprocess(store, tmp_path / "p", splits=splits, **CHOICE)
    assert calls == [2] * 5
    assert sorted(p.name for p in (tmp_path / "p").iterdir()) == [
        ".derived.lock", "derived.zarr", "splits.csv", "statistics.json",
    ]  # fmt: skip
    for path in (p for p in (tmp_path / "whole").rglob("*") if p.is_file()):
        again = tmp_path / "p" / path.relative_to(tmp_path / "whole")
        assert path.read_bytes() == again.read_bytes()


def test_other_settings_do_not_go_on_with_what_was_done(store, splits, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "consolidate", None)  # breaks off at the end
    with pytest.raises(TypeError):
        preprocess(store, tmp_path / "p", splits=splits, **CHOICE)
    monkeypatch.undo()
    preprocess(store, tmp_path / "p", splits=splits, **CHOICE | {"pet": "hamon"})
    preprocess(store, tmp_path / "whole", splits=splits, **CHOICE | {"pet": "hamon"})
    found = [open_zarr(tmp_path / name / "derived.zarr")["pet"] for name in ("p", "whole")]
    assert found[0].equals(found[1])


def test_two_workflows_on_one_result_are_refused(store, splits, tmp_path):
    with unfinished(tmp_path / "p" / "derived.zarr") as other:
        with pytest.raises(ValueError, match="expected to be its only writer, found another"):
            preprocess(store, tmp_path / "p", splits=splits, **CHOICE)
        other.mkdir()
    preprocess(store, tmp_path / "p", splits=splits, **CHOICE)


def test_memory_makes_blocks_smaller(store, splits, tmp_path):
    """A chunk has two basins, a shard of the store four; 1461 days need 0.02 MB a basin."""
    workers = LocalWorkers(processes=0, mem_mb=module.BASE_MB + module.FORMULAS_MB + 0.1)
    preprocess(store, tmp_path / "small", splits=splits, **CHOICE | {"workers": workers})
    preprocess(store, tmp_path / "whole", splits=splits, **CHOICE)
    small, whole = (open_zarr(tmp_path / n / "derived.zarr")["pet"] for n in ("small", "whole"))
    assert (small.encoding["shards"][0], whole.encoding["shards"][0]) == (2, 4)
    assert small.equals(whole)
    with pytest.raises(ValueError, match=r"--memory-mb: expected at least \d+ for 2 basins x 1461"):
        preprocess(
            store, tmp_path / "p", splits=splits,
            **CHOICE | {"workers": LocalWorkers(processes=0, mem_mb=100)},
        )  # fmt: skip


def test_small_experiments_start_no_processes(store, splits, tmp_path, monkeypatch):
    monkeypatch.setattr("distributed.LocalCluster", None)
    preprocess(store, tmp_path / "p", splits=splits, **CHOICE | {"workers": None})
    monkeypatch.setattr(module, "BLOCKS_PER_WORKER", 1)
    monkeypatch.setattr(module, "num_cores", lambda: 2)
    with pytest.raises(TypeError):
        preprocess(store, tmp_path / "p", splits=splits, **CHOICE | {"workers": None})


def bad(**changes):
    return CHOICE | changes


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (bad(forcings=["precipitaton"]), r"data.forcings: .* 'precipitaton'; .* precipitation"),
        (bad(attributes=["slop"]), "data.attributes: expected .* found 'slop'; .* slope"),
        (bad(target="stramflow"), "data.target: .* 'stramflow'; the nearest there: streamflow"),
        (bad(basins=["00000005", "77"]), "x.zarr: expected ids among .* unknown: 77"),
        (bad(basins=BASINS[:3]), "split: expected only basins of the experiment, found 00000013"),
    ],
)
def test_bad_choices(store, splits, tmp_path, choice, message):
    with pytest.raises(ValueError, match=message):
        preprocess(store, tmp_path / "p", splits=splits, **choice)
    assert not (tmp_path / "p").exists()


def test_period_outside_the_store(store, tmp_path):
    splits = temporal(BASINS, train=(dt.date(1999, 1, 1), dt.date(2001, 1, 1)), test=TEST)
    message = "within 2000-01-01..2003-12-31, the days of the data, found 1999-01-01..2001-01-01"
    with pytest.raises(ValueError, match=re.escape(message)):
        preprocess(store, tmp_path / "p", splits=splits, **CHOICE)


def test_basin_without_streamflow_leaves_no_result(store, tmp_path):
    data = open_zarr(store).load()
    data["discharge"].loc[{"basin": BASINS[4], "time": slice(*map(str, TRAIN))}] = np.nan
    save(data, store)
    splits = temporal(BASINS, train=TRAIN, test=TEST)
    with pytest.raises(ValueError, match=f"basin {BASINS[4]}: expected streamflow on the training"):
        preprocess(store, tmp_path / "p", splits=splits, **CHOICE)
    names = {p.name for p in (tmp_path / "p").iterdir()}
    assert names == {"derived.parts", ".derived.lock"}  # for the next run to go on with


def test_fold_without_training_basins(store, splits, tmp_path):
    only_tested = splits[splits["role"] == "test"]
    with pytest.raises(ValueError, match="split: all: expected basins to train on, found none"):
        preprocess(store, tmp_path / "p", splits=only_tested, **CHOICE)
