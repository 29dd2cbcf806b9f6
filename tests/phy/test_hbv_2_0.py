"""HBV 2.0 against independent numbers, against HBV 1.1p, and its exchange of groundwater."""

import pytest
import torch
from torch import Tensor

from dmg.batch import Batch
from dmg.delta import DeltaModel, parameter_map
from dmg.phy import Trajectory
from dmg.phy.hbv_1_1p import Hbv11p
from dmg.phy.hbv_2_0 import Hbv20, gain, threshold
from dmg.routing import UnitHydrograph
from dmg.testing import random_parameters, weather
from tests.golden import CASES, forcing_f12
from tests.test_delta import Prescribed, normalizer

UNITS = CASES["hbv_2_units"]
NAMES = {
    "streamflow_no_rout": "streamflow",
    "gwflow_no_rout": "baseflow",
    "AET_hydro": "aet",
}


def places(area: list[float], elevation: list[float]) -> dict[str, Tensor]:
    return {"area": torch.tensor(area), "elevation": torch.tensor(elevation)}


def run_units(num_steps: int = 12) -> Trajectory:
    """Four units on the same weather: losing, gaining, large, and high."""
    forcing = {n: f[:num_steps].expand(-1, 4) for n, f in forcing_f12().items()}
    parameters = {n: torch.full((4, 1), UNITS["params"][f"par{n}"]) for n in Hbv20.PARAMETERS}
    start = Hbv20.State(*(torch.full((4, 1), s) for s in UNITS["initial"]))
    return Hbv20()(forcing | places(UNITS["ac"], UNITS["elev"]), parameters, state=start)


class TestPublishedProgram:
    """In float32, with floors of 1e-5 mm that make water."""

    @pytest.mark.parametrize("theirs", NAMES)
    def test_fluxes(self, theirs: str) -> None:
        expected = torch.tensor(UNITS["outputs_by_unit"][theirs]).T
        found = run_units().fluxes[NAMES[theirs]].squeeze(-1)
        torch.testing.assert_close(found, expected, atol=UNITS["atol"], rtol=5e-7)

    def test_routed_flow(self) -> None:
        flow = run_units().fluxes["streamflow"].squeeze(-1)
        route = {"route_a": torch.full((4,), 1.5), "route_b": torch.full((4,), 1.0)}
        routed, _ = UnitHydrograph(length=12)(flow, route)
        expected = torch.tensor(UNITS["outputs_by_unit"]["streamflow"]).T
        torch.testing.assert_close(routed, expected, atol=UNITS["atol"], rtol=5e-7)

    def test_snowpack_of_every_day(self) -> None:
        expected = torch.tensor(UNITS["outputs_by_unit"]["SWE"]).T
        found = torch.stack([run_units(day + 1).state.SNOWPACK for day in range(12)]).squeeze(-1)
        torch.testing.assert_close(found, expected, atol=UNITS["atol"], rtol=5e-7)

    def test_end_to_end(self) -> None:
        """Dynamic scores in time, static ones of the first day, two components."""
        case = CASES["e2e_Hbv_2"]
        t, b, k = torch.meshgrid(torch.arange(24), torch.arange(2), torch.arange(28), indexing="ij")
        table = torch.sin(1.3 * (k + 1) + 0.5 * b + 0.05 * t)
        static = table[:1].expand(24, -1, -1)
        phy, routing = Hbv20(), UnitHydrograph(15)
        f12 = {n: f.repeat(2, 1) for n, f in forcing_f12().items()}
        f12["precipitation"] = 3 * f12["precipitation"]
        factor = {"precipitation": 0.5, "temperature": 1.0, "pet": 1.2}
        model = DeltaModel(
            Prescribed(torch.cat([table[..., :6], static], -1), list(range(6))),
            phy, routing, normalizer=normalizer(),
            parameters=parameter_map(phy, routing, Hbv20.RECOMMENDED_DYNAMIC, 2),
        )  # fmt: skip
        batch = Batch(
            forcing={n: torch.cat([f, factor[n] * f], dim=1) for n, f in f12.items()},
            constants=places([100.0, 1400.0], [500.0, 2500.0]),
            attributes=torch.zeros(2, 0), time=torch.zeros(2, dtype=torch.int64),
        )  # fmt: skip
        flow = model(batch).fluxes["streamflow"].T
        torch.testing.assert_close(flow, torch.tensor(case["streamflow"]), rtol=2e-5, atol=1e-5)


def test_without_exchange_on_low_land_equals_hbv_1_1p() -> None:
    forcing, parameters = weather(365, 3), random_parameters(Hbv20(), 3, 4)
    parameters["RT"] = torch.zeros(3, 4)
    low = places([10.0, 1000.0, 5000.0], [0.0, 500.0, 1999.0])
    found = Hbv20()(forcing | low, parameters)
    expected = Hbv11p()(forcing, {n: parameters[n] for n in Hbv11p.PARAMETERS})
    assert all(torch.equal(found.fluxes[n], f) for n, f in expected.fluxes.items())
    assert all(map(torch.equal, found.state, expected.state))
    assert (found.fluxes["regional_flow"] == 0).all()


def test_headwaters_lose_and_larger_units_gain() -> None:
    area = torch.tensor([0.0, 300.0, 1300.0, 2400.0, 2500.0, 2550.0, 3000.0, 1e6])
    decayed = torch.tensor([-1.0, -10.0]).exp()
    expected = torch.tensor([-1.0, -0.2, 0.8, 1.0, 1.0, decayed[0], decayed[1], decayed[1]])
    found = gain(area, torch.tensor([1300.0, *[500.0] * 7]))
    torch.testing.assert_close(found, expected, rtol=1e-15, atol=0)


def test_no_exchange_at_the_neutral_area() -> None:
    assert gain(torch.tensor(700.0), torch.tensor(700.0)).item() == 0


def test_high_land_has_its_own_threshold() -> None:
    elevation = torch.tensor([1999.9, 2000.0])
    assert threshold(torch.tensor(-1.0), elevation).tolist() == [-1.0, 4.0]


def test_a_losing_unit_loses_no_more_than_it_holds() -> None:
    """The lower zone dries out, and the flux reports what was really lost."""
    forcing = {n: torch.zeros(30, 1) for n in ("precipitation", "temperature", "pet")}
    values = {n: p.lower for n, p in Hbv20.PARAMETERS.items()} | {"RT": 20.0, "AC": 2500.0}
    parameters = {n: torch.full((1, 1), v) for n, v in values.items()}
    start = Hbv20.State(*(torch.full((1, 1), s) for s in (0.0, 0.0, 20.0, 0.0, 50.0)))
    out = Hbv20()(forcing | places([1.0], [0.0]), parameters, state=start)
    assert out.fluxes["regional_flow"][0].item() == -20
    assert out.state.SLZ.item() == 0
    lost = 50 - out.fluxes["streamflow"].sum()
    torch.testing.assert_close(-out.fluxes["regional_flow"].sum(), lost, rtol=0, atol=1e-12)
