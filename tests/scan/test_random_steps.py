"""Random pointwise steps: fused equals eager, whatever the step."""

import math
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from dmg.scan import while_loop
from tests.scan.compare import Case, assert_equal, assert_single_precision

# every operation keeps values within a few units, so that twenty steps do not overflow
UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "exp": lambda x: torch.exp(x.clamp(-3, 1)), "log": lambda x: torch.log(x.abs() + 0.1),
    "sqrt": lambda x: torch.sqrt(x.abs() + 0.01), "tanh": torch.tanh, "sigmoid": torch.sigmoid,
    "sin": torch.sin, "cos": torch.cos, "atan": torch.atan, "abs": torch.abs, "relu": F.relu,
    "softplus": F.softplus, "square": lambda x: x.clamp(-2, 2) ** 2, "neg": torch.neg,
    "clamp": lambda x: x.clamp(-0.5, 0.7), "inverse": lambda x: 1 / (x.abs() + 0.5),
    "log1p": lambda x: torch.log1p(x.abs()), "half": lambda x: 0.5 * x - 0.1, "floor": torch.floor,
}  # fmt: skip
BINARY: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add, "sub": torch.sub, "mul": lambda x, y: x.clamp(-3, 3) * y.clamp(-3, 3),
    "div": lambda x, y: x / (y.abs() + 0.5), "minimum": torch.minimum, "maximum": torch.maximum,
    "pow": lambda x, y: (x.abs() + 0.1) ** y.clamp(-1, 3),
    "where": lambda x, y: torch.where(x > y, x, 0.3 * y),
    "masked": lambda x, y: torch.where((x < 0.2) & ~(y >= 0.5), y, 1.5),
    "remainder": lambda x, y: torch.remainder(x, y.abs() + 0.5),
    "shrunk": lambda x, y: shrunk(x, y), "counted": lambda x, y: counted(x, y),
    "solved": lambda x, y: solved(x, y),
}  # fmt: skip

Pair = tuple[Tensor, Tensor]


def shrunk(x: Tensor, y: Tensor) -> Tensor:
    """Shrink `x` in a loop whose number of passes depends on the values."""

    def body(carried: Pair, constants: Pair) -> Pair:
        (u, v), (a, b) = carried, constants
        return 0.7 * u * torch.cos(a), torch.tanh(v + b) * u.abs()

    def condition(carried: Pair, constants: Pair) -> Tensor:
        return carried[0].abs() > 0.3 + 0.1 * constants[0].abs()

    u, v = while_loop(condition, body, (x.clamp(-3, 3), y), (y, x), 6)
    return u + v


def counted(x: Tensor, y: Tensor) -> Tensor:
    """Take as many passes everywhere, with a loop in each that takes another number."""

    def body(carried: Pair, constants: tuple[Tensor]) -> Pair:
        inner, _ = while_loop(
            lambda c, k: c[1] < k[0], lambda c, k: (torch.sin(c[0] + k[0]), c[1] + 1),
            (carried[0], torch.zeros_like(carried[0])), (carried[1],), 9,
        )  # fmt: skip
        return 0.5 * inner + constants[0], carried[1] + 1

    start = (x, torch.zeros_like(x))
    return while_loop(lambda c, k: c[1] < 3, body, start, (torch.tanh(y),), 5)[0]


def solved(x: Tensor, y: Tensor) -> Tensor:
    """Solve z + z^3 = x on detached values, then take one step with a gradient."""
    x = x.clamp(-3, 3) + torch.tanh(y)

    def closer(carried: tuple[Tensor], constants: tuple[Tensor]) -> tuple[Tensor]:
        (z,), (goal,) = carried, constants
        return (z - (z + z**3 - goal) / (1 + 3 * z * z),)

    def is_far(carried: tuple[Tensor], constants: tuple[Tensor]) -> Tensor:
        (z,), (goal,) = carried, constants
        return (z + z**3 - goal).abs() > 1e-6

    (z,) = while_loop(is_far, closer, (x.detach(),), (x.detach(),), 30)
    return z - (z + z**3 - x) / (1 + 3 * z * z)


State = namedtuple("State", ["first", "second"])
Flux = namedtuple("Flux", ["one", "two", "three"])
Line = tuple[str, int, int]


class RandomStep:
    """Lines of operations on earlier values; the last ones become states and fluxes."""

    def __init__(self, lines: list[Line]) -> None:
        self.lines = lines

    def __repr__(self) -> str:
        return f"RandomStep({self.lines})"

    def __call__(self, state: Any, forcing: Any, parameters: Any) -> tuple[Any, Any]:
        values = [*state, *(forcing[n] for n in "xy"), *(parameters[n] for n in "abc")]
        for name, i, j in self.lines:
            x, y = values[-1 - i % len(values)], values[-1 - j % len(values)]
            values.append(UNARY[name](x) if name in UNARY else BINARY[name](x, y))
        new = State(torch.tanh(values[-1] + 0.5 * state.first), 0.9 * torch.sin(values[-2]))
        return new, Flux(*values[-3:])


lines = st.lists(
    st.tuples(st.sampled_from([*UNARY, *BINARY]), st.integers(0, 9), st.integers(0, 9)),
    min_size=3, max_size=25,
)  # fmt: skip
sizes = st.tuples(st.integers(1, 20), st.integers(1, 9), st.sampled_from([1, 2, 3, 5, 16, 19]))


many = st.tuples(st.integers(1, 20), st.integers(20, 30), st.sampled_from([5, 16, 19]))


@st.composite
def cases(draw: st.DrawFn, sizes: st.SearchStrategy[tuple[int, int, int]] = sizes) -> Case:
    """Draw a step with two states, two forcings, two static and one dynamic parameter."""
    num_steps, num_basins, num_components = size = draw(sizes)
    g = torch.Generator().manual_seed(draw(st.integers(0, 1000)))

    def values(*shape: int) -> Tensor:
        return 2 * torch.rand(shape, generator=g, dtype=torch.float64) - 1

    static = (num_basins, num_components)
    return Case(
        RandomStep(draw(lines)),
        State(values(*static), values(*static)),
        {"x": values(num_steps, num_basins), "y": values(num_basins)},
        {"a": values(*static), "b": values(*static), "c": values(*size)},
    )


# each example is compiled: few of them, and no shrinking, which takes minutes
compiled = settings(max_examples=6, deadline=None, derandomize=True, database=None,
                    phases=[Phase.generate],
                    suppress_health_check=[HealthCheck.too_slow])  # fmt: skip


@compiled
@given(cases())
def test_equals_eager(case: Case) -> None:
    assert_equal(case, 1e-11)


LOOPS = ["shrunk", "counted", "solved"]


def looped(name: str, size: tuple[int, int, int]) -> Case:
    """Return a step with two loops of a kind."""
    g = torch.Generator().manual_seed(3)
    rand = lambda *shape: 4 * torch.rand(shape, generator=g, dtype=torch.float64) - 2  # noqa: E731
    step = RandomStep([("add", 1, 4), (name, 0, 5), ("mul", 0, 7), (name, 1, 2), ("sub", 0, 2)])
    static = size[1:]
    return Case(
        step, State(rand(*static), rand(*static)), {"x": rand(*size[:2]), "y": rand(size[1])},
        {"a": rand(*static), "b": rand(*static), "c": rand(*size)},
    )  # fmt: skip


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("every", [1, 4])
def test_loops(name: str, every: int) -> None:
    assert_equal(looped(name, (9, 30, 5)), checkpoint_every=every)


@pytest.mark.parametrize("name", LOOPS)
def test_loops_in_single_precision(name: str) -> None:
    assert_single_precision(smooth(looped(name, (9, 30, 5))))


@compiled
@given(cases(many))
def test_single_precision_is_as_good_as_eager(case: Case) -> None:
    assert_single_precision(smooth(case))


def smooth(case: Case) -> Case:
    """Take out the jumps: near one, a rounding error decides between two far values."""
    jumps = {"floor": "tanh", "remainder": "add", "where": "maximum", "masked": "minimum",
             "shrunk": "counted"}  # fmt: skip
    step = RandomStep([(jumps.get(name, name), i, j) for name, i, j in case.step.lines])
    return case._replace(step=step)


def test_a_step_of_its_own_domain() -> None:
    """Light and temperature on a leaf: nothing here is hydrological."""

    def step(state: Any, forcing: Any, p: Any) -> tuple[Any, Any]:
        quantum = p["a"].abs() * F.softplus(forcing["x"])
        respiration = 0.1 * math.e ** (0.07 * forcing["y"]) * state.first
        carbon = state.first + 0.1 * (quantum / (1 + quantum) - respiration)
        return State(carbon, state.second + p["c"]), Flux(quantum, respiration, carbon)

    g = torch.Generator().manual_seed(0)
    rand = lambda *shape: torch.rand(shape, generator=g, dtype=torch.float64)  # noqa: E731
    assert_equal(Case(step, State(rand(3, 2), rand(3, 2)), {"x": rand(50, 3), "y": rand(50, 3)},
                      {"a": rand(3, 2), "c": rand(3, 2)}))  # fmt: skip
