import datetime as dt
import re
import tarfile

import numpy as np
import pandas as pd
import pytest

from dmg.data.derive import derive
from dmg.data.sources.camels_us import CamelsUs
from dmg.data.store import extract, initialise, merge, open_store
from dmg.phy import MODELS
from dmg.routing import UnitHydrograph
from dmg.synthetic import generate, twin
from dmg.synthetic.basins import GRADIENTS, make_basins
from dmg.synthetic.signatures import climate, hydrology
from dmg.synthetic.tree import TABLES
from dmg.synthetic.truth import RULES, hargreaves, make_parameters, simulate
from dmg.synthetic.weather import make_weather

SMALL = {"num_basins": 5, "start": dt.date(2000, 10, 1), "years": 2}
DAYS = 730


def contents(root):
    return {p.relative_to(root): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def read_table(root, name):
    path = root / "camels_attributes_v2.0" / f"camels_{name}.txt"
    return pd.read_csv(path, sep=";", dtype={"gauge_id": str}, index_col="gauge_id")


def read_truth(root, name):
    return pd.read_csv(root / "truth" / f"{name}.csv", index_col=0, dtype={"basin_id": str})


def extracted(tree, store):
    reader = CamelsUs(tree, "daymet")
    initialise(reader, store, source="camels_us", dataset="demo")
    extract(reader, store, 1, 1)
    merge(store)
    return open_store(store)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    out = tmp_path_factory.mktemp("twin") / "demo"
    generate(out, **SMALL)
    return out


@pytest.fixture(scope="module")
def basins():
    return make_basins(24, np.random.default_rng(1))


@pytest.fixture(scope="module")
def days():
    return pd.date_range("2000-10-01", "2004-09-30")


@pytest.fixture(scope="module")
def weather(basins, days):
    return make_weather(basins, days, np.random.default_rng(2))


def test_same_seed_same_bytes(tree, tmp_path):
    generate(tmp_path / "again", **SMALL)
    assert contents(tmp_path / "again") == contents(tree)


def test_another_seed_is_another_tree(tree, tmp_path):
    generate(tmp_path / "other", **SMALL, seed=2)
    ours, other = contents(tree), contents(tmp_path / "other")
    assert not any(ours[name] == other[name] for name in set(ours) & set(other))


def test_the_reader_reads_it(tree, tmp_path):
    data = extracted(tree, tmp_path / "demo.zarr")
    assert dict(data.sizes) == {"basin": 5, "time": DAYS}
    assert all(re.fullmatch(r"\d{8}", b) for b in data["basin"].values)
    assert data["time"].values[0] == np.datetime64("2000-10-01")
    assert not set().union(*TABLES.values()) - set(data.data_vars)
    for name in ("precipitation", "temperature_min", "shortwave", "vapour_pressure", "daylength"):
        assert np.isfinite(data[name]).all()


def test_without_errors_the_pipeline_sees_the_truth(tmp_path):
    generate(tmp_path / "demo", **SMALL, noise=0, frac_missing=0)
    data = extracted(tmp_path / "demo", tmp_path / "demo.zarr")
    derived, truth = derive(data), read_truth(tmp_path / "demo", "streamflow")
    assert truth.columns.tolist() == data["basin"].values.tolist()
    rounding = 0.005 * 86.4 * 0.0283168 / data["area"].values[:, None]  # files give 0.01 ft3/s
    error = np.abs(derived["streamflow"] - truth.to_numpy().T)
    assert (error <= rounding + 1e-5 * truth.to_numpy().T + 1e-6).all()


def test_the_pipeline_computes_the_evapotranspiration_of_the_truth(tree, tmp_path):
    data = extracted(tree, tmp_path / "demo.zarr")
    series = {n: data[n].values.astype(np.float64) for n in ("temperature_min", "temperature_max")}
    table = pd.DataFrame({"gauge_lat": data["latitude"].values})
    expected = hargreaves(table, pd.DatetimeIndex(data["time"].values), series)
    np.testing.assert_allclose(derive(data)["pet"], expected, rtol=2e-6, atol=2e-6)


def test_gaps_and_noise_are_as_asked(tmp_path):
    generate(tmp_path / "demo", **SMALL | {"years": 4}, noise=0.1, frac_missing=0.05)
    data = extracted(tmp_path / "demo", tmp_path / "demo.zarr")
    truth = read_truth(tmp_path / "demo", "streamflow").to_numpy().T
    flow = derive(data)["streamflow"]
    assert (np.isnan(flow).sum(axis=1) == round(0.05 * 1461)).all()
    large = truth > 0.3
    error = np.log(flow / truth)[large & ~np.isnan(flow)]
    assert error.std() == pytest.approx(0.1, rel=0.05)
    assert np.exp(error).mean() == pytest.approx(1, abs=0.01)


def test_gaps_come_as_runs_and_single_days():
    flow = twin.observe(np.ones((3, 3000)), 0.0, 0.03, np.random.default_rng(0))
    for row in np.isnan(flow):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row, [0]])))
        lengths = edges[1::2] - edges[::2]
        assert row.sum() == 90
        assert lengths.max() >= 5
        assert (lengths == 1).sum() >= 10


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(twin, "write_truth", full)
    with pytest.raises(OSError, match="disk full"):
        generate(tmp_path / "demo", **SMALL)
    assert list(tmp_path.iterdir()) == []


def test_parameters_lie_well_inside_their_bounds(basins):
    bounds = {**MODELS["hbv_1_0"].PARAMETERS, **UnitHydrograph.PARAMETERS}
    assert set(RULES) == set(bounds) - {"BETAET"}
    parameters = make_parameters(basins)
    for name, (*ends, weights) in RULES.items():
        margin = 0.04 * (bounds[name].upper - bounds[name].lower)
        assert bounds[name].lower + margin < min(ends) < max(ends) < bounds[name].upper - margin
        assert sum(weights.values()) == pytest.approx(1)
        assert parameters[name].between(min(ends), max(ends)).all()
        assert np.ptp(parameters[name]) > 0.4 * abs(ends[0] - ends[1])  # basins differ


def test_basins_span_the_gradients(basins):
    assert basins.index.is_unique
    assert basins.index.is_monotonic_increasing
    assert (basins["huc_02"] == basins.index.str[:2]).all()
    for name in GRADIENTS:
        assert np.histogram(basins[name], bins=24, range=(0, 1))[0].tolist() == [1] * 24
    assert np.allclose(basins.filter(regex="^(sand|silt|clay|other)_frac").sum(axis=1), 100)
    assert basins["dom_land_cover"].nunique() >= 3
    assert basins["geol_1st_class"].nunique() >= 3


def test_weather_is_plausible(basins, days, weather):
    low, high = weather["temperature_min"], weather["temperature_max"]
    rain = weather["precipitation"]
    pet = hargreaves(basins, days, weather)
    found = climate(days, rain, (low + high) / 2, pet)
    assert (high - low > 0.9).all()
    assert rain.min() == 0 and rain.max() < 200
    assert found["frac_snow"].max() > 0.35 and found["frac_snow"].min() < 0.02
    assert found["aridity"].max() > 1.5 and found["aridity"].min() < 0.4
    assert 0.5 < weather["daylength"].min() / 43200 < weather["daylength"].max() / 43200 < 1.5
    assert (weather["shortwave"] > 0).all() and weather["shortwave"].max() < 800
    assert (weather["vapour_pressure"] > 0).all()
    summer = np.isin(days.month, (6, 7, 8))
    assert (high[:, summer].mean(axis=1) > high[:, ~summer].mean(axis=1) + 5).all()


def test_weather_remembers_yesterday(weather):
    wet = weather["precipitation"] > 0
    after_wet = (wet[:, 1:] & wet[:, :-1]).sum() / wet[:, :-1].sum()
    assert after_wet > wet.mean() + 0.15
    mean = (weather["temperature_min"] + weather["temperature_max"]) / 2
    change = np.diff(mean, axis=1).std()
    assert change < 0.5 * mean.std()


def test_weather_has_the_digits_of_the_files(weather):
    for name, series in weather.items():
        text = np.char.mod("%.2f", series[:2])
        np.testing.assert_array_equal(text.astype(float), series[:2], err_msg=name)


def test_flow_is_plausible(basins, days, weather):
    flow = simulate(make_parameters(basins), weather, hargreaves(basins, days, weather))
    found = hydrology(days[365:], flow[:, 365:], weather["precipitation"][:, 365:])
    assert (found["runoff_ratio"] > 0.05).all() and (found["runoff_ratio"] < 0.9).all()
    assert np.ptp(found["runoff_ratio"]) > 0.3
    assert (found["baseflow_index"] > 0.3).all() and (found["baseflow_index"] < 0.95).all()
    assert np.ptp(found["hfd_mean"]) > 50  # rain-fed and snow-fed regimes


def test_signatures_of_known_series():
    days = pd.date_range("2000-10-01", "2004-09-30")
    warm = np.cos(2 * np.pi * (days.day_of_year.to_numpy() - 200) / 365.25)
    rain = np.stack([1.5 + warm, 1.5 - warm])
    found = climate(days, rain, np.stack([10 * warm] * 2), np.full((2, 1461), 1.0))
    np.testing.assert_allclose(found["p_seasonality"], [2 / 3, -2 / 3], atol=2e-3)
    np.testing.assert_allclose(found["aridity"], [2 / 3, 2 / 3], atol=2e-3)
    assert found["low_prec_timing"] == ["djf", "jja"]
    flow = np.tile([1.0, 1.0, 0.0, 4.0], 365)[None]
    found = hydrology(days[:1460], flow, flow * 2)
    assert found["q_mean"] == 1.5
    assert found["runoff_ratio"] == 0.5
    assert found["zero_q_freq"] == 0.25
    assert found["low_q_dur"] == 1.0
    assert found["stream_elas"] == pytest.approx(1.0)


def test_tables_have_the_digits_and_blanks_of_the_original(tree):
    assert read_table(tree, "vege")["dom_land_cover"].str.startswith("    ").all()
    assert "geol_porostiy" in read_table(tree, "geol")
    header = read_table(tree, "topo")["area_geospa_fabric"]
    for basin, area in header.items():
        (path,) = tree.glob(f"basin_mean_forcing/daymet/*/{basin}_lump_cida_forcing_leap.txt")
        assert path.read_text().splitlines()[2] == f"{round(area * 1e6):10d}"


@pytest.mark.real
def test_files_look_like_the_originals(tree, real_data_root):
    def form(line):
        return re.sub(r"\d+", "9", line.replace("-", "")).strip(" ")

    with tarfile.open(real_data_root / "camels_us_sample.tar.xz") as archive:
        names = archive.getnames()
        for part, rows in (("basin_mean_forcing/daymet", 6), ("usgs_streamflow", 2)):
            name = next(n for n in names if part in n and n.endswith(".txt"))
            real = archive.extractfile(name).read().decode().splitlines()
            ours = next((tree / part).rglob("*.txt")).read_text().splitlines()
            assert [re.sub(" +", " ", form(x)) for x in ours[:rows]] == [
                re.sub(" +", " ", form(x)) for x in real[:rows]
            ]
        for table, columns in TABLES.items():
            name = next(n for n in names if n.endswith(f"camels_{table}.txt"))
            header = archive.extractfile(name).readline().decode().strip()
            assert header.split(";") == ["gauge_id", *columns]
