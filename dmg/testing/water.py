"""Tests of the tables of a process model and of its water balance.

Shape legend: T time, B basins, E components.
"""

from __future__ import annotations

import pytest

from dmg.phy.base import ProcessModel
from dmg.testing import checks, samples
from dmg.testing.base import ModelTests


class Water(ModelTests):
    """A model's tables agree, and its balance closes."""

    def test_tables_agree(self, model: ProcessModel) -> None:
        """Names that one table uses are in the table that defines them."""
        fluxes, stores = model.Flux._fields, model.State._fields
        assert set(model.BALANCE) <= {*model.forcings, *fluxes}
        assert set(model.BALANCE.values()) <= {-1, 1}
        assert set(model.RUNOFF) <= set(fluxes)
        assert set(model.SIGNED) <= {*fluxes, *stores}
        assert set(model.RECOMMENDED_DYNAMIC) <= set(model.PARAMETERS)
        assert model.dt in model.TIMESTEPS

    def test_parameters_have_bounds_unit_and_meaning(self, model: ProcessModel) -> None:
        """Each parameter can be drawn, learned and understood."""
        for name, p in model.PARAMETERS.items():
            assert -float("inf") < p.lower < p.upper < float("inf"), name
            assert p.unit, f"{name} has no unit; that of a number is 1"
            assert p.meaning, f"{name} has no meaning"
            assert p.default is None or p.lower <= p.default <= p.upper, name
            assert p.scale == "linear" or p.lower > 0, f"{name}: a log scale needs a bound above 0"

    def test_a_year_conserves_water(self, model: ProcessModel) -> None:
        """`BALANCE` closes over a year of weather, with random parameters."""
        if not model.BALANCE:
            pytest.skip("no BALANCE")
        forcing = self.weather(model, self.year(model), 8)
        checks.assert_conserved(model, forcing, samples.random_parameters(model, 8, 4))

    def test_every_corner_conserves_water(self, model: ProcessModel) -> None:
        """`BALANCE` closes and nothing is negative where parameters are at their bounds.

        Every combination of bounds, or the choice of them that `corners` describes.
        """
        forcing = checks.with_a_flood(self.weather(model, 60, 1))
        parameters = samples.corners(model.PARAMETERS)
        checks.assert_conserved(model, forcing, parameters)
        checks.assert_not_negative(model, model(forcing, parameters))

    def test_stores_and_fluxes_are_never_negative(self, model: ProcessModel) -> None:
        """Not in any weather; those that may be are named in `SIGNED`."""
        forcing = self.weather(model, 40, 100, wild=True)
        run = model(forcing, samples.random_parameters(model, 100, 8))
        checks.assert_not_negative(model, run)
