"""PRMS against independent numbers and closed forms."""

import pytest
import torch
from torch import Tensor

from dmg.phy import Trajectory
from dmg.phy.prms import PARAMETERS, Prms, State
from dmg.phy.prms_implicit import PrmsImplicit
from dmg.routing import UnitHydrograph
from dmg.testing import random_parameters, weather
from tests.golden import CASES, forcing_f12

NAMES = {
    "flow_sim_no_rout": "streamflow",
    "srflow_no_rout": "surface_flow",
    "ssflow_no_rout": "interflow",
    "gwflow_no_rout": "baseflow",
    "AET_hydro": "aet",
    "sink": "sink",
    "flux_inf": "infiltration",
    "flux_pc": "percolation",
    "flux_sep": "seepage",
    "flux_gad": "drainage",
    "flux_ea": "soil_evaporation",
}
FLOORS = 3e-4
"""Water that the published program makes by keeping stores above 1e-5 mm [mm]."""
MODELS = [Prms, PrmsImplicit]


def golden_parameters() -> dict[str, Tensor]:
    given = CASES["prms_mhpi"]["params"]
    return {name: torch.full((1, 1), float(given[name.lower()])) for name in PARAMETERS}


def start_from(*storages: float) -> State:
    return State(*(torch.full((1, 1), float(s)) for s in storages))


def dry_run(model: type, start: State, num_steps: int = 30, **changes: float) -> Trajectory:
    """No rain, no evapotranspiration."""
    zeros = torch.zeros(num_steps, 1)
    forcing = {"precipitation": zeros, "temperature": zeros - 10, "pet": zeros}
    changed = {n: torch.full((1, 1), v) for n, v in changes.items()}
    run: Trajectory = model()(forcing, golden_parameters() | changed, state=start)
    return run


class TestIndependentNumbers:
    @pytest.fixture
    def found(self) -> Trajectory:
        start = start_from(*CASES["prms_mhpi"]["initial"])
        return Prms()(forcing_f12(), golden_parameters(), state=start)

    def test_fluxes(self, found: Trajectory) -> None:
        for theirs, ours in NAMES.items():
            expected = torch.tensor(CASES["prms_mhpi"]["outputs"][theirs])
            torch.testing.assert_close(found.fluxes[ours][:, 0, 0], expected, rtol=0, atol=FLOORS)

    def test_last_state(self, found: Trajectory) -> None:
        expected = torch.tensor(CASES["prms_mhpi"]["final_state"])
        last = torch.cat(found.state).squeeze(-1)
        torch.testing.assert_close(last, expected, rtol=0, atol=FLOORS)

    def test_routed_flow(self, found: Trajectory) -> None:
        route = {"route_a": torch.tensor([1.5]), "route_b": torch.tensor([1.0])}
        routed, _ = UnitHydrograph(length=12)(found.fluxes["streamflow"].squeeze(-1), route)
        expected = torch.tensor(CASES["prms_mhpi"]["outputs"]["flow_sim"]).unsqueeze(-1)
        torch.testing.assert_close(routed, expected, rtol=0, atol=FLOORS)


@pytest.mark.parametrize("model", MODELS)
class TestLimits:
    """Cases that both forms know the outcome of."""

    def run(self, model: type, **changes: float) -> Trajectory:
        parameters = random_parameters(model(), 3, 4)
        changed = {n: torch.full((3, 4), v) for n, v in changes.items()}
        run: Trajectory = model()(weather(100, 3), parameters | changed)
        return run

    def test_all_impervious(self, model: type) -> None:
        start = start_from(0, 0, 1, 0, 0, 0, 0)
        out = model()(forcing_f12(), golden_parameters() | {"BETA": torch.zeros(1, 1)}, state=start)
        assert torch.equal(out.fluxes["streamflow"], out.fluxes["surface_flow"])
        assert out.fluxes["streamflow"].max() > 30
        assert all(out.fluxes[n].max() == 0 for n in ("infiltration", "excess", "drainage"))

    def test_no_area_contributes(self, model: type) -> None:
        out = self.run(model, SCX=0.0, BETA=1.0)
        assert out.fluxes["surface_flow"].max() == 0

    def test_all_excess_seeps(self, model: type) -> None:
        out = self.run(model, CGW=20.0)
        below = out.fluxes["excess"] <= 20
        assert torch.equal(out.fluxes["seepage"][below], out.fluxes["excess"][below])

    def test_nothing_leaves_below_the_gauge(self, model: type) -> None:
        assert self.run(model, K6=0.0).fluxes["sink"].max() == 0

    def test_more_contributing_area_gives_more_surface_flow(self, model: type) -> None:
        some, more = (self.run(model, SCX=s).fluxes["surface_flow"].sum(0) for s in (0.3, 0.6))
        assert (more > some).all()

    def test_evapotranspiration_is_at_most_potential_and_grows_with_it(self, model: type) -> None:
        forcing, parameters = weather(200, 3), random_parameters(model(), 3, 4)
        found = [
            model()(forcing | {"pet": f * forcing["pet"]}, parameters).fluxes["aet"]
            for f in (0.5, 1.0)
        ]
        assert (found[1] <= forcing["pet"].unsqueeze(-1) + 1e-12).all()
        assert (found[0].sum(0) <= found[1].sum(0)).all()

    def test_linear_reservoirs_have_their_closed_form(self, model: type) -> None:
        start = start_from(0, 0, 0, 0, 0, 40, 30)
        out = dry_run(model, start, K1=0.0, K3=0.1, K4=0.0, K5=0.2, K6=0.0)
        fractions = (0.9, 0.8) if model is Prms else (1 / 1.1, 1 / 1.2)
        for store, first, fraction in zip(out.state[5:], (40, 30), fractions, strict=True):
            torch.testing.assert_close(store, torch.full((1, 1), first * fraction**30))

    def test_water_balance_closes_while_soils_shrink_and_swell(self, model: type) -> None:
        """What a recharge zone or lower zone cannot hold any more goes on down."""
        forcing, parameters = weather(200, 3), random_parameters(model(), 3, 4)
        sizes = {n: PARAMETERS[n] for n in ("STOT", "FLZ", "STOR", "RETIP")}
        g = torch.Generator().manual_seed(3)
        for name, p in sizes.items():
            random = torch.rand(200, 3, 4, generator=g)
            parameters[name] = p.lower + (p.upper - p.lower) * random
        out = model()(forcing, parameters)
        fluxes = {n: f.sum(0) for n, f in out.fluxes.items()}
        water = forcing["precipitation"].sum(0).unsqueeze(-1) - fluxes["streamflow"]
        water = water - fluxes["aet"] - fluxes["sink"] + 7 * model.INITIAL_STORAGE
        torch.testing.assert_close(sum(out.state), water, rtol=0, atol=1e-9)
        assert all(x.min() >= -1e-12 for x in (*out.state, *out.fluxes.values()))


def test_snow_melts_at_once_or_by_half() -> None:
    """Where warmth is plenty: the explicit form melts what is there, the implicit one halves it."""
    warm = {"precipitation": torch.zeros(1, 1), "temperature": torch.full((1, 1), 20.0)}
    for model, left in zip(MODELS, (0.0, 4.0), strict=True):
        start = start_from(8, 0, 0, 0, 0, 0, 0)
        forcing = warm | {"pet": torch.zeros(1, 1)}
        assert model()(forcing, golden_parameters(), state=start).state.SNOW.item() == left


def test_empty_reservoir_has_a_slope_by_its_exponent() -> None:
    parameters = {n: p.requires_grad_() for n, p in golden_parameters().items()}
    out = Prms()(forcing_f12(), parameters, state=start_from(0, 0, 0, 0, 0, 0, 0))
    out.fluxes["drainage"].sum().backward()
    assert parameters["K2"].grad is not None
    assert parameters["K2"].grad.isfinite().all()
