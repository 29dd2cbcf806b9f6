"""Metrics against published values, an independent program and properties they must have."""

import typing
import warnings

import numpy as np
import pytest

from dmg.config import Metric as MetricName
from dmg.metrics import METRICS, evaluate
from dmg.metrics.pairs import pairs

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the oracle's own imports
    import HydroErr

NAMES = list(METRICS)


def golden_series():
    t = np.arange(1096)
    obs = 2 + 1.5 * np.sin(2 * np.pi * (t - 60) / 365.25) + 2.4 * np.cos(0.37 * t) ** 8
    obs = np.maximum(obs + 25 * (t % 97 == 0), 0)
    obs[200:230] = 0.05
    sim = 0.9 * np.roll(obs, 1) + 0.2 + 0.1 * np.sin(0.2 * t)
    return sim[None], obs[None]


def random_series(num_basins=5, num_days=800, seed=0):
    rng = np.random.default_rng(seed)
    obs = rng.gamma(0.6, 3.0, (num_basins, num_days)) + 0.01
    sim = obs * rng.lognormal(0.0, 0.4, obs.shape) + 0.1
    return sim, obs


def is_undefined_for_a_constant(name):
    errors = {"pbias", "pbias_abs", "bias_rel", "mse", "rmse", "rmse_ub", "mae", "mare", "beta"}
    errors |= {"d_max", "d_max_rel"}
    return name not in errors | {"rmse_low", "rmse_mid", "rmse_high", "rmse_fdc"}


def test_every_metric_of_the_configuration_is_described():
    assert set(typing.get_args(MetricName)) == set(METRICS)
    for name, metric in METRICS.items():
        assert metric.function.__name__ == name
        assert metric.label and metric.unit and metric.meaning


# What two independent programs, NeuralHydrology and dMG, give for this series.
GOLDEN = {
    "nse": -0.47728741,
    "rmse": 3.59252227,
    "kge": 0.17898612,
    "kge_2012": 0.18185859,
    "alpha": 0.90037805,
    "beta": 0.97046771,
    "beta_nse": -0.02837749,
    "r": 0.18558788,
    "spearman": 0.82394083,
    "fhv": -8.84300805,
    "fms": -9.23834066,
    "flv_log": 30.89372985,
    "flv": 11.85573825,
    "peak_timing": 1.0,
    "rmse_ub": 3.59154298,
    "rmse_fdc": 0.38785391,
    "mae": 1.05386183,
    "pbias": -2.95322873,
    "pbias_mid": -3.82361096,
    "rmse_low": 0.11856909,
    "rmse_mid": 0.15849145,
    "rmse_high": 1.90769231,
    "mse": 12.90621626,
    "mare": 0.52892934,
    "bias_rel": -0.02953229,
    "pbias_abs": 37.10562410,
    "pbias_abs_mid": 3.97896247,
    "fhv_abs": 8.84300805,
    "flv_abs": 11.85573825,
    "peak_mape": 90.35403782,
    "d_max": -2.74270001,
    "d_max_rel": -9.26110940,
}
BY_DAY = {"peak_timing", "peak_mape", "missed_peaks", "d_max", "d_max_rel"}


def test_golden_values_cover_every_metric():
    assert set(METRICS) - set(GOLDEN) == {"missed_peaks"}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_value(name):
    found = METRICS[name].function(*golden_series())
    np.testing.assert_allclose(found, [GOLDEN[name]], rtol=0, atol=6e-9)


ORACLE = {
    "nse": HydroErr.nse,
    "kge": HydroErr.kge_2009,
    "kge_2012": HydroErr.kge_2012,
    "r": HydroErr.pearson_r,
    "spearman": HydroErr.spearman_r,
    "rmse": HydroErr.rmse,
    "mae": HydroErr.mae,
}


@pytest.mark.parametrize("name", ORACLE)
def test_agrees_with_hydroerr(name):
    sim, obs = random_series()
    obs[:, 10:90] = np.nan
    sim[2, 100:130] = np.nan
    expected = []
    for s, o in zip(sim, obs, strict=True):
        valid = np.isfinite(s) & np.isfinite(o)
        expected.append(ORACLE[name](s[valid], o[valid]))
    np.testing.assert_allclose(METRICS[name].function(sim, obs), expected, rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_perfect_simulation(name):
    _, obs = golden_series()
    np.testing.assert_allclose(METRICS[name].function(obs, obs), METRICS[name].perfect, atol=1e-12)


@pytest.mark.parametrize("c", [0.5, 1.3])
def test_proportional_simulation(c):
    _, obs = random_series()
    found = evaluate(c * obs, obs, NAMES)
    np.testing.assert_allclose(found["kge"], 1 - np.sqrt(2) * abs(c - 1))
    np.testing.assert_allclose(found["kge_2012"], 1 - abs(c - 1))
    for name in ("pbias", "fhv", "pbias_mid"):
        np.testing.assert_allclose(found[name], 100 * (c - 1))
    for name in ("alpha", "beta"):
        np.testing.assert_allclose(found[name], c)
    for name in ("fms", "flv_log"):
        np.testing.assert_allclose(found[name], 0, atol=1e-9)
    np.testing.assert_allclose(found["r"], 1)


def test_mean_of_the_observations():
    _, obs = random_series()
    sim = np.repeat(obs.mean(axis=1, keepdims=True), obs.shape[1], axis=1)
    found = evaluate(sim, obs, NAMES)
    np.testing.assert_allclose(found["nse"], 0, atol=1e-12)
    assert np.isnan(found["r"]).all()
    assert np.isnan(found["kge"]).all()
    np.testing.assert_array_equal(found["alpha"], 0)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in BY_DAY])
def test_order_of_the_days_does_not_matter(name):
    sim, obs = random_series()
    order = np.random.default_rng(1).permutation(obs.shape[1])
    function = METRICS[name].function
    np.testing.assert_allclose(function(sim[:, order], obs[:, order]), function(sim, obs))


@pytest.mark.parametrize("name", [n for n in NAMES if n not in BY_DAY])
def test_inserted_missing_days_do_not_matter(name):
    """Missing in either series, with a value in the other that must not be seen."""
    sim, obs = random_series()
    where = np.random.default_rng(1).integers(0, obs.shape[1], 100)
    values = np.tile([1e6, np.nan], 50)
    longer_sim = np.insert(sim, where, values, axis=1)
    longer_obs = np.insert(obs, where, values[::-1], axis=1)
    function = METRICS[name].function
    np.testing.assert_allclose(function(longer_sim, longer_obs), function(sim, obs), rtol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_basins_do_not_influence_each_other(name):
    sim, obs = random_series()
    function = METRICS[name].function
    alone = function(sim[1:2], obs[1:2])
    obs[0] = np.nan
    obs[2] = 3.0
    np.testing.assert_array_equal(function(sim, obs)[1:2], alone)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("constant", [0.0, 0.1])
def test_constant_observations(name, constant):
    sim, obs = random_series()
    found = METRICS[name].function(sim, np.full_like(obs, constant))
    assert not np.isinf(found).any()
    if is_undefined_for_a_constant(name):
        assert np.isnan(found).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("num_valid", [0, 1])
def test_too_few_observations(name, num_valid):
    sim, obs = random_series()
    obs[:, num_valid:] = np.nan
    found = METRICS[name].function(sim, obs)
    assert not np.isinf(found).any()
    if num_valid == 0 or is_undefined_for_a_constant(name):
        assert np.isnan(found).all()


@pytest.mark.parametrize("num_days", [2, 3, 5, 10, 30])
def test_short_series_are_finite_or_nan(num_days):
    for values in evaluate(*random_series(num_days=num_days), NAMES).values():
        assert not np.isinf(values).any()


def test_intermittent_flow_is_finite():
    sim, obs = random_series()
    obs[obs < 1] = 0
    sim[:, ::3] = -0.01
    for values in evaluate(sim, obs, NAMES).values():
        assert np.isfinite(values).all()


def test_peaks_near_gaps_are_skipped():
    obs = np.ones((1, 700))
    obs[0, [150, 350, 550]] = 20.0
    sim = np.ones_like(obs)
    sim[0, [151, 353, 550]] = 15.0
    function = METRICS["peak_timing"].function
    np.testing.assert_allclose(function(sim, obs), (1 + 3 + 0) / 3)
    obs[0, 352] = np.nan
    np.testing.assert_allclose(function(sim, obs), (1 + 0) / 2)


def test_missed_peaks():
    obs, sim = np.ones((1, 400)), np.ones((1, 400))
    obs[0, [50, 150, 250, 350]] = 20.0
    sim[0, [51, 152, 250]] = 5.0
    np.testing.assert_allclose(METRICS["missed_peaks"].function(sim, obs), 0.5)
    sim[0, 250] = np.nan
    np.testing.assert_allclose(METRICS["missed_peaks"].function(sim, obs), 2 / 3)


def test_the_highest_flow_is_sought_within_ten_days():
    obs, sim = np.ones((2, 60)), np.ones((2, 60))
    obs[:, 30] = 8.0
    sim[0, 40], sim[1, 41] = 9.0, 9.0
    np.testing.assert_allclose(METRICS["d_max"].function(sim, obs), [1, -7])
    np.testing.assert_allclose(METRICS["d_max_rel"].function(sim, obs), [12.5, -87.5])


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"one shape \(basin, time\), found \(2, 5\) and \(2, 6\)"):
        pairs(np.ones((2, 5)), np.ones((2, 6)))
