"""Signatures against an independent program (NeuralHydrology), and what must hold for them."""

import numpy as np
import pandas as pd
import pytest
from test_metrics import golden_series

from dmg.metrics.baseflow import baseflow, baseflow_index
from dmg.metrics.signatures import SIGNATURES, signatures

DAYS = pd.date_range("1999-10-01", periods=1096)
T = np.arange(1096)
RAIN = (4 + 2 * np.sin(0.05 * T) + 5 * (T % 7 == 0))[None]
FLOW = golden_series()[1]
GOLDEN = {
    "high_q_dur": 1.0, "low_q_dur": 4.92857143, "zero_q_freq": 0.0, "q95": 5.32086256,
    "q5": 0.52439042, "q_mean": 2.84016736, "baseflow_index": 0.54393614,
    "slope_fdc": 1.76902633, "runoff_ratio": 0.59666332,
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_values(name):
    found = signatures(FLOW, DAYS, RAIN)[name]
    np.testing.assert_allclose(found, [GOLDEN[name]], rtol=0, atol=6e-9)


def test_golden_values_of_the_peer_leave_out_the_last_year():
    """It drops a whole last year, and counts frequencies by calendar years; we do not."""
    first = signatures(FLOW[:, :731], DAYS[:731], RAIN[:, :731])
    np.testing.assert_allclose(first["hfd_mean"], 154.5)
    year = np.asarray(DAYS.year + (DAYS.month >= 10))
    flow, rain = (pd.Series(x[0]).groupby(year).mean() for x in (FLOW, RAIN))
    elasticity = (flow - FLOW.mean()) / (rain - RAIN.mean()) * RAIN.mean() / FLOW.mean()
    np.testing.assert_allclose(elasticity.iloc[:2].median(), 48.01719489)
    found = signatures(FLOW, DAYS, RAIN)
    np.testing.assert_allclose(found["stream_elas"], elasticity.median())
    np.testing.assert_allclose(found["high_q_freq"], 4.0, rtol=1e-3)
    calendar = (DAYS.year == 2000) | (DAYS.year == 2001)
    low = FLOW[0] < 0.2 * FLOW.mean()
    assert low[calendar].sum() / 2 == 28
    np.testing.assert_allclose(found["low_q_freq"], 365.25 * low.mean())


def test_baseflow_of_single_days():
    """The peer gives its series backwards, which does not change the index."""
    golden = [0.47564338, 0.50059595, 0.51406637, 0.51804026, 0.52087722]
    np.testing.assert_allclose(baseflow(FLOW)[0, ::-1][:5], golden, atol=6e-9)


def test_baseflow_is_filtered_in_runs_without_gaps():
    flow = np.tile(FLOW, (2, 1))
    flow[1, [300, 320]] = np.nan
    found = baseflow(flow)
    np.testing.assert_allclose(found[1, :300], baseflow(FLOW[:, :300])[0])
    assert np.isnan(found[1, 300:321]).all(), "a run of 19 days is too short"
    assert (found[0] <= flow[0] + 1e-12).all()
    assert np.isnan(baseflow_index(np.full((1, 50), np.nan))).all()


def test_missing_days_and_basins_without_any():
    flow = np.tile(FLOW, (3, 1))
    flow[1, 5:9] = np.nan
    flow[2] = np.nan
    found = signatures(flow, DAYS, np.tile(RAIN, (3, 1)))
    assert set(found) == set(SIGNATURES)
    for name, values in found.items():
        np.testing.assert_allclose(values[0], signatures(FLOW, DAYS, RAIN)[name][0])
        np.testing.assert_allclose(values[1], values[0], rtol=0.35)
        assert np.isnan(values[2]) or name in ("high_q_dur", "low_q_dur")


def test_without_precipitation():
    found = signatures(FLOW, DAYS)
    assert np.isnan(found["runoff_ratio"]) and np.isnan(found["stream_elas"])


def test_constant_and_dry_basins_are_not_infinite():
    found = signatures(np.stack([np.zeros(1096), np.full(1096, 2.0)]), DAYS, np.ones((2, 1096)))
    assert not any(np.isinf(values).any() for values in found.values())
    np.testing.assert_allclose(found["zero_q_freq"], [1, 0])


def test_every_signature_is_described():
    assert all(signature.unit and signature.meaning for signature in SIGNATURES.values())
