"""A synthetic twin in the manner of Bindas et al. 2024: roughness is found again, shape is not.

Roughness and shape of each reach are functions of two attributes of its basin, unknown to a small
network, which sees the flow at three gauges, with errors.
"""

import torch
from torch import Tensor

from dmg.nn import Mlp
from dmg.nn.base import Inputs
from dmg.parameters import ParameterMap
from dmg.routing import MuskingumCunge, Reaches
from tests.routing.networks import random_links

NUM_REACHES, NUM_HOURS = 24, 240


def storms() -> Tensor:
    """Hourly lateral inflow, `[T, N]`: storms over a part of the network each."""
    draw = torch.Generator().manual_seed(4)
    inflow = torch.full((NUM_HOURS, NUM_REACHES), 0.2)
    for start in range(10, NUM_HOURS - 40, 35):
        wet = torch.rand(NUM_REACHES, generator=draw) < 0.6
        inflow[start : start + 5, wet] += 6 * torch.rand(int(wet.sum()), generator=draw)
    return inflow


def test_roughness_is_recovered_and_shape_is_not() -> None:
    draw = torch.Generator().manual_seed(3)
    attributes = torch.randn(NUM_REACHES, 2, generator=draw)
    links = random_links(NUM_REACHES, seed=6, outlets=0)
    one = torch.ones(NUM_REACHES)
    reaches = Reaches(links, 12_000 * one, 2e-3 * one)
    routing, inflow = MuskingumCunge(1, 3600.0), storms()
    true_n = 0.05 + 0.03 * torch.tanh(attributes @ torch.tensor([0.8, -0.5]))
    true_q = 0.5 + 0.35 * torch.tanh(attributes @ torch.tensor([0.5, 0.8]))
    truth = {"n": true_n, "q_spatial": true_q}
    gauges = torch.tensor([8, 15, NUM_REACHES - 1])
    observed = routing(inflow, truth, reaches)[0][:, gauges]
    observed = observed * (1 + 0.03 * torch.randn(NUM_HOURS, 3, generator=draw))

    torch.manual_seed(0)
    network = Mlp(2, 2, hidden_sizes=(16,))
    values = ParameterMap({}, {n: routing.PARAMETERS[n] for n in ("n", "q_spatial")})
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)

    def parameters() -> dict[str, Tensor]:
        scores, _ = network(Inputs(torch.zeros(1, NUM_REACHES, 0), attributes), ())
        return values.static(scores.static)

    losses = []
    for _ in range(120):
        simulated = routing(inflow, parameters(), reaches)[0][:, gauges]
        loss = (simulated - observed)[24:].abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    found = {name: value.detach() for name, value in parameters().items()}
    error = {name: (found[name] / truth[name] - 1).abs().mean() for name in truth}
    assert losses[-1] < 0.3 * losses[0]
    assert error["n"] < 0.1
    assert torch.corrcoef(torch.stack([found["n"], true_n]))[0, 1] > 0.9
    assert error["q_spatial"] > 3 * error["n"]
