"""SAC-SMA against the Fortran program, closed forms and the Weather Service's test case."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from dmg.phy import Trajectory
from dmg.phy.sac_sma import MAX_INCREMENTS, SacSmaSoil
from dmg.scan import scan
from tests.golden import CASES, forcing_f12
from tests.phy import nws

NAMES = {
    "TCI": "streamflow", "ROIMP": "impervious_runoff", "SDRO": "direct_runoff",
    "SSUR": "surface_flow", "SIF": "interflow", "BFS": "supplemental_baseflow",
    "BFP": "primary_baseflow", "TET": "aet", "BFNCC": "deep_recharge",
}  # fmt: skip
DEFAULTS = CASES["sacsma_full_1"]["params"]


def run(
    forcing: dict[str, Tensor], initial: list[float], values: dict[str, float] | None = None
) -> Trajectory:
    model = SacSmaSoil()
    p = {n: torch.full((1, 1), float(v)) for n, v in (DEFAULTS | (values or {})).items()}
    state = model.State(*(torch.full((1, 1), float(s)) for s in initial))
    return Trajectory(*scan(model.step, state, forcing, p))  # also beyond the bounds


def steady(num_steps: int, precipitation: float, pet: float) -> dict[str, Tensor]:
    ones = torch.ones(num_steps, 1)
    return {"precipitation": precipitation * ones, "pet": pet * ones}


@pytest.mark.parametrize("name", ["sacsma_full_1", "sacsma_full_2"])
def test_fluxes_and_states_agree_with_the_fortran_program(name: str) -> None:
    case, forcing = CASES[name], forcing_f12()
    model, state = SacSmaSoil(), case["initial"]
    for day in range(12):
        out = run({n: f[day : day + 1] for n, f in forcing.items()}, state, case["params"])
        state = [store.item() for store in out.state]
        found = {n: out.fluxes[ours].item() for n, ours in NAMES.items()}
        found |= dict(zip(model.State._fields, state, strict=True))
        for n, expected in case["outputs"].items():
            if n in found:
                assert found[n] == pytest.approx(expected[day], rel=0, abs=case["atol"]), (n, day)


@pytest.mark.real
@pytest.mark.slow
def test_weather_service_case(real_data_root: Path) -> None:
    """45 years, state by state, to the digits that are printed."""
    case = nws.Case(real_data_root)
    model, values = SacSmaSoil(), case.parameters("sac_params.HHWM8.txt")
    rates = case.table("forcing.sacbmi.rates.HHWM8IL.csv", sep=",")
    forcing = {
        "precipitation": 86400 * nws.series(rates["prcp_rate"]),
        "pet": 86400 * nws.series(rates["pet_rate"]),
    }
    found = nws.run(model, forcing, {n: values[n.lower()] for n in model.PARAMETERS})
    expected = case.table("sac_states.HHWM8IL.txt")
    assert len(expected) == 16801
    for name in model.State._fields:
        assert (found[name] - nws.series(expected[name.lower()])[:, 0]).abs().max() < 1e-11, name
    output = case.table("output.sacbmi.HHWM8IL.txt")
    for theirs, ours in NAMES.items():
        column = output["eta" if theirs == "TET" else theirs.lower()]
        assert (found[ours] - nws.series(column)[:, 0]).abs().max() < 1e-9, theirs


def test_impervious_area_passes_all_rain() -> None:
    out = run(steady(5, 7.0, 2.0), [0.0] * 6, {"PCTIM": 1.0, "ADIMP": 0.0})
    torch.testing.assert_close(out.fluxes["streamflow"], torch.full((5, 1, 1), 7.0))


def test_primary_water_recedes_by_its_closed_form() -> None:
    full = [0.0, 0.0, 130.0, 0.0, 40.0, 0.0]
    out = run(steady(60, 0.0, 0.0), full, {"ADIMP": 0.0})
    assert out.state.LZFPC.item() == pytest.approx(40 * 0.99**60, rel=1e-12)


@pytest.mark.parametrize("rain", [0.0, 23.0, 240.0])
def test_drainage_does_not_depend_on_the_number_of_increments(rain: float) -> None:
    """Linear stores lose the same part of a day however it is cut; a full zone takes no water."""
    stores = [50.0, 40.0, 130.0, 25.0, 60.0, 180.0]
    out = run(steady(1, rain, 0.0), stores, {"UZK": 0.0, "PFREE": 0.0, "LZSK": 0.0, "ADIMP": 0.0})
    found, pervious = out.fluxes["primary_baseflow"].item(), 0.99
    # what leaves is filled up by percolation at once, so that the day's loss is at least linear
    assert found >= pervious * 60 * 0.01 * (1 - 1e-9)
    empty = run(steady(1, rain, 0.0), [0.0, 0.0, 130.0, 25.0, 60.0, 0.0], {"ADIMP": 0.0})
    if rain < 50:  # all goes to upper tension water
        assert empty.state.LZFPC.item() == pytest.approx(60 * 0.99, rel=1e-12)
        assert empty.state.LZFSC.item() == pytest.approx(25 * 0.95, rel=1e-12)


def test_full_stores_pass_the_rain() -> None:
    full = [50.0, 40.0, 130.0, 25.0, 60.0, 180.0]
    out = run(steady(1, 30.0, 0.0), full)
    assert [out.state.UZTWC.item(), out.state.LZTWC.item()] == [50.0, 130.0]
    assert out.state.ADIMC.item() == pytest.approx(180.0)
    released = 30 - out.fluxes["streamflow"].item()
    change = SacSmaSoil().storage(out.state, {n: torch.full((1, 1), float(DEFAULTS[n]))
                                              for n in ("PCTIM", "ADIMP")})  # fmt: skip
    assert released == pytest.approx(change.item() - 0.94 * 305 - 0.05 * 180, abs=1e-9)


def test_a_thirsty_air_empties_tension_water() -> None:
    out = run(steady(3, 0.0, 1e4), [30.0, 10.0, 80.0, 0.0, 0.0, 110.0], {"RSERV": 0.0})
    assert max(store.item() for store in out.state) < 1e-9


def test_interflow_grows_with_its_depletion() -> None:
    flow = [
        run(steady(1, 20.0, 0.0), [50.0, 30.0, 80.0, 10.0, 40.0, 110.0], {"UZK": k})
        .fluxes["interflow"]
        .item()
        for k in (0.15, 0.3, 0.5, 0.75)
    ]
    assert flow == sorted(flow)
    assert flow[0] < flow[-1]


@pytest.mark.parametrize("lower", [[0.0, 0.0, 0.0], [130.0, 25.0, 60.0]], ids=["dry", "full"])
def test_shape_of_percolation_is_irrelevant_at_its_ends(lower: list[float]) -> None:
    """At a deficit of 0 or 1; the pulse is below one increment, so that this holds all day."""
    frozen = {"LZSK": 0.0, "LZPK": 1e-9, "UZK": 0.0}

    def percolation(rexp: float) -> Tensor:
        stores = [50.0, 3.0, *lower, 100.0]
        return run(steady(1, 0.0, 0.0), stores, frozen | {"REXP": rexp}).fluxes["percolation"]

    torch.testing.assert_close(percolation(1.0), percolation(5.0), rtol=1e-6, atol=1e-12)


class TestVariableImperviousArea:
    VALUES = {"ADIMP": 0.3}  # noqa: RUF012
    # dry tension water below free water: it is refilled, and the variable area with it
    START = (1.0, 30.0, 80.0, 10.0, 40.0, 9.0)

    def test_is_raised_by_free_water_not_from_nothing(self) -> None:
        out = run(steady(1, 0.0, 3.0), [*self.START], self.VALUES)
        assert out.state.ADIMC.item() == pytest.approx(out.state.UZTWC.item(), rel=1e-12)
        p = {n: torch.full((1, 1), float(v)) for n, v in (DEFAULTS | self.VALUES).items()}
        model = SacSmaSoil()
        before = model.storage(tuple(torch.full((1, 1), s) for s in self.START), p)
        left = out.fluxes["streamflow"].sum() + out.fluxes["aet"].sum()
        assert (before - model.storage(out.state, p) - left).abs().item() < 1e-12

    def test_takes_no_more_than_there_is(self) -> None:
        out = run(steady(1, 0.0, 0.0), [40.0, 0.0, 80.0, 0.0, 0.0, 1.0], self.VALUES)
        assert out.state.ADIMC.item() == 1.0
        assert out.state.UZFWC.item() == 0.0


def test_a_day_has_a_largest_number_of_increments() -> None:
    out = run(steady(1, 5.0 * MAX_INCREMENTS + 500, 0.0), [50.0, 40.0, 130.0, 25.0, 60.0, 180.0])
    assert out.fluxes["streamflow"].item() > 5 * MAX_INCREMENTS
    assert out.state.ADIMC.isfinite().all()
