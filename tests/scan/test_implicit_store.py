"""Backward Euler of one store: closed forms, and solutions where slopes are steep."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from dmg.phy.prms_implicit import reservoir, surface
from dmg.scan.dual import variables
from dmg.scan.implicit_store import implicit_store


def linear(s: Any, _: Tensor, k: Tensor) -> tuple[Any]:
    return (k * s,)


def random(size: int = 4000, seed: int = 0) -> Tensor:
    return torch.rand(size, generator=torch.Generator().manual_seed(seed))


def distance(
    new: Tensor, full: Tensor, outflows: Callable[..., Sequence[Any]], *given: Tensor
) -> Tensor:
    """How far the new storage is from the solution, to first order [mm]."""
    (s,) = variables([new])
    error = sum(outflows(s, *given), s - full)
    return (error.value / error.slopes[0]).abs()


def test_linear_store_has_its_closed_form() -> None:
    store, inflow, k = 50 * random(), 10 * random(seed=1), random(seed=2)
    new, (flow,) = implicit_store(store, inflow, linear, (k,))
    torch.testing.assert_close(new, (store + inflow) / (1 + k), rtol=1e-13, atol=0)
    torch.testing.assert_close(flow, k * new, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("demand", [0.0, 0.01, 5.0])
@pytest.mark.parametrize("most", [20.0, 500.0])
def test_overflow_of_stores_of_any_size(demand: float, most: float) -> None:
    """Steep: from dry to full within a hundredth of the capacity, for weeks."""
    capacity = torch.where(random() < 0.2, 0.0, 10 ** (5 * random(seed=1) - 2))
    given = (capacity, torch.full_like(capacity, demand))
    store = capacity * random(seed=2)
    for day in range(20):
        inflow = most * (random(seed=3 + day) - 0.3).clamp(min=0)
        new, fluxes = implicit_store(store, inflow, surface, given, 0.95 * capacity)
        assert distance(new, store + inflow, surface, inflow, *given).max() < 1e-11
        torch.testing.assert_close(store + inflow - sum(fluxes), new, rtol=0, atol=1e-12)
        assert new.min() >= -1e-12
        store = new


def test_drainage_with_large_exponents() -> None:
    scale, store, inflow = 10 ** (2.5 * random()), 100 * random(seed=1), 500 * random(seed=2)
    rates = [r.round() if r.mean() > 0.5 else r for r in (random(seed=s) for s in (3, 4, 5))]
    power = 1 + 4 * random(seed=6)
    given = (scale, rates[0], power, rates[1], rates[2])
    start = scale * ((store + inflow) / rates[0]) ** (1 / power)
    new, _ = implicit_store(store, inflow, reservoir, given, start)
    assert distance(new, store + inflow, reservoir, inflow, *given).max() < 1e-11


def test_gradient_is_that_of_the_solution() -> None:
    store, inflow = (10 * random(6)).requires_grad_(), (5 * random(6, seed=1)).requires_grad_()
    capacity, demand = (12 * random(6, seed=2)).requires_grad_(), random(6, seed=3).requires_grad_()

    def outcome(*values: Tensor) -> tuple[Tensor, ...]:
        store, inflow, *given = values
        new, fluxes = implicit_store(store, inflow, surface, given, 0.95 * given[0])
        return new, *fluxes

    assert torch.autograd.gradcheck(outcome, (store, inflow, capacity, demand))


def test_a_start_that_is_not_a_number_is_passed_over() -> None:
    new, _ = implicit_store(
        *torch.ones(2, 3), linear, (torch.ones(3),), torch.full((3,), torch.nan)
    )
    assert torch.equal(new, torch.ones(3))
