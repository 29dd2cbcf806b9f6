"""The gamma unit hydrograph."""

import pytest
import torch
from torch import Tensor

from dmg.routing import UnitHydrograph
from tests.golden import CASES


def parameters(a: float, b: float, num_basins: int = 1) -> dict[str, Tensor]:
    return {
        n: torch.full((num_basins,), v, dtype=torch.float64)
        for n, v in (("route_a", a), ("route_b", b))
    }


def runoff(num_steps: int = 60, num_basins: int = 3) -> Tensor:
    return torch.rand(
        num_steps, num_basins, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )


@pytest.mark.parametrize("i", range(3))
def test_ordinates_agree_with_the_published_program(i: int) -> None:
    case = CASES["uh_gamma"]
    w = UnitHydrograph(case["length"]).ordinates(parameters(**case["cases"][i]))
    torch.testing.assert_close(
        w[:, 0], torch.tensor(case["w"][i], dtype=torch.float64), atol=1e-6, rtol=0
    )


def test_hourly_ordinates_are_the_gamma_density_of_hours() -> None:
    """Scale 3.5 h + half an hour, shape 2: t * exp(-t / 4 h)."""
    w = UnitHydrograph(72, dt=1 / 24).ordinates(parameters(1.9, 3.5 / 24))[:, 0]
    t = torch.arange(72, dtype=torch.float64) + 0.5
    density = t * torch.exp(-t / 4)
    torch.testing.assert_close(w, density / density.sum(), rtol=1e-12, atol=0)


def test_hourly_water_in_transit_is_what_dry_hours_still_give() -> None:
    uh, p, q = UnitHydrograph(72, dt=1 / 24), parameters(4.0, 0.4, 3), runoff(100)
    _, state = uh(q, p)
    later, _ = uh(torch.zeros(71, 3, dtype=torch.float64), p, state)
    torch.testing.assert_close(uh.in_transit(p, state), later.sum(0) / 24, rtol=1e-12, atol=0)


def test_bounds_of_hourly_steps() -> None:
    assert UnitHydrograph(72, dt=1 / 24).PARAMETERS["route_b"].upper == 0.5
    assert UnitHydrograph().PARAMETERS["route_b"].upper == 6.5


@pytest.mark.parametrize("split", [1, 7, 14, 40])
def test_chunks_equal_whole(split: int) -> None:
    uh, p, q = UnitHydrograph(15), parameters(1.5, 3.0, 3), runoff()
    whole, end = uh(q, p)
    first, state = uh(q[:split], p)
    second, state = uh(q[split:], p, state)
    assert torch.equal(torch.cat([first, second]), whole)
    assert torch.equal(state, end)


def test_water_in_transit_closes_the_balance() -> None:
    uh, p, q = UnitHydrograph(15), parameters(2.0, 4.0, 3), runoff()
    routed, state = uh(q, p)
    torch.testing.assert_close(
        routed.sum(0) + uh.in_transit(p, state), q.sum(0), rtol=1e-13, atol=0
    )


def test_equals_a_convolution() -> None:
    uh, p, q = UnitHydrograph(15), parameters(1.0, 2.0), runoff(40, 1)
    w = uh.ordinates(p)[:, 0]
    direct = [sum(w[j] * q[t - j, 0] for j in range(min(t, 14) + 1)) for t in range(40)]
    torch.testing.assert_close(uh(q, p)[0][:, 0], torch.stack(direct))


def test_gradients_are_correct() -> None:
    q, a, b = (
        runoff(20, 2).requires_grad_(),
        torch.rand(2, dtype=torch.float64),
        torch.rand(2, dtype=torch.float64),
    )

    def routed(q: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return UnitHydrograph(5)(q, {"route_a": a, "route_b": b})[0]

    leaves = (q, a.requires_grad_(), b.requires_grad_())
    assert torch.autograd.gradcheck(routed, leaves)
    assert torch.autograd.gradgradcheck(routed, leaves)


def test_gradients_of_what_is_fixed_are_not_computed() -> None:
    uh, p, q = UnitHydrograph(5), parameters(1.0, 2.0, 3), runoff()
    (alone,) = torch.autograd.grad(uh(q.requires_grad_(), p)[0].square().sum(), q)
    leaves = [v.requires_grad_() for v in p.values()]
    both = torch.autograd.grad(uh(q, p)[0].square().sum(), [q, *leaves])
    assert torch.equal(alone, both[0])
    only = torch.autograd.grad(uh(q.detach(), p)[0].square().sum(), leaves)
    assert all(map(torch.equal, only, both[1:]))


def test_a_lag_of_whole_steps_moves_the_ordinates() -> None:
    p = parameters(1.5, 0.1, 2)
    plain = UnitHydrograph(24, dt=1 / 24).ordinates(p)
    lagged = UnitHydrograph(24, dt=1 / 24, max_lag=2.0).ordinates(
        p | {"route_lag": torch.tensor([0.0, 5.0]).double() / 24}
    )
    torch.testing.assert_close(lagged[:24, 0], plain[:, 0])
    torch.testing.assert_close(lagged[5:29, 1], plain[:, 1])
    torch.testing.assert_close(lagged.sum(0), torch.ones(2).double())


@pytest.mark.parametrize("lag", [0.3, 1.0, 2.0])
def test_a_lag_delays_the_mean_by_itself_and_loses_nothing(lag: float) -> None:
    uh, p, q = UnitHydrograph(15, max_lag=2.0), parameters(2.0, 4.0, 3), runoff()
    p["route_lag"] = torch.full((3,), lag, dtype=torch.float64)
    steps = torch.arange(uh.length).double()
    delay = steps @ uh.ordinates(p)
    without = steps[:15] @ UnitHydrograph(15).ordinates(p)
    torch.testing.assert_close(delay - without, p["route_lag"])
    routed, state = uh(q, p)
    torch.testing.assert_close(routed.sum(0) + uh.in_transit(p, state), q.sum(0))


def test_gradient_of_the_lag() -> None:
    q, lag = runoff(20, 2), torch.tensor([0.3, 1.6], dtype=torch.float64, requires_grad=True)
    fixed = parameters(1.0, 2.0, 2)
    assert torch.autograd.gradcheck(
        lambda v: UnitHydrograph(5, max_lag=2.0)(q, fixed | {"route_lag": v})[0], (lag,)
    )
