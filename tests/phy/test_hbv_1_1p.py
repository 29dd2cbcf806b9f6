"""HBV 1.1p against independent numbers, and against HBV 1.0."""

import pytest
import torch
from torch import Tensor

from dmg.batch import Batch
from dmg.delta import DeltaModel, parameter_map
from dmg.phy import Trajectory
from dmg.phy.hbv_1_0 import Hbv10
from dmg.phy.hbv_1_1p import Hbv11p
from dmg.routing import UnitHydrograph
from dmg.testing import random_parameters, weather
from tests.golden import CASES, forcing_f12
from tests.phy.test_hbv_1_0 import NAMES as NAMES_10
from tests.test_delta import Prescribed, normalizer

NAMES = NAMES_10 | {"capillary": "capillary"}
# float32 reference: a few units in the last place; and its floors of 1e-5 mm, which make water
RTOL, ATOL = 5e-7, 2e-5


def parameters_of(case: dict) -> dict[str, Tensor]:
    return {name: torch.full((1, 1), case["params"][f"par{name}"]) for name in Hbv11p.PARAMETERS}


def run(case: dict, parameters: dict[str, Tensor] | None = None) -> Trajectory:
    start = Hbv11p.State(*(torch.full((1, 1), s) for s in case["initial"]))
    return Hbv11p()(forcing_f12(), parameters or parameters_of(case), state=start)


@pytest.mark.parametrize("name", ["hbv_1_1p_cold", "hbv_1_1p_wet"])
def test_fluxes_and_states_agree_with_the_published_program(name: str) -> None:
    case = CASES[name]
    out, tolerance = run(case), {"atol": ATOL, "rtol": RTOL}
    for theirs, ours in NAMES.items():
        if theirs in case["outputs"]:
            expected = torch.tensor(case["outputs"][theirs])
            torch.testing.assert_close(out.fluxes[ours][:, 0, 0], expected, **tolerance)
    final = torch.cat(out.state).squeeze(-1)
    torch.testing.assert_close(final, torch.tensor(case["final_state"]), **tolerance)


@pytest.mark.parametrize("name", ["hbv_1_1p_grad_cold", "hbv_1_1p_grad_medium"])
def test_gradients_agree_with_the_published_program(name: str) -> None:
    case = CASES[name]
    parameters = {n: p.requires_grad_() for n, p in parameters_of(case).items()}
    route = {f"route_{k}": torch.tensor([case["params"][f"rout_{k}"]]).requires_grad_()
             for k in "ab"}  # fmt: skip
    flow = run(case, parameters).fluxes["streamflow"].squeeze(-1)
    routed, _ = UnitHydrograph(length=12)(flow, route)
    routed.sum().backward()
    known = {f"par{n}": p for n, p in parameters.items()}
    known |= {n.replace("route", "rout"): p for n, p in route.items()}
    for n, expected in case["grad"].items():
        found = known[n].grad
        assert found is not None
        assert found.item() == pytest.approx(expected, rel=case["rtol"], abs=case["atol"]), n


@pytest.mark.parametrize("warmup_gradient", ["none", "all"])
def test_end_to_end_agrees_with_the_published_program(warmup_gradient: str) -> None:
    case = CASES[f"e2e_Hbv_1_1p_warm_up_states_{warmup_gradient != 'all'}"]
    t, b, k = torch.meshgrid(torch.arange(24), torch.arange(2), torch.arange(30), indexing="ij")
    table = torch.sin(1.3 * (k + 1) + 0.5 * b + 0.05 * t)
    f12 = {n: f.repeat(2, 1) for n, f in forcing_f12().items()}
    factor = {"precipitation": 0.5, "temperature": 1.0, "pet": 1.2}
    f12["precipitation"] = 3 * f12["precipitation"]
    phy, routing = Hbv11p(), UnitHydrograph(15)
    model = DeltaModel(
        Prescribed(table, [0, 1, 4, 5, 24, 25]), phy, routing, normalizer=normalizer(),
        parameters=parameter_map(phy, routing, Hbv11p.RECOMMENDED_DYNAMIC, 2),
        warmup_gradient=warmup_gradient,
    )  # fmt: skip
    batch = Batch(
        forcing={n: torch.cat([f, factor[n] * f], dim=1) for n, f in f12.items()},
        attributes=torch.zeros(2, 0), time=torch.zeros(2, dtype=torch.int64), warmup=6,
    )  # fmt: skip
    flow = model(batch).fluxes["streamflow"].T
    torch.testing.assert_close(
        flow, torch.tensor(case["streamflow"]), rtol=case["rtol"], atol=case["atol"]
    )


def test_without_capillary_rise_equals_hbv_1_0() -> None:
    forcing, parameters = weather(365, 3), random_parameters(Hbv11p(), 3, 4)
    parameters["C"] = torch.zeros(3, 4)
    found = Hbv11p()(forcing, parameters)
    del parameters["C"]
    expected = Hbv10()(forcing, parameters)
    assert all(torch.equal(found.fluxes[n], f) for n, f in expected.fluxes.items())
    assert all(map(torch.equal, found.state, expected.state))


def test_capillary_rise_wets_a_dry_soil_and_leaves_a_full_one() -> None:
    def rise(moisture: float) -> float:
        one = torch.ones(1, 1)
        values = {n: p.lower for n, p in Hbv11p.PARAMETERS.items()} | {"FC": 100.0, "C": 0.25}
        forcing = {"precipitation": 0 * one, "temperature": 20 * one, "pet": 0 * one}
        start = Hbv11p.State(*(s * one for s in (0.0, 0.0, moisture, 0.0, 40.0)))
        out = Hbv11p()(forcing, {n: v * one for n, v in values.items()}, state=start)
        return out.fluxes["capillary"].item()

    assert rise(0.0) == 10.0
    assert rise(50.0) == 5.0
    assert rise(100.0) == 0.0
