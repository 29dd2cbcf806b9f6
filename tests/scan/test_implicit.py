"""Backward Euler in general: dual numbers, elimination, and a reservoir with a known solution."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from dmg.scan import scan
from dmg.scan.dual import Dual, variables
from dmg.scan.implicit import eliminate, implicit_euler


class State(NamedTuple):
    upper: Tensor
    lower: Tensor


class Flux(NamedTuple):
    flow: Tensor
    residual: Tensor


def reservoirs(state: Any, forcing: Any, parameters: Any) -> tuple[tuple[Any, ...], tuple[Any]]:
    """Two in a row, the first with a flow of S**n."""
    flow = parameters["k"] * state.upper.clamp(min=1e-3) ** parameters["n"]
    return (forcing["rain"] - flow, flow - parameters["k"] * state.lower), (flow,)


def run(step: Any, parameters: dict[str, Tensor], num_steps: int = 20) -> tuple[Any, Any]:
    rain = torch.rand(num_steps, 3, generator=torch.Generator().manual_seed(0)) * 10
    return scan(step, State(torch.full((3, 2), 50.0), torch.ones(3, 2)), {"rain": rain}, parameters)


def values(n: float, k: float = 0.3) -> dict[str, Tensor]:
    return {"k": torch.full((3, 2), k), "n": torch.full((3, 2), n)}


def test_linear_reservoir_has_its_closed_form() -> None:
    start = State(torch.tensor([[8.0]]), torch.tensor([[2.0]]))
    parameters = {"k": torch.tensor([[0.25]]), "n": torch.tensor([[1.0]])}
    rain = torch.tensor([[2.0]])
    for dt in (1.0, 0.5):
        step = implicit_euler(reservoirs, Flux, dt=dt, passes=2)
        state, flux = step(start, {"rain": rain}, parameters)
        upper = (8 + 2 * dt) / (1 + 0.25 * dt)
        assert state.upper.item() == pytest.approx(upper, rel=1e-14)
        assert state.lower.item() == pytest.approx((2 + dt * 0.25 * upper) / (1 + 0.25 * dt), 1e-14)
        assert flux.flow.item() == pytest.approx(0.25 * upper, rel=1e-14)
        assert flux.residual < 1e-14


def test_shorter_steps_approach_the_exact_solution() -> None:
    """Of first order: half the step, half the error."""

    def error(num_steps: int) -> float:
        step = implicit_euler(reservoirs, Flux, dt=1 / num_steps, passes=2)
        dry = {"rain": torch.zeros(num_steps, 1)}
        start = State(torch.ones(1, 1), torch.zeros(1, 1))
        parameters = {"k": torch.ones(1, 1), "n": torch.ones(1, 1)}
        _, last = scan(step, start, dry, parameters)
        return abs(last.upper.item() - torch.tensor(-1.0).exp().item())

    assert error(64) < 0.01
    assert error(64) / error(128) == pytest.approx(2, rel=0.02)


def test_water_balance_closes_even_where_the_solution_is_poor() -> None:
    step = implicit_euler(reservoirs, Flux, passes=1)
    fluxes, last = run(step, values(3.0))
    assert fluxes["residual"].max() > 1e-3
    rain = torch.rand(20, 3, generator=torch.Generator().manual_seed(0)) * 10
    out = fluxes["flow"].sum(0)
    torch.testing.assert_close(last.upper, 50 + rain.sum(0).unsqueeze(-1) - out)


def test_residual_falls_with_the_number_of_passes() -> None:
    worst = [run(implicit_euler(reservoirs, Flux, passes=p), values(3.0))[0]["residual"].max()
             for p in (1, 4, 10)]  # fmt: skip
    assert worst[0] > worst[1] > 1e-12 > worst[2]


def test_a_step_that_leaps_too_far_is_halved() -> None:
    """Between two flat pieces, whole Newton steps go to and fro for ever."""

    def smooth_switch(state: Any, forcing: Any, _: Any) -> tuple[tuple[Any, ...], tuple[Any]]:
        flow = 20 * torch.tanh(state.upper - 10) + 20
        return (forcing["rain"] - flow, 0 * state.lower), (flow,)

    start = State(torch.ones(1, 1), torch.zeros(1, 1))
    rain = {"rain": torch.full((1, 1), 30.0)}
    step = implicit_euler(smooth_switch, Flux, passes=12)
    fluxes, last = scan(step, start, rain, {"none": torch.zeros(1, 1)})
    assert fluxes["residual"] < 1e-12
    assert 10 < last.upper < 11


def test_gradient_is_that_of_the_solution() -> None:
    step = implicit_euler(reservoirs, Flux, passes=10)
    leaves = [v.requires_grad_() for v in values(2.5).values()]

    def outcome(*leaves: Tensor) -> tuple[Tensor, ...]:
        fluxes, last = run(step, dict(zip("kn", leaves, strict=True)), num_steps=4)
        return fluxes["flow"], *last

    assert torch.autograd.gradcheck(outcome, leaves)


def test_gradient_does_not_pass_through_the_iterations() -> None:
    """However many passes, the graph of autograd has one Newton step."""

    def size(passes: int) -> int:
        step = implicit_euler(reservoirs, Flux, passes=passes)
        leaves = {n: v.requires_grad_() for n, v in values(2.0).items()}
        todo, seen = [run(step, leaves, num_steps=1)[1].lower.grad_fn], set()
        while todo:
            node = todo.pop()
            if node is not None and node not in seen:
                seen.add(node)
                todo += [n for n, _ in node.next_functions]
        return len(seen)

    assert size(3) == size(12)


FUNCTIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "arithmetic": lambda x, y, p: (x + 2) * (3 - y) - x / y + p / x - (-x) * p + (p - y) * 2 / x,
    "powers": lambda x, y, p: x**p + y**2 + (x * y) ** 0.5,
    "curves": lambda x, y, p: torch.exp(-x) + torch.log(y) * torch.tanh(x) + torch.sigmoid(y),
    "limits": lambda x, y, p: x.clamp(min=1.2) * y.clamp(max=0.9) + x.clamp(min=0.5, max=1.5),
    "choices": lambda x, y, p: (
        torch.minimum(x * x, y) + torch.maximum(p, x) + torch.where(x > y, x * y, p)
        + torch.where(y <= p, 1.0, y) + torch.where(p < x, y, x) + torch.where(x >= 1, x, 0.0)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(FUNCTIONS))
def test_dual_numbers_have_the_derivatives_of_autograd(name: str) -> None:
    g = torch.Generator().manual_seed(0)
    x, y, p = (0.5 + 1.5 * torch.rand(40, generator=g) for _ in range(3))
    found = FUNCTIONS[name](*variables([x, y]), p)
    leaves = [v.clone().requires_grad_() for v in (x, y)]
    expected = FUNCTIONS[name](*leaves, p)
    torch.testing.assert_close(found.value, expected.detach())
    for i, slope in enumerate(torch.autograd.grad(expected.sum(), leaves)):
        torch.testing.assert_close(found.slopes[i], slope)


def test_dual_numbers_know_what_they_do_not_depend_on() -> None:
    x, y = variables([torch.ones(1), torch.ones(1)])
    assert isinstance(x * 2, Dual)
    assert (x * 2).slopes.keys() == {0}
    assert (y - x).slopes.keys() == {0, 1}


def test_a_function_without_rule_is_named() -> None:
    (x,) = variables([torch.ones(1)])
    with pytest.raises(ValueError, match=r"erf has no rule for derivatives; choose from \['add'"):
        torch.erf(x)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1, 2, 5, 10])
def test_elimination_solves_sparse_systems(size: int) -> None:
    g = torch.Generator().manual_seed(size)
    matrix = torch.where(torch.rand(size, size, generator=g) < 0.4, -1.0, 0.0)
    matrix = matrix * torch.rand(6, size, size, generator=g)
    matrix = matrix + torch.diag_embed(1 + matrix.abs().sum(-2))
    right = torch.rand(6, size, generator=g)
    entries = {(r, c): matrix[:, r, c] for r in range(size) for c in range(size)
               if matrix[0, r, c] != 0}  # fmt: skip
    found = eliminate(entries, right.unbind(-1))
    torch.testing.assert_close(torch.stack(found, -1), torch.linalg.solve(matrix, right))
