"""Implicit HBV against independent numbers, and the quality of its solution."""

import itertools

import pytest
import torch
from torch import Tensor

from dmg.phy import Trajectory
from dmg.phy.hbv_implicit import PARAMETERS, HbvImplicit
from dmg.scan import scan
from dmg.testing import random_parameters, weather
from tests.golden import CASES, forcing_f12
from tests.scan.compare import assert_equal, model_case

NAMES = {False: [n for n in PARAMETERS if n not in ("C", "NDC")], True: list(PARAMETERS)}


def normalised(case: dict, capillary: bool) -> dict[str, Tensor]:
    """Parameters within 0 and 1."""
    known = {n.removeprefix("par"): v for n, v in case["params"].items()}
    rows = {n: PARAMETERS[n] for n in NAMES[capillary]}
    return {
        n: torch.full((1, 1), (known[n] - p.lower) / (p.upper - p.lower)) for n, p in rows.items()
    }


def run(capillary: bool, position: dict[str, Tensor], num_steps: int = 12) -> Trajectory:
    case = CASES["hbv_implicit_capillary" if capillary else "hbv_implicit"]
    start = HbvImplicit.State(*(torch.full((1, 1), s) for s in case["initial"]))
    forcing = {n: f[:num_steps] for n, f in forcing_f12().items()}
    rows = {n: PARAMETERS[n] for n in position}
    parameters = {n: p.lower + (p.upper - p.lower) * position[n] for n, p in rows.items()}
    return HbvImplicit(capillary=capillary)(forcing, parameters, state=start)


@pytest.mark.parametrize("capillary", [False, True])
class TestIndependentSolution:
    @pytest.fixture
    def case(self, capillary: bool) -> dict:
        return CASES["hbv_implicit_capillary" if capillary else "hbv_implicit"]

    def test_flow(self, case: dict, capillary: bool) -> None:
        flow = run(capillary, normalised(case, capillary)).fluxes["streamflow"]
        expected = torch.tensor(case["outputs"]["Q"])
        torch.testing.assert_close(flow[:, 0, 0], expected, rtol=0, atol=case["atol"])

    def test_stores_of_every_day(self, case: dict, capillary: bool) -> None:
        for day in range(12):
            out = run(capillary, normalised(case, capillary), day + 1)
            for name, store in out.state._asdict().items():
                expected = case["outputs"][name][day]
                assert store.item() == pytest.approx(expected, rel=0, abs=case["atol"])

    def test_gradients(self, case: dict, capillary: bool) -> None:
        leaves = {n: p.requires_grad_() for n, p in normalised(case, capillary).items()}
        run(capillary, leaves).fluxes["streamflow"].sum().backward()
        found = torch.cat([p.grad.flatten() for p in leaves.values() if p.grad is not None])
        expected = torch.tensor(case["outputs"]["d sumQ/d theta_norm"])
        torch.testing.assert_close(found, expected, rtol=0, atol=case["atol"])

    def test_gradients_are_central_differences(self, case: dict, capillary: bool) -> None:
        leaves = {n: p.requires_grad_() for n, p in normalised(case, capillary).items()}
        run(capillary, leaves).fluxes["streamflow"].sum().backward()
        for name, leaf in leaves.items():
            position = {n: p.detach() for n, p in leaves.items()}

            def flow(shift: float, at: dict[str, Tensor] = position, name: str = name) -> Tensor:
                moved = at | {name: at[name] + shift}
                return run(capillary, moved).fluxes["streamflow"].sum()

            slope = (flow(1e-5) - flow(-1e-5)) / 2e-5
            torch.testing.assert_close(leaf.grad.sum(), slope, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-11), (torch.float32, 1e-2)])
class TestResidual:
    """Relative to stores of up to some thousand mm, a few units in the last place."""

    def test_in_a_year_of_weather(self, dtype: torch.dtype, limit: float) -> None:
        model = HbvImplicit()
        case = model_case(model, (365, 200, 4)).to(dtype)
        fluxes, last = scan(*case, outputs=["residual"], backend="fused")
        assert fluxes["residual"].max() < limit
        assert all(store.min() > -limit for store in last)

    def test_at_every_corner(self, dtype: torch.dtype, limit: float) -> None:
        bounds = [(p.lower, p.upper) for p in PARAMETERS.values()]
        corners = torch.tensor(list(itertools.product(*bounds)), dtype=dtype)
        parameters = dict(zip(PARAMETERS, corners.T.unsqueeze(1), strict=True))
        forcing = {n: f.to(dtype) for n, f in weather(60, 1).items()}
        forcing["precipitation"][30] = 500.0
        out = HbvImplicit()(forcing, parameters, outputs=["residual"], backend="fused")
        assert out.fluxes["residual"].max() < limit


def test_fused_equals_eager() -> None:
    assert_equal(model_case(HbvImplicit(), (40, 3, 4), dynamic=True))


def test_capillary_rise_is_off_unless_asked_for() -> None:
    forcing, parameters = weather(5, 2), random_parameters(HbvImplicit(), 2, 3)
    del parameters["C"], parameters["NDC"]
    assert (HbvImplicit()(forcing, parameters).fluxes["capillary"] == 0).all()
    with pytest.raises(ValueError, match=r"needs the parameters \['C', 'NDC'\]"):
        HbvImplicit(capillary=True)(forcing, parameters)


def test_capillary_rise_is_of_one_instance() -> None:
    assert HbvImplicit(capillary=True).PARAMETERS["C"].default is None
    assert HbvImplicit.PARAMETERS["C"].default == 0
    assert HbvImplicit().PARAMETERS["C"].default == 0
