"""The worked examples of Bulletin 17B, appendix 12 (Interagency Advisory Committee 1982)."""

import numpy as np
import pytest
from scipy.stats import pearson3

from dmg.data.bulletin_17b import (
    FloodFrequency,
    exceedance_of,
    fit,
    frequency_factor,
    moments,
    outlier_factor,
    weighted_skew,
)

FISHKILL = [  # example 1: Fishkill Creek at Beacon, New York, 1945-1968 [ft3 s-1]
    2290, 1470, 2220, 2970, 3020, 1210, 2490, 3170, 3220, 1760, 8800, 8280, 1310, 2500, 1960, 2140,
    4340, 3060, 1780, 1380, 980, 1040, 1580, 3630,
]  # fmt: skip
BACK = [  # example 3: Back Creek near Jones Springs, West Virginia, 1929-1931 and 1939-1973
    8750, 15500, 4060, 6300, 3130, 4160, 6700, 22400, 3880, 8050, 4020, 1600, 4460, 4230, 3010,
    9150, 5100, 9820, 6200, 10700, 3880, 3420, 3240, 6800, 3740, 4700, 4380, 5190, 3960, 5600, 4670,
    7080, 4640, 536, 6680, 8360, 18700, 5210,
]  # fmt: skip
ORESTIMBA = [  # example 4: Orestimba Creek near Newman, California, 1932-1973
    4260, 345, 516, 1320, 1200, 2150, 3230, 115, 3440, 3070, 1880, 6450, 1290, 5970, 782, 0, 0, 335,
    175, 2920, 3660, 147, 0, 16, 5620, 1440, 10200, 5380, 448, 0, 1740, 8300, 156, 560, 128, 4200,
    0, 5080, 1010, 584, 0, 1510,
]  # fmt: skip


def test_example_1_statistics():
    assert moments(np.log10(FISHKILL)) == pytest.approx((3.3684, 0.2456, 0.7300), abs=1e-4)


def test_example_1_frequency_curve():
    """The Bulletin weighs the skew with a generalised one of 0.6 and rounds it to 0.7."""
    assert round(weighted_skew(0.7300, 24, 0.6, 0.302), 1) == 0.7
    curve = FloodFrequency(3.3684, 0.2456, 0.7, 1.0, 0.0)
    published = {0.99: 841, 0.9: 1200, 0.5: 2190, 0.1: 4960, 0.02: 9110, 0.01: 11500, 0.002: 19200}
    for exceedance, flow in published.items():
        assert curve.peak(exceedance) == pytest.approx(flow, rel=5e-3)
        assert curve.return_period(flow) == pytest.approx(1 / exceedance, rel=0.02)


def test_factors_are_those_of_the_tables():
    """Appendix 3 (skew 0.7) and appendix 4."""
    assert frequency_factor(0.01, 0.7) == pytest.approx(2.82359, abs=1e-5)
    assert frequency_factor(0.5, 0.7) == pytest.approx(-0.11578, abs=1e-5)
    assert frequency_factor(0.99, 0.7) == pytest.approx(-1.80621, abs=1e-5)
    for number, factor in {10: 2.036, 20: 2.385, 38: 2.661, 50: 2.768, 100: 3.017}.items():
        assert outlier_factor(number) == pytest.approx(factor, abs=1e-3)


@pytest.mark.parametrize("skew", [-2.0, -0.4, -1e-4, 0.0, 1e-7, 0.01, 0.7, 3.0])
def test_curve_is_that_of_scipy(skew):
    factors = np.linspace(-3, 5, 17)
    np.testing.assert_allclose(
        exceedance_of(factors, skew), pearson3.sf(factors, skew), rtol=1e-6, atol=1e-9
    )
    for p in (0.001, 0.3, 0.99):
        assert frequency_factor(p, skew) == pytest.approx(pearson3.isf(p, skew), abs=1e-6)


def test_example_3_has_a_low_outlier():
    assert moments(np.log10(BACK)) == pytest.approx((3.7220, 0.2804, -0.7311), abs=1e-4)
    curve = fit(BACK)
    assert np.log10(curve.low_outliers) == pytest.approx(2.9759, abs=3e-4)
    kept = [flow for flow in BACK if flow != 536]
    assert moments(np.log10(kept)) == pytest.approx((3.7488, 0.2296, 0.6311), abs=1e-4)
    assert curve.frac_above == 1.0


def test_the_synthetic_curve_goes_through_the_conditional_one():
    """Appendix 5: the flows exceeded with 1 % and 50 % are those of the truncated sample."""
    logs = np.log10([flow for flow in BACK if flow != 536])
    mean, std, skew = moments(logs)
    curve = fit(BACK)
    for exceedance in (0.01, 0.5):
        factor = frequency_factor(exceedance / (37 / 38), skew)
        assert np.log10(curve.peak(exceedance)) == pytest.approx(mean + factor * std, abs=1e-9)


def test_example_4_has_zero_flows_and_an_outlier():
    flows = [flow for flow in ORESTIMBA if flow > 0]
    assert (len(ORESTIMBA), len(flows)) == (42, 36)
    assert moments(np.log10(flows)) == pytest.approx((3.0784, 0.6442, -0.8356), abs=1e-4)
    curve = fit(ORESTIMBA)
    assert 16 < curve.low_outliers < 115
    periods = curve.return_period(ORESTIMBA)
    assert (periods[np.array(ORESTIMBA) == 0] == 1).all()
    assert (np.argsort(periods, kind="stable") == np.argsort(ORESTIMBA, kind="stable")).all()


def test_many_years_without_flow_leave_the_curve_conditional():
    flows = [0.0] * 15 + [30.0, 35, 40, 45, 50, 60, 70, 80, 90, 100]
    curve = fit(flows)
    assert curve.frac_above == 0.4
    assert curve.return_period([1e-9])[0] == pytest.approx(2.5, rel=0.01)


def test_return_periods_do_not_depend_on_the_unit():
    first, second = fit(FISHKILL, 0.0), fit(3.7 * np.array(FISHKILL), 0.0)
    np.testing.assert_allclose(
        first.return_period(FISHKILL), second.return_period(3.7 * np.array(FISHKILL)), rtol=1e-9
    )


def test_missing_peaks_have_no_return_period():
    curve = fit([*FISHKILL, np.nan])
    assert curve == fit(FISHKILL)
    assert np.isnan(curve.return_period([np.nan])).all()


@pytest.mark.parametrize(
    ("peaks", "found"), [(FISHKILL[:9], "found 9 above zero"), ([3.0] * 12, "all of one size")]
)
def test_too_few_peaks(peaks, found):
    with pytest.raises(ValueError, match=f"expected 10 annual peaks .* {found}"):
        fit(peaks)
