"""Flood frequency after Bulletin 17B, against what programs and guidelines print.

Sources, all read, none remembered:

- PeakFQ 7.1 (U.S. Geological Survey): printed Bulletin 17B analysis of station 04031500, in the
  repository dholtschlag-usgs/FloodSkew, data/Raw/PK04031500.PRT.
- Bulletin 17C (England et al. 2019, doi:10.3133/tm4B5), appendix 10: the peaks of its tables 10-2
  (Moose River), 10-6 (Orestimba Creek), 10-10 (Back Creek); moments and skew of its example 1.
- HydroTools (dimensionengine.com), validation of LogPearson: peaks and two flows of example 1 of
  Bulletin 17B.
- MGBT 1.0.7 (R), critK10: an entry of Bulletin 17B's table of outlier factors.

Back Creek, 1929-1931 and 1939-1973, and Orestimba Creek, 1932-1973, are examples 3 and 4 of
Bulletin 17B too; what it prints of them was not at hand, so they test the procedure only.
"""

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

PRESQUE_ISLE = [  # 04031500, Presque Isle River at Marenisco, Michigan, 1945-1982 [ft3 s-1]
    1140, 1860, 1030, 518, 1350, 1750, 2600, 2670, 1230, 1680, 1060, 648, 1540, 762, 559, 3520,
    1040, 662, 975, 1070, 1620, 1000, 1410, 812, 1220, 1610, 1700, 1260, 1050, 1390, 1470, 1140,
    589, 1180, 1620, 852, 965, 1650,
]  # fmt: skip
MOOSE = [  # 01134500, Moose River at Victory, Vermont, 1947-2014
    2080, 1670, 1480, 2940, 1560, 2380, 2720, 2860, 2620, 1710, 1370, 2180, 1160, 2780, 1580, 2110,
    2160, 2750, 1190, 1560, 1800, 1600, 2400, 3010, 1490, 2920, 4940, 2550, 1250, 2670, 2020, 1460,
    1620, 1460, 1570, 2890, 1840, 2950, 1380, 2350, 4180, 1700, 2200, 3430, 2270, 2180, 1900, 2760,
    4536, 2160, 1860, 2680, 1540, 2110, 2950, 2410, 2230, 1980, 1610, 2640, 1930, 1940, 1810, 1900,
    3140, 1370, 2180, 4250,
]  # fmt: skip
FISHKILL = [  # 01373500, Fishkill Creek at Beacon, New York, 1945-1968
    2290, 1470, 2220, 2970, 3020, 1210, 2490, 3170, 3220, 1760, 8800, 8280, 1310, 2500, 1960, 2140,
    4340, 3060, 1780, 1380, 980, 1040, 1580, 3630,
]  # fmt: skip
BACK = [  # 01614000, Back Creek near Jones Springs, West Virginia, 1929-1931 and 1939-1973
    8750, 15500, 4060, 6300, 3130, 4160, 6700, 22400, 3880, 8050, 4020, 1600, 4460, 4230, 3010,
    9150, 5100, 9820, 6200, 10700, 3880, 3420, 3240, 6800, 3740, 4700, 4380, 5190, 3960, 5600, 4670,
    7080, 4640, 536, 6680, 8360, 18700, 5210,
]  # fmt: skip
ORESTIMBA = [  # 11274500, Orestimba Creek near Newman, California, 1932-1973
    4260, 345, 516, 1320, 1200, 2180, 3230, 115, 3440, 3070, 1880, 6450, 1290, 5970, 782, 0, 0, 335,
    175, 2920, 3660, 147, 0, 16, 5620, 1440, 10200, 5380, 448, 0, 1740, 8300, 156, 560, 128, 4200,
    0, 5080, 1010, 584, 0, 1510,
]  # fmt: skip

PEAKFQ = {  # exceedance: curve with the weighted skew, curve with the station's
    0.995: (412.3, 426.4), 0.99: (456.2, 468.5), 0.95: (603.0, 609.4), 0.9: (700.9, 703.8),
    0.8: (842.1, 840.9), 0.6667: (1001, 996.3), 0.5: (1202, 1195), 0.4292: (1297, 1290),
    0.2: (1726, 1722), 0.1: (2090, 2097), 0.04: (2568, 2599), 0.02: (2937, 2993),
    0.01: (3315, 3403), 0.005: (3707, 3833), 0.002: (4246, 4436),
}  # fmt: skip


def test_a_curve_is_that_of_peakfq():
    weighted, station = fit(PRESQUE_ISLE, -0.117, 0.303), fit(PRESQUE_ISLE)
    assert (weighted.mean, weighted.std) == pytest.approx((3.0817, 0.1851), abs=5e-5)
    assert (weighted.skew, station.skew) == pytest.approx((0.060, 0.144), abs=5e-4)
    assert weighted.low_outliers == pytest.approx(388.2, abs=0.05)
    for exceedance, flows in PEAKFQ.items():
        for curve, flow in zip((weighted, station), flows, strict=True):
            assert curve.peak(exceedance) == pytest.approx(flow, rel=5e-4)
            assert curve.return_period(flow) == pytest.approx(1 / exceedance, rel=6e-3)


def test_moments_and_skew_are_those_of_bulletin_17c():
    """Its method is another one, but not where nothing is left out."""
    curve = fit(MOOSE, 0.44, 0.078)
    assert (curve.mean, curve.std) == pytest.approx((3.3286, 0.1403), abs=5e-5)
    assert curve.skew == pytest.approx(0.421, abs=5e-4)


def test_example_1_of_bulletin_17b():
    """It takes a skew of 0.7, and tabulated factors: 841 and 11,500 ft3/s."""
    mean, std, skew = moments(np.log10(FISHKILL))
    assert round(weighted_skew(skew, 24, 0.6, 0.302), 1) == 0.7
    curve = FloodFrequency(mean, std, 0.7, 1.0, 0.0)
    assert curve.peak(0.99) == pytest.approx(841, rel=5e-3)
    assert curve.peak(0.01) == pytest.approx(11500, rel=1e-2)


def test_the_factor_of_the_outlier_test():
    assert outlier_factor(58) == pytest.approx(2.824, abs=1e-3)


@pytest.mark.parametrize("skew", [-2.0, -0.4, -1e-4, 0.0, 1e-7, 0.01, 0.7, 3.0])
def test_curve_is_that_of_scipy(skew):
    factors = np.linspace(-3, 5, 17)
    np.testing.assert_allclose(
        exceedance_of(factors, skew), pearson3.sf(factors, skew), rtol=1e-6, atol=1e-9
    )
    for p in (0.001, 0.3, 0.99):
        assert frequency_factor(p, skew) == pytest.approx(pearson3.isf(p, skew), abs=1e-6)


def test_a_low_outlier_is_left_out():
    curve = fit(BACK)
    kept = [flow for flow in BACK if flow > curve.low_outliers]
    assert sorted(BACK)[:2] == [536, 1600]
    assert len(kept) == len(BACK) - 1
    assert curve.frac_above == 1.0


def test_the_synthetic_curve_goes_through_the_conditional_one():
    """Appendix 5: the flows exceeded with 1 % and 50 % are those of the truncated sample."""
    logs = np.log10([flow for flow in BACK if flow != 536])
    mean, std, skew = moments(logs)
    curve = fit(BACK)
    for exceedance in (0.01, 0.5):
        factor = frequency_factor(exceedance / (37 / 38), skew)
        assert np.log10(curve.peak(exceedance)) == pytest.approx(mean + factor * std, abs=1e-9)


def test_years_without_flow_and_an_outlier_are_left_out():
    flows = [flow for flow in ORESTIMBA if flow > 0]
    assert (len(ORESTIMBA), len(flows)) == (42, 36)
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
