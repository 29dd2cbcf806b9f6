"""Tests of the gradients of a process model.

Shape legend: T time, B basins, E components.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dmg.phy.base import ProcessModel
from dmg.testing import checks, samples
from dmg.testing.base import ModelTests


class Gradients(ModelTests):
    """Gradients are right, finite and bounded."""

    def test_gradients_are_slopes(self, model: ProcessModel) -> None:
        """By finite differences, of every flux by every forcing and parameter."""
        warm = model(self.weather(model, 60, 2), samples.random_parameters(model, 2, 2, margin=0.2))
        forcing = {n: f.clone() for n, f in self.weather(model, 8, 2).items()}
        for name, shift in (("precipitation", 0.5), ("pet", 0.3)):
            if name in forcing:  # zero is a bound, where a difference is of one side only
                forcing[name] += shift
        parameters = samples.random_parameters(model, 2, 2, margin=0.2)
        names = [*forcing, *parameters]

        def totals(*leaves: Tensor) -> Tensor:
            given = dict(zip(names, leaves, strict=True))
            values = ({n: given[n] for n in table} for table in (forcing, parameters))
            out = model(*values, state=warm.state)
            return torch.stack([*out.fluxes.values()]).sum(1)

        leaves = [leaf.requires_grad_() for leaf in (*forcing.values(), *parameters.values())]
        assert torch.autograd.gradcheck(totals, leaves, check_undefined_grad=False)

    @pytest.mark.parametrize("start", ["usual", "empty"])
    def test_gradients_are_finite(self, model: ProcessModel, start: str) -> None:
        """In drought, cold, heat, flood and night, from usual and from empty stores.

        Parameters are at their lower bounds, in the middle and at their upper bounds.
        """
        forcing = checks.extremes(self.weather(model, 200, 6))
        fractions = torch.tensor([0.0, 0.5, 1.0]).expand(6, 3)
        parameters = {n: samples.at(p, fractions) for n, p in model.PARAMETERS.items()}
        state = model.initial_state(6, 3, torch.zeros(()))
        if start == "empty":
            state = type(state)(*map(torch.zeros_like, state))
        checks.assert_finite_gradients(model, state, forcing, parameters)

    def test_gradients_are_finite_at_every_corner(self, model: ProcessModel) -> None:
        """With rain of 500 mm d-1, at the bounds of all parameters as `corners` gives them."""
        forcing = checks.with_a_flood(self.weather(model, 30, 1))
        parameters = samples.corners(model.PARAMETERS, 2**11)
        num_corners = next(iter(parameters.values())).shape[1]
        state = model.initial_state(1, num_corners, torch.zeros(()))
        checks.assert_finite_gradients(model, state, forcing, parameters)

    def test_gradients_do_not_explode(self, model: ProcessModel) -> None:
        """A year from empty stores, usual or without rain, in single precision, near the bounds.

        The slope of a step by a store may not stay above 1: a flux that takes all of its store,
        as the smaller of two that both vanish with it, shares the slope between them. Write
        `S * (demand / capacity).clamp(max=1)` instead of `minimum(S / capacity * demand, S)`.
        """
        forcing = {n: f.float() for n, f in self.weather(model, 365, 2).items()}
        for name in forcing.keys() & {"precipitation"}:
            forcing[name][:, 1] = 0.0
        parameters = {n: p.float() for n, p in samples.near_corners(model, 2, 128).items()}
        state = model.initial_state(2, 128, torch.zeros((), dtype=torch.float32))
        empty = type(state)(*map(torch.zeros_like, state))
        checks.assert_finite_gradients(model, empty, forcing, parameters)
