"""Confidence intervals of medians and paired comparisons."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from dmg.metrics.significance import compare_medians, median_interval


def test_interval_agrees_with_scipy():
    values = np.random.default_rng(0).normal(0.7, 0.2, 200)
    ours = median_interval(values, resamples=4000)
    theirs = bootstrap(
        (values,), np.median, n_resamples=4000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours.median == np.median(values)
    assert (ours.low, ours.high) == pytest.approx(theirs, abs=0.01)


def test_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(3)
    found = [median_interval(rng.normal(size=60), resamples=300) for _ in range(200)]
    covered = np.mean([low <= 0 <= high for _, low, high in found])
    assert 0.9 <= covered <= 0.99


def test_undefined_basins_are_left_out():
    assert median_interval([1, np.nan, 2, 3, np.inf]).median == 2
    assert np.isnan(median_interval([np.nan]).median)
    assert median_interval([4.0])[0] == 4 and np.isnan(median_interval([4.0]).low)


def test_a_small_shift_of_the_same_basins_is_found():
    """Basins differ more than models do: only the paired comparison sees the difference."""
    rng = np.random.default_rng(0)
    second = rng.normal(0.6, 0.3, 300)
    first = second + rng.normal(0.02, 0.02, 300)
    found = compare_medians(first, second)
    assert found.basins == 300
    assert found.difference == pytest.approx(np.median(first) - np.median(second))
    assert 0 < found.low < found.difference < found.high < 0.06
    assert found.p_value < 1e-10 and found.better > 0.8


def test_equal_models_do_not_differ():
    values = np.random.default_rng(0).normal(size=50)
    found = compare_medians(values, values)
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_too_few_basins_in_common():
    found = compare_medians([1, np.nan, 2], [np.nan, 1, 2])
    assert found.basins == 1 and np.isnan(found.difference)


def test_other_numbers_of_basins_are_refused():
    with pytest.raises(ValueError, match=r"found \(2,\) and \(3,\); align both by basin first"):
        compare_medians([1, 2], [1, 2, 3])
