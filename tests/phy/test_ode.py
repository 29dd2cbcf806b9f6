"""Models given by a right-hand side: every solver on problems with known solutions."""

import math
import sys
from typing import Any, ClassVar, NamedTuple

import pytest
import torch
from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy.exp_hydro import ExpHydro
from dmg.phy.ode import SOLVERS, OdeModel
from dmg.scan.adaptive import PACKAGES
from dmg.testing import random_parameters, weather


class Store(NamedTuple):
    S: Tensor


class Flow(NamedTuple):
    streamflow: Tensor
    residual: Tensor


class Reservoir(OdeModel):
    """Linear: dS/dt = P - k S."""

    forcings = ("precipitation",)
    PARAMETERS: ClassVar = {"k": Parameter(0.01, 1.0, "d-1", "recession")}
    State = Store
    Flux = Flow
    BALANCE: ClassVar = {"precipitation": +1, "streamflow": -1}

    @staticmethod
    def rhs(t: Any, state: Any, forcing: Any, parameters: Any) -> Any:
        Q = parameters["k"] * state.S
        return (forcing["precipitation"] - Q,), (Q,)


class Clock(Reservoir):
    """A rate that is the time since the start of the step."""

    @staticmethod
    def rhs(t: Any, state: Any, forcing: Any, parameters: Any) -> Any:
        Q = 0 * parameters["k"] * state.S
        return (forcing["precipitation"] + t - Q,), (Q,)


RAIN = [3.0, 0.0, 5.0, 1.0]
CLOSE = {
    "explicit": {"solver": "explicit", "substeps": 100},
    "implicit": {"solver": "implicit", "substeps": 100, "passes": 1},
    "torchode": {"solver": "torchode", "rtol": 1e-8, "atol": 1e-8},
    "torchdiffeq": {"solver": "torchdiffeq", "rtol": 1e-8, "atol": 1e-8},
    "torchode, through the solver":
        {"solver": "torchode", "rtol": 1e-8, "atol": 1e-8, "adjoint": False},
    "torchdiffeq, through the solver":
        {"solver": "torchdiffeq", "rtol": 1e-8, "atol": 1e-8, "adjoint": False},
}  # fmt: skip


def exact(k: Tensor, S: Tensor, rain: Tensor) -> tuple[Tensor, Tensor]:
    """Flow of every day and last store of the reservoir, in closed form."""
    flows = []
    for P in rain:
        new = P / k + (S - P / k) * torch.exp(-k)
        flows.append(P + S - new)
        S = new
    return torch.cat(flows), S


def leaves() -> list[Tensor]:
    values = torch.tensor([[0.3]]), torch.tensor([[20.0]]), torch.tensor(RAIN).reshape(-1, 1)
    return [v.requires_grad_() for v in values]


@pytest.mark.parametrize("name", list(CLOSE))
def test_linear_reservoir_and_its_gradients_have_their_closed_form(name: str) -> None:
    tolerance = 1e-7 if CLOSE[name]["solver"] in PACKAGES else 5e-3
    (k, S, rain), (k2, S2, rain2) = leaves(), leaves()
    model = Reservoir(**CLOSE[name])
    out = model({"precipitation": rain}, {"k": k}, state=Store(S), backend="eager")
    flow, last = exact(k2, S2, rain2)
    found = out.fluxes["streamflow"].flatten()
    torch.testing.assert_close(found, flow.flatten(), rtol=tolerance, atol=0)
    torch.testing.assert_close(out.state.S, last, rtol=tolerance, atol=0)
    weights = torch.arange(1.0, 5.0)
    ours = torch.autograd.grad((weights * found).sum() + out.state.S.sum(), (k, S, rain))
    truth = torch.autograd.grad((weights * flow.flatten()).sum() + last.sum(), (k2, S2, rain2))
    for a, b in zip(ours, truth, strict=True):
        torch.testing.assert_close(a, b, rtol=10 * tolerance, atol=0)


@pytest.mark.parametrize("solver", ["explicit", "implicit"])
def test_euler_is_of_first_order(solver: str) -> None:
    def error(substeps: int) -> float:
        k, S, rain = (v.detach() for v in leaves())
        model = Reservoir(solver=solver, substeps=substeps, passes=1)
        out = model({"precipitation": rain}, {"k": k}, state=Store(S), backend="eager")
        return abs(out.state.S.item() - exact(k, S, rain)[1].item())

    assert error(16) / error(32) == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("solver", SOLVERS)
def test_time_counts_from_the_start_of_a_step(solver: str) -> None:
    rain = torch.zeros(3, 1)
    given = {"precipitation": rain}, {"k": torch.ones(1, 1)}
    out = Clock(solver=solver, substeps=4)(*given, backend="eager")
    first_order = {"explicit": -1 / 8, "implicit": 1 / 8}.get(solver, 0.0)
    assert out.state.S.item() == pytest.approx(3 * (0.5 + first_order), abs=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
class TestExpHydro:
    """All that a process model must be, whatever solves it."""

    def run(self, solver: str, **inputs: Any) -> Any:
        forcing = inputs.get("forcing") or weather(12, 2)
        parameters = inputs.get("parameters") or random_parameters(ExpHydro(), 2, 2)
        model = ExpHydro(solver=solver)
        return model(forcing, parameters, state=inputs.get("state"), backend="eager")

    def test_water_balance_closes(self, solver: str) -> None:
        forcing = weather(12, 2)
        out = self.run(solver)
        gone = (out.fluxes["aet"] + out.fluxes["streamflow"]).sum(0)
        held = out.state.S0 + out.state.S1
        rain = forcing["precipitation"].sum(0).unsqueeze(-1)
        torch.testing.assert_close(held + gone - rain, torch.zeros(2, 2), rtol=0, atol=1e-12)

    def test_split_run_equals_whole_run(self, solver: str) -> None:
        forcing = weather(12, 2)
        whole = self.run(solver)
        first = self.run(solver, forcing={n: f[:5] for n, f in forcing.items()})
        rest = {n: f[5:] for n, f in forcing.items()}
        second = self.run(solver, forcing=rest, state=first.state)
        assert all(map(torch.equal, whole.state, second.state))

    def test_components_are_independent(self, solver: str) -> None:
        """Bit for bit, but for torchdiffeq, whose steps are those of the whole batch."""
        parameters = random_parameters(ExpHydro(), 2, 2)
        alone = self.run(solver, parameters={n: p[:, :1] for n, p in parameters.items()})
        both = self.run(solver).state.S1[:, :1]
        tolerance = 1e-4 if solver == "torchdiffeq" else 0
        torch.testing.assert_close(alone.state.S1, both, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("solver", list(PACKAGES))
def test_adjoint_gradients_are_those_through_the_solver(solver: str) -> None:
    def gradients(adjoint: bool) -> list[Tensor]:
        forcing = {n: f.requires_grad_() for n, f in weather(4, 1).items()}
        parameters = random_parameters(ExpHydro(), 1, 1, margin=0.2)
        given = {n: p.requires_grad_() for n, p in parameters.items()}
        model = ExpHydro(solver=solver, rtol=1e-9, atol=1e-9, adjoint=adjoint)
        start = ExpHydro.State(torch.full((1, 1), 20.0), torch.full((1, 1), 300.0))
        out = model(forcing, given, state=start, backend="eager")
        return list(torch.autograd.grad(
            out.fluxes["streamflow"].square().sum(), [*forcing.values(), *given.values()]
        ))  # fmt: skip

    for found, expected in zip(gradients(True), gradients(False), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


def test_solvers_converge_to_one_solution() -> None:
    forcing, parameters = weather(12, 2), random_parameters(ExpHydro(), 2, 2, margin=0.2)

    def last(**options: Any) -> Tensor:
        return ExpHydro(**options)(forcing, parameters, backend="eager").state.S1

    truth = last(solver="torchode", rtol=1e-8, atol=1e-8)
    other = last(solver="torchdiffeq", rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(other, truth, rtol=1e-6, atol=1e-6)
    for solver in ("explicit", "implicit"):
        coarse, fine = ((last(solver=solver, substeps=n) - truth).abs().max() for n in (4, 16))
        assert coarse / fine == pytest.approx(4, rel=0.3)


class TestBadInput:
    def test_unknown_solver(self) -> None:
        with pytest.raises(ValueError, match=r"unknown solver 'rk4'; choose from \['explicit'"):
            Reservoir(solver="rk4")

    def test_no_substep(self) -> None:
        with pytest.raises(ValueError, match="substeps must be at least 1, found 0"):
            Reservoir(substeps=0)

    def test_no_residual(self) -> None:
        class Forgetful(Reservoir):
            Flux = Store

        message = r"last flux of Forgetful must be 'residual', .*found \['S'\]; add it"
        with pytest.raises(ValueError, match=message):
            Forgetful()

    @pytest.mark.parametrize("package", list(PACKAGES))
    def test_missing_package(self, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(ValueError, match=rf"solver {package} needs .* 'dmg-hpc\[ode\]'"):
            Reservoir(solver=package)

    @pytest.mark.parametrize("adjoint", [True, False])
    @pytest.mark.parametrize("package", list(PACKAGES))
    def test_nan(self, package: str, adjoint: bool) -> None:
        one, nan = torch.ones(1, 1), torch.full((1, 1), math.nan)
        model = Reservoir(solver=package, adjoint=adjoint)
        with pytest.raises(ValueError, match=f"{package} could not keep the tolerance"):
            model.step(Store(one), {"precipitation": nan}, {"k": one})

    def test_fused(self) -> None:
        rain = torch.zeros(2, 1)
        with pytest.raises(ValueError, match="the step cannot be traced"):
            Reservoir(solver="torchode")(
                {"precipitation": rain}, {"k": torch.ones(1, 1)}, backend="fused"
            )
