"""The eager scan on a model that is not hydrological: predator and prey."""

from typing import NamedTuple

import torch
from torch import Tensor

from dmg.scan import scan


class Populations(NamedTuple):
    prey: Tensor
    predator: Tensor


class Rates(NamedTuple):
    eaten: Tensor


def step(
    state: Populations, forcing: dict[str, Tensor], p: dict[str, Tensor]
) -> tuple[Populations, Rates]:
    eaten = p["attack"] * state.prey * state.predator
    prey = state.prey + forcing["food"] * state.prey - eaten
    predator = state.predator + 0.1 * eaten - 0.05 * state.predator
    return Populations(prey, predator), Rates(eaten)


def start() -> Populations:
    return Populations(torch.full((2, 3), 10.0), torch.full((2, 3), 2.0))


def test_equals_a_plain_loop() -> None:
    food, attack = 0.1 * torch.rand(30, 2), torch.full((2, 3), 0.01)
    fluxes, end = scan(step, start(), {"food": food}, {"attack": attack})
    state, eaten = start(), []
    for t in range(30):
        state, rates = step(state, {"food": food[t].unsqueeze(-1)}, {"attack": attack})
        eaten.append(rates.eaten)
    assert torch.equal(fluxes["eaten"], torch.stack(eaten))
    assert all(map(torch.equal, end, state))


def test_constant_forcing_and_dynamic_parameters() -> None:
    attack = torch.full((4, 2, 3), 0.01)
    fluxes, _ = scan(step, start(), {"food": torch.full((2,), 0.1)}, {"attack": attack})
    expected, _ = scan(step, start(), {"food": torch.full((4, 2), 0.1)}, {"attack": attack})
    assert torch.equal(fluxes["eaten"], expected["eaten"])


def test_no_outputs() -> None:
    fluxes, _ = scan(
        step, start(), {"food": torch.zeros(3, 2)}, {"attack": torch.zeros(2, 3)}, outputs=()
    )
    assert fluxes == {}


def test_graph_grows_linearly_with_steps() -> None:
    """Number of autograd nodes, not time: tests do not measure clocks."""

    def nodes(num_steps: int) -> int:
        attack = torch.full((2, 3), 0.01, requires_grad=True)
        fluxes, _ = scan(step, start(), {"food": torch.zeros(num_steps, 2)}, {"attack": attack})
        seen, todo = set(), [fluxes["eaten"].grad_fn]
        while todo:
            node = todo.pop()
            if node is not None and node not in seen:
                seen.add(node)
                todo.extend(parent for parent, _ in node.next_functions)
        return len(seen)

    assert nodes(200) < 2.1 * nodes(100)
