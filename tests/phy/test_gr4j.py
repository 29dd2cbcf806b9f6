"""GR4J against independent numbers, its unit hydrographs against their definition."""

import itertools

import pytest
import torch
from torch import Tensor

from dmg.phy import Trajectory
from dmg.phy.gr4j import LENGTH, Gr4j, s_curves
from dmg.testing import random_parameters, weather
from tests.golden import CASES, forcing_f12

CASE = CASES["gr4j"]


def state(S: float, R: float) -> Gr4j.State:
    empty = (torch.zeros(1, 1) for _ in Gr4j.State._fields[2:])
    return Gr4j.State(torch.full((1, 1), S), torch.full((1, 1), R), *empty)


def run(num_steps: int = 12, **changes: float) -> Trajectory:
    values = CASE["params"] | changes
    parameters = {name: torch.full((1, 1), float(value)) for name, value in values.items()}
    forcing = {n: f[:num_steps] for n, f in forcing_f12().items()}
    start = state(*map(float, CASE["initial"]))
    return Gr4j()(forcing, parameters, state=start, backend="eager")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("Q", "streamflow"), ("AET", "aet"), ("perc", "percolation"), ("exch", "exchange")],
)
def test_fluxes_agree_with_an_independent_evaluation(theirs: str, ours: str) -> None:
    expected = torch.tensor(CASE["outputs"][theirs])
    found = run().fluxes[ours][:, 0, 0]
    torch.testing.assert_close(found, expected, rtol=0, atol=CASE["atol"])


@pytest.mark.parametrize("store", ["S", "R"])
def test_stores_agree_with_an_independent_evaluation(store: str) -> None:
    for day, expected in enumerate(CASE["outputs"][store]):
        found = getattr(run(day + 1).state, store).item()
        assert found == pytest.approx(expected, abs=CASE["atol"])


def ordinates(x4: float) -> list[list[float]]:
    """As the paper defines them: differences of SH1 and SH2 at whole days."""
    SH1 = [min(t / x4, 1) ** 2.5 for t in range(LENGTH + 1)]
    SH2 = [
        0.5 * (t / x4) ** 2.5 if t <= x4 else 1 - 0.5 * max(2 - t / x4, 0) ** 2.5
        for t in range(2 * LENGTH + 1)
    ]
    return [[b - a for a, b in itertools.pairwise(SH)] for SH in (SH1, SH2)]


@pytest.mark.parametrize("x4", [0.5, 1.0, 1.7, 6.25, 15.0])
def test_unit_hydrographs_have_the_ordinates_of_the_paper(x4: float) -> None:
    for curve, expected in zip(s_curves(torch.tensor(x4)), ordinates(x4), strict=True):
        found = torch.stack(curve).diff()
        torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=1e-14)
        assert found.sum().item() == pytest.approx(1, abs=1e-14)
        assert (found >= 0).all()


def test_registers_are_a_convolution() -> None:
    """Direct flow without exchange is a tenth of the effective rain, spread by the second one."""
    out = run(x2=0.0, x4=3.3)
    effective = out.fluxes["percolation"] - out.fluxes["infiltration"]
    effective = effective + (forcing_f12()["precipitation"] - forcing_f12()["pet"]).clamp(
        min=0
    ).unsqueeze(-1)
    second = torch.tensor(ordinates(3.3)[1])
    for day in range(12):
        expected = sum(0.1 * effective[day - k] * second[k] for k in range(day + 1))
        torch.testing.assert_close(out.fluxes["direct_flow"][day], expected, rtol=1e-12, atol=1e-14)


def test_no_exchange_keeps_the_water_of_the_basin() -> None:
    assert (run(x2=0.0).fluxes["regional_flow"] == 0).all()


def test_exchange_takes_no_more_than_there_is() -> None:
    out = run(x2=-20.0)
    assert all(store.min() >= 0 for store in out.state)
    assert (out.fluxes["streamflow"] >= 0).all()
    assert (out.fluxes["regional_flow"] < 0).any()


def test_time_base_that_changes_loses_no_water() -> None:
    model, forcing = Gr4j(), weather(200, 2)
    parameters: dict[str, Tensor] = random_parameters(model, 2, 3)
    parameters["x4"] = 0.5 + 14.5 * torch.rand(200, 2, 3, generator=torch.manual_seed(0))
    out = model(forcing, parameters, backend="eager")
    rain = forcing["precipitation"].unsqueeze(-1)
    balance = rain + out.fluxes["regional_flow"] - out.fluxes["aet"] - out.fluxes["streamflow"]
    held = model.storage(out.state, parameters)
    torch.testing.assert_close(held, balance.sum(0), rtol=0, atol=1e-9)


def test_gradients_away_from_ties() -> None:
    forcing = {n: (f + d).requires_grad_() for (n, f), d in zip(
        {n: f for n, f in weather(6, 1).items() if n != "temperature"}.items(), (1.1, 0.3),
        strict=True)}  # fmt: skip
    parameters = {n: p.requires_grad_() for n, p in random_parameters(Gr4j(), 1, 1).items()}
    fixed = {n: p.detach() for n, p in parameters.items()}
    start = Gr4j()(weather(40, 1), fixed, backend="eager").state

    def fluxes(*leaves: Tensor) -> Tensor:
        given = dict(zip([*forcing, *parameters], leaves, strict=True))
        out = Gr4j()(given, {n: given[n] for n in parameters}, state=start, backend="eager")
        return torch.stack([*out.fluxes.values()]).sum(1)

    assert torch.autograd.gradcheck(fluxes, (*forcing.values(), *parameters.values()))
