"""Flow at gauges, and the water balance of a network."""

import pytest
import torch

from dmg.routing import MuskingumCunge, at_gauges, flow_scale, water_balance
from dmg.routing.channel import Minima
from tests.routing.networks import random_inflow, random_parameters, random_reaches
from tests.routing.test_golden import five


def test_a_gauge_has_the_flow_of_its_reach() -> None:
    discharge = torch.arange(10.0).reshape(2, 5)
    gauges = torch.tensor([3, 0, 3])
    assert at_gauges(discharge, gauges, five()).tolist() == [[3, 0, 3], [8, 5, 8]]


def test_or_the_sum_of_those_upstream() -> None:
    discharge = torch.arange(10.0).reshape(2, 5)
    gauges = torch.tensor([2, 0, 4])
    found = at_gauges(discharge, gauges, five(), upstream_sum=True)
    assert found.tolist() == [[0 + 1, 0, 3], [5 + 6, 5, 8]]


def test_part_of_the_inflow_that_passes_a_gauge() -> None:
    gauge = torch.tensor([95.0, 100.0, 110.0, 50.0, torch.nan])
    found = flow_scale(gauge, torch.full((5,), 100.0), torch.full((5,), 20.0))
    assert found.tolist() == [0.75, 1.0, 1.0, 1.0, 1.0]


@pytest.mark.parametrize("shift", [0, 8])
@pytest.mark.parametrize("backend", ["eager", "fused"])
def test_constant_weights_conserve_water(shift: int, backend: str) -> None:
    """All but the volume that floors add, which is known to the last digit, too."""
    reaches, given, inflow = random_reaches(100), random_parameters(100), random_inflow(4, 100)
    inflow[1:, :30] = 0
    routing = MuskingumCunge(shift=shift, minima=Minima(velocity=15.0), backend=backend)
    before = routing.initial_state(inflow[0], reaches)
    discharge, after = routing(inflow, given, reaches, before)
    found = water_balance(routing, reaches, given, inflow, discharge, before, after)
    assert found.floored > 1e-5 * found.inflow
    assert abs(found.error) < 1e-12 * found.inflow


def test_the_error_of_changing_weights_is_small_and_reported() -> None:
    reaches, given = random_reaches(100), random_parameters(100)
    inflow = random_inflow(1, 100) * torch.tensor([1.0, 2, 4, 3, 2, 1, 1, 1])[:, None]
    routing = MuskingumCunge()
    before = routing.initial_state(inflow[0], reaches)
    discharge, after = routing(inflow, given, reaches, before)
    found = water_balance(routing, reaches, given, inflow, discharge, before, after)
    assert 1e-6 < abs(found.error) / found.inflow < 0.05
