"""HBV 1.0 against independent numbers and closed forms."""

import pytest
import torch
from torch import Tensor

from dmg.phy import Trajectory
from dmg.phy.hbv_1_0 import Hbv10
from dmg.routing import UnitHydrograph
from tests.golden import CASES, forcing_f12

NAMES = {
    "streamflow_no_rout": "streamflow",
    "srflow_no_rout": "surface_flow",
    "ssflow_no_rout": "interflow",
    "gwflow_no_rout": "baseflow",
    "AET_hydro": "aet",
    "recharge": "recharge",
    "excs": "excess",
    "percolation": "percolation",
    "tosoil": "infiltration",
}


def parameters_of(case: dict) -> dict[str, Tensor]:
    given = {name.removeprefix("par"): value for name, value in case["params"].items()}
    wanted = Hbv10.PARAMETERS.keys() - {"BETAET"}
    return {name: torch.full((1, 1), given[name]) for name in wanted}


def run(case: dict) -> Trajectory:
    start = Hbv10.State(*(torch.full((1, 1), s) for s in case["initial"]))
    return Hbv10()(forcing_f12(), parameters_of(case), state=start)


@pytest.mark.parametrize("name", ["hbv_1_0_cold", "hbv_1_0_wet"])
def test_fluxes_and_states_agree_with_the_published_program(name: str) -> None:
    case = CASES[name]
    out = run(case)
    # float32 reference: absolute tolerance of the case, and 4 units in the last place
    tolerance = {"atol": case["atol"], "rtol": 5e-7}
    for theirs, ours in NAMES.items():
        if theirs in case["outputs"]:
            expected = torch.tensor(case["outputs"][theirs])
            torch.testing.assert_close(out.fluxes[ours][:, 0, 0], expected, **tolerance)
    final = torch.cat(out.state).squeeze(-1)
    torch.testing.assert_close(final, torch.tensor(case["final_state"]), **tolerance)


@pytest.mark.parametrize("name", ["hbv_1_0_cold", "hbv_1_0_wet"])
def test_routed_flow_agrees_with_the_published_program(name: str) -> None:
    case = CASES[name]
    flow = run(case).fluxes["streamflow"].squeeze(-1)
    route = {"route_a": torch.tensor([1.5]), "route_b": torch.tensor([1.0])}
    routed, _ = UnitHydrograph(length=12)(flow, route)
    expected = torch.tensor(case["outputs"]["streamflow"]).unsqueeze(-1)
    torch.testing.assert_close(routed, expected, atol=case["atol"], rtol=5e-7)


def dry_run(num_steps: int = 50, **changes: float) -> Trajectory:
    """No rain, no evapotranspiration, from filled stores."""
    values = {"BETA": 2.0, "FC": 100.0, "K0": 0.3, "K1": 0.1, "K2": 0.05, "LP": 0.7, "PERC": 0.0,
              "UZL": 100.0, "TT": 0.0, "CFMAX": 3.0, "CFR": 0.05, "CWH": 0.1} | changes  # fmt: skip
    zeros = torch.zeros(num_steps, 1)
    forcing = {"precipitation": zeros, "temperature": zeros - 10, "pet": zeros}
    start = Hbv10.State(*(torch.full((1, 1), s) for s in (10.0, 0.0, 50.0, 40.0, 30.0)))
    return Hbv10()(forcing, {n: torch.full((1, 1), v) for n, v in values.items()}, state=start)


def test_recession_follows_its_closed_form() -> None:
    out = dry_run()
    torch.testing.assert_close(out.state.SUZ, torch.full((1, 1), 40 * 0.9**50), rtol=1e-12, atol=0)
    torch.testing.assert_close(out.state.SLZ, torch.full((1, 1), 30 * 0.95**50), rtol=1e-12, atol=0)


def test_frozen_snowpack_keeps_its_water() -> None:
    assert dry_run().state.SNOWPACK.item() == 10.0


def test_always_cold_flow_does_not_depend_on_precipitation() -> None:
    def flow(rain: float) -> Tensor:
        full = torch.ones(40, 1)
        forcing = {"precipitation": rain * full, "temperature": -30 * full, "pet": 0 * full}
        case = CASES["hbv_1_0_wet"]
        return Hbv10()(forcing, parameters_of(case)).fluxes["streamflow"]

    assert torch.equal(flow(0.0), flow(20.0))


def test_full_soil_passes_all_rain_and_steep_recharge_none() -> None:
    def recharge(beta: float, sm: float) -> Tensor:
        values = {n: p.lower for n, p in Hbv10.PARAMETERS.items()} | {"BETA": beta, "FC": 100.0}
        one = torch.ones(1, 1)
        forcing = {"precipitation": 10 * one, "temperature": 20 * one, "pet": 0 * one}
        start = Hbv10.State(*(s * one for s in (0.0, 0.0, sm, 0.0, 0.0)))
        out = Hbv10()(forcing, {n: v * one for n, v in values.items()}, state=start)
        return out.fluxes["recharge"]

    assert recharge(2.0, 100.0).item() == 10.0
    assert recharge(6.0, 5.0).item() < 1e-6
