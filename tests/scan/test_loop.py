"""A loop within a step: each element stops on its own."""

import re
from collections import namedtuple
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from dmg.scan import scan, while_loop
from tests.scan.compare import Case, assert_equal


class Root(NamedTuple):
    guess: Tensor
    passes: Tensor


def root(square: Tensor, limit: int = 50) -> Root:
    """Newton's method for a square root."""

    def body(carried: Root, constants: tuple[Tensor]) -> Root:
        (a,) = constants
        return Root(0.5 * (carried.guess + a / carried.guess), carried.passes + 1)

    def condition(carried: Root, constants: tuple[Tensor]) -> Tensor:
        (a,) = constants
        return (carried.guess * carried.guess - a).abs() > 1e-12 * a

    return while_loop(condition, body, Root(square, torch.zeros(())), (square,), limit)


SQUARES = torch.tensor([[1.0, 2.0, 100.0], [1e6, 0.25, 3.0]], dtype=torch.float64)


class TestValues:
    def test_each_element_stops_on_its_own(self) -> None:
        found = root(SQUARES)
        torch.testing.assert_close(found.guess, SQUARES.sqrt(), rtol=1e-12, atol=0)
        assert found.passes[0, 0] == 0
        assert found.passes[1, 0] > found.passes[0, 2] > found.passes[0, 1] > 0

    def test_limit(self) -> None:
        found = root(SQUARES, limit=3)
        assert torch.equal(found.passes, torch.tensor([[0.0, 3, 3], [3, 3, 3]]))

    def test_constants_have_the_shape_of_a_forcing(self) -> None:
        (found,) = while_loop(
            lambda c, k: c[0] < k[0], lambda c, k: (c[0] + k[1],),
            (torch.zeros(2, 1),), (torch.tensor([[2.0], [3.0]]), torch.ones(1, 4)), 9,
        )  # fmt: skip
        assert torch.equal(found, torch.tensor([[2.0], [3.0]]).expand(2, 4))


def halving(x: Tensor, y: Tensor) -> Tensor:
    """A number of passes that depends on the values, with slopes by all of them."""
    (found,) = while_loop(
        lambda c, k: c[0] > k[0], lambda c, k: (0.5 * c[0] ** 1.1 - 0.1 * k[0] * c[0],), (x,), (y,),
        20,
    )  # fmt: skip
    return found


class TestGradient:
    def test_through_all_passes(self) -> None:
        x = torch.tensor([[0.3, 2.0], [9.0, 40.0]], requires_grad=True)
        y = torch.tensor([[0.9], [0.7]], requires_grad=True)
        assert torch.autograd.gradcheck(halving, (x, y))
        assert torch.autograd.gradgradcheck(halving, (x, y))

    def test_of_a_root(self) -> None:
        square = SQUARES.clone().requires_grad_()
        (found,) = torch.autograd.grad(root(square).guess.sum(), square)
        torch.testing.assert_close(found[0, 1:], 0.5 / SQUARES.sqrt()[0, 1:])

    def test_what_the_body_makes_of_a_done_element_stays_there(self) -> None:
        """Its slope is infinite at 0: one pass more would give NaN."""
        x = torch.tensor([[0.0, 4.0]], requires_grad=True)
        k = torch.tensor([[0.0, 1.0]], requires_grad=True)
        (found,) = while_loop(
            lambda c, k: c[0] > 1, lambda c, k: (torch.sqrt(c[0]) * k[0] / k[0] - 1,), (x,), (k,), 9
        )
        assert torch.equal(found, torch.tensor([[0.0, 1.0]]))
        gradients = torch.autograd.grad(found.sum(), [x, k])
        assert torch.equal(gradients[0], torch.tensor([[1.0, 0.25]]))
        assert torch.equal(gradients[1], torch.zeros(1, 2))


class TestInvalid:
    ONE = torch.ones(2, 3, dtype=torch.float64)

    def run(self, **given: Any) -> Any:
        arguments: dict[str, Any] = {
            "condition": lambda c, k: c[0] > 0, "body": lambda c, k: c,
            "carried": (self.ONE,), "constants": (), "limit": 2,
        }  # fmt: skip
        return while_loop(**arguments | given)

    @pytest.mark.parametrize(("given", "message"), [
        ({"limit": 0}, "must be allowed at least 1 pass, found limit=0"),
        ({"carried": [ONE]}, "carried of a loop must be a tuple of tensors, found [tensor"),
        ({"carried": ()}, "a loop must carry at least one tensor"),
        ({"constants": (2.0,)}, "constants of a loop must be a tuple of tensors, found (2.0,)"),
        ({"constants": (torch.ones(4),)}, "must have one shape [B, E], found [(2, 3), (4,)]"),
        ({"condition": lambda c, k: c[0]}, "truth values (2, 3), found float64 (2, 3)"),
        ({"condition": lambda c, k: True}, "truth values (2, 3), found bool"),
        ({"condition": lambda c, k: torch.ones(4) > 0}, "truth values (2, 3), found bool (4,)"),
        ({"body": lambda c, k: c[0]}, "return what it carries, ['float64 (2, 3)'], found float64"),
        ({"body": lambda c, k: (*c, *c)}, "found ['float64 (2, 3)', 'float64 (2, 3)']"),
        ({"body": lambda c, k: (1.0,)}, "found ['float']"),
        ({"body": lambda c, k: (c[0].float(),)}, "found ['float32 (2, 3)']"),
        ({"body": lambda c, k: (torch.ones(4, 2, 3),)}, "found ['float64 (4, 2, 3)']"),
    ])  # fmt: skip
    def test_arguments(self, given: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=re.escape(message)):
            self.run(**given)


def test_what_is_made_of_a_done_element_stays_there_when_fused() -> None:
    def step(state: Any, forcing: Any, parameters: Any) -> Any:
        """Divide by what is 0 where nothing is to be done."""
        (x,) = while_loop(
            lambda c, k: c[0] > 1, lambda c, k: (torch.sqrt(c[0]) * k[0] / k[0] - 1,),
            (forcing["x"],), (parameters["k"],), 9,
        )  # fmt: skip
        return state, One(x)

    One = namedtuple("One", ["x"])
    x = torch.tensor([[0.0, 4.0, torch.nan]], requires_grad=True)
    k = torch.tensor([[0.0], [1.0], [1.0]], requires_grad=True)
    fluxes, _ = scan(step, (), {"x": x}, {"k": k}, backend="fused")
    found = fluxes["x"].flatten()
    assert torch.equal(found.nan_to_num(9.0), torch.tensor([0.0, 1, 9]))
    slopes = torch.autograd.grad(found[:2].sum(), [x, k])
    assert torch.equal(slopes[0], torch.tensor([[1.0, 0.25, 0]]))
    assert torch.equal(slopes[1], torch.zeros(3, 1))


class TestUnsupported:
    """What a compiled loop cannot do is named."""

    @staticmethod
    def run(condition: Any, body: Any) -> None:
        def step(state: Any, forcing: Any, _: Any) -> Any:
            return while_loop(condition, body(forcing["x"]), (forcing["x"],), (), 3), ()

        scan(step, (torch.ones(2, 1),), {"x": torch.ones(4, 2)}, {}, backend="fused")

    @staticmethod
    def positive(c: Any, _: Any) -> Tensor:
        return c[0] > 0

    def test_tensor_from_outside(self) -> None:
        with pytest.raises(ValueError, match="to a loop as one of its constants"):
            self.run(self.positive, lambda x: lambda c, k: (c[0] - x,))

    def test_loop_in_a_condition(self) -> None:
        def condition(c: Any, k: Any) -> Tensor:
            return while_loop(self.positive, lambda c, k: c, c, k, 2)[0] > 0

        with pytest.raises(ValueError, match="condition of a loop cannot have a loop of its own"):
            self.run(condition, lambda x: lambda c, k: c)

    def test_another_type(self) -> None:
        def step(state: Any, forcing: Any, _: Any) -> Any:
            new = while_loop(self.positive, lambda c, k: c, (forcing["x"].float(),), (), 3)
            return new, ()

        with pytest.raises(ValueError, match=r"may hold torch\.float64, found {torch\.float32}"):
            scan(step, (torch.ones(2, 1),), {"x": torch.ones(4, 2)}, {}, backend="fused")

    def test_invalid_body(self) -> None:
        with pytest.raises(ValueError, match="must return what it carries"):
            self.run(self.positive, lambda x: lambda c, k: (*c, *c))


Flux = namedtuple("Flux", ["drained", "passes"])
Stores = namedtuple("Stores", ["water"])


def drain(state: Any, forcing: Any, parameters: Any) -> tuple[Any, Any]:
    """A store empties in portions of 5 mm and less."""
    start = state.water + forcing["rain"]
    water, passes = while_loop(
        lambda c, k: c[0] > k[0], lambda c, k: (c[0] - torch.clamp(k[1] * c[0], max=5.0), c[1] + 1),
        (start, torch.zeros_like(start)), (parameters["low"], parameters["rate"]), 40,
    )  # fmt: skip
    return Stores(water), Flux(start - water, passes)


def test_within_a_scan() -> None:
    g = torch.Generator().manual_seed(0)
    rain = {"rain": 20 * torch.rand(15, 3, generator=g)}
    parameters = {"low": torch.full((3, 2), 2.0), "rate": torch.rand(3, 2, generator=g) + 0.1}
    fluxes, last = scan(drain, Stores(torch.zeros(3, 2)), rain, parameters)
    assert (last.water <= 2).all()
    assert (fluxes["passes"] > 0).any()
    total = rain["rain"].sum(0).unsqueeze(-1) - fluxes["drained"].sum(0)
    torch.testing.assert_close(last.water, total)


def drain_case(size: tuple[int, int, int]) -> Case:
    g = torch.Generator().manual_seed(0)
    rand = lambda *shape: torch.rand(shape, generator=g)  # noqa: E731
    return Case(drain, Stores(50 * rand(*size[1:])), {"rain": 20 * rand(*size[:2])},
                {"low": 3 * rand(*size[1:]), "rate": rand(*size) + 0.1})  # fmt: skip


@pytest.mark.parametrize("size", [(1, 1, 1), (20, 7, 5), (4, 90, 3)], ids=str)
def test_fused_equals_eager(size: tuple[int, int, int]) -> None:
    assert_equal(drain_case(size))
