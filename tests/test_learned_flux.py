"""A network inside the physics: conservation, gradients, compiled and eager."""

import logging
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from dmg.batch import Batch
from dmg.delta import DeltaModel
from dmg.nn import StepNetwork, Table, evaluate
from dmg.parameters import Parameter
from dmg.phy import ProcessModel
from dmg.scan import scan
from dmg.testing import weather

PARAMETERS = {"Smax": Parameter(50.0, 500.0, "mm", "size of the store")}


class State(NamedTuple):
    S: Tensor  # storage [mm]


class Flux(NamedTuple):
    streamflow: Tensor
    aet: Tensor


def step(
    state: State, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> tuple[State, Flux]:
    """Outflow is a learned fraction of the store."""
    S = state.S + forcing["precipitation"]
    wetness = S / parameters["Smax"]
    aet = torch.minimum(forcing["pet"] * wetness.clamp(max=1), S)
    S = S - aet
    score = evaluate("runoff", parameters, (wetness, forcing["temperature"] / 10), hidden_size=3)
    streamflow = torch.sigmoid(score) * S
    return State(S - streamflow), Flux(streamflow, aet)


class Learned(ProcessModel):
    """A bucket with a learned outflow."""

    forcings = ("precipitation", "temperature", "pet")
    PARAMETERS = PARAMETERS
    State = State
    Flux = Flux
    BALANCE: ClassVar = {"precipitation": +1, "streamflow": -1, "aet": -1}
    step = staticmethod(step)

    def __init__(self) -> None:
        super().__init__()
        self.runoff = StepNetwork("runoff", 2, hidden_size=3)


def model() -> Learned:
    torch.manual_seed(0)
    return Learned().double()


def run(phy: Learned, backend: str, mean: bool = False) -> tuple[Tensor, list[Tensor]]:
    """Streamflow, and the gradient of its sum by every weight."""
    forcing = {n: f.double() for n, f in weather(60, 3).items()}
    parameters = {"Smax": torch.linspace(80, 300, 6, dtype=torch.float64).view(3, 2)}
    out = phy(forcing, parameters, backend=backend, outputs=["streamflow"], mean=mean)
    flow = out.fluxes["streamflow"]
    return flow.detach(), list(torch.autograd.grad(flow.square().sum(), list(phy.parameters())))


def test_score_is_that_of_the_perceptron() -> None:
    net = StepNetwork("f", 2, hidden_size=3).double()
    x, y = torch.rand(2, 4, 5, dtype=torch.float64)
    expected = net.out(torch.tanh(net.hidden(torch.stack([x, y], -1)))).squeeze(-1)
    score = evaluate("f", net.weights(), (x, y), hidden_size=3)
    torch.testing.assert_close(score, expected)


def test_compiled_equals_eager_with_gradients_of_all_weights() -> None:
    phy = model()
    for mean in (False, True):
        flow, gradients = run(phy, "eager", mean)
        fused_flow, fused_gradients = run(phy, "fused", mean)
        torch.testing.assert_close(fused_flow, flow, rtol=1e-12, atol=1e-14)
        torch.testing.assert_close(fused_gradients, gradients, rtol=1e-9, atol=1e-12)
        assert all(g.abs().sum() > 0 for g in gradients)


def test_a_step_of_the_optimiser_reaches_the_compiled_loop() -> None:
    phy = model()
    before, gradients = run(phy, "fused")
    with torch.no_grad():
        for weight, gradient in zip(phy.parameters(), gradients, strict=True):
            weight -= 0.1 * gradient / gradient.norm()
    after, _ = run(phy, "fused")
    torch.testing.assert_close(after, run(phy, "eager")[0], rtol=1e-12, atol=1e-14)
    assert after.square().sum() < before.square().sum()


def test_water_is_conserved_whatever_the_weights() -> None:
    phy = model()
    forcing = {n: f.double() for n, f in weather(400, 3).items()}
    parameters = {"Smax": torch.full((3, 2), 150.0, dtype=torch.float64)}
    fluxes, state = phy(forcing, parameters)
    rain = forcing["precipitation"].sum(0).unsqueeze(-1)
    gain = rain - fluxes["streamflow"].sum(0) - fluxes["aet"].sum(0)
    torch.testing.assert_close(state.S, gain, rtol=0, atol=1e-9)
    assert (state.S >= 0).all()


def test_learns_the_outflow_of_a_linear_reservoir() -> None:
    """From flow alone, beside a table of parameters: 10 % of the store a day."""
    forcing = {n: f.float() for n, f in weather(200, 2).items()}
    batch = Batch(forcing=forcing, time=torch.zeros(2, dtype=torch.int64), basin=torch.arange(2))
    storage, flows = torch.zeros(2), []
    for rain, pet in zip(forcing["precipitation"], forcing["pet"], strict=True):
        storage = storage + rain
        storage = storage - torch.minimum(pet * (storage / 150).clamp(max=1), storage)
        flows.append(0.1 * storage)
        storage = 0.9 * storage
    target = torch.stack(flows)
    torch.manual_seed(0)
    coupled = DeltaModel(Table(2, 1), Learned())
    optimizer = torch.optim.Adam(coupled.parameters(), lr=0.02)
    first = None
    for _ in range(80):
        optimizer.zero_grad()
        loss = (coupled(batch).fluxes["streamflow"] - target).square().mean()
        first = first or loss.item()
        loss.backward()
        optimizer.step()
    assert loss < 0.05 * first


class Mixing(Learned):
    """The same outflow from a network of any kind, which the compiled loop cannot take."""

    def __init__(self) -> None:
        super().__init__()
        self.runoff = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
        self.step = self._step

    def _step(
        self, state: State, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
    ) -> tuple[State, Flux]:
        S = state.S + forcing["precipitation"]
        seen = torch.stack([S / parameters["Smax"], forcing["temperature"].expand_as(S) / 10], -1)
        streamflow = torch.sigmoid(self.runoff(seen).squeeze(-1)) * S
        return State(S - streamflow), Flux(streamflow, torch.zeros_like(S))


def test_any_network_runs_eagerly_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    torch.manual_seed(0)
    with caplog.at_level(logging.WARNING, logger="dmg"):
        _, gradients = run(Mixing().double(), "auto")
    assert "scan runs eagerly, many times slower" in caplog.text
    assert all(g.abs().sum() > 0 for g in gradients)


def test_weights_of_a_closure_are_never_frozen() -> None:
    k = nn.Parameter(torch.tensor(0.3))

    def leaky(state: State, forcing: Mapping[str, Tensor], _: object) -> tuple[State, Flux]:
        S = state.S + forcing["precipitation"]
        return State(S - k * S), Flux(k * S, S)

    start, rain = State(torch.ones(2, 3)), {"precipitation": torch.rand(5, 2)}
    fluxes, _ = scan(leaky, start, rain, {}, backend="auto")
    assert fluxes["streamflow"].requires_grad
    with pytest.raises(ValueError, match="the step reads weights that learn"):
        scan(leaky, start, rain, {}, backend="fused")
