"""Climate indices against values that follow from their definition."""

import numpy as np
import pytest

from dmg.data.climate import CLIMATE, climate_indices


def test_indices_follow_their_definitions() -> None:
    rain = np.array([[0.0, 0.5, 12.0, 1.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    cold = np.array([[-1.0, -1, 5, -2, 5, 5, 5, 5, 5, 5]])
    found = climate_indices(rain, cold, np.full((1, 10), 2.8))
    expected = {
        "p_mean": 1.4, "pet_mean": 2.8, "aridity": 2.0, "frac_snow": 2 / 14,
        "high_prec_freq": 36.525, "low_prec_freq": 8 * 36.525,
    }  # fmt: skip
    assert {name: value.item() for name, value in found.items()} == pytest.approx(expected)
    assert found.keys() == CLIMATE.keys()


def test_a_place_without_rain_has_finite_indices() -> None:
    found = climate_indices(np.zeros((1, 5)), np.zeros((1, 5)), np.ones((1, 5)))
    assert all(np.isfinite(value).all() for value in found.values())
