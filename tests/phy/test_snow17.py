"""Snow-17 against the Fortran program, closed forms and the Weather Service's test case."""

from math import exp
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

from dmg.phy import Trajectory
from dmg.phy.snow17 import Snow17, State, areal_cover, melt_factor, routed
from tests.golden import CASES
from tests.phy import nws

GOLDEN = CASES["snow17_SI100"]["params"]
CURVE = {f"ADC{i + 1}": value for i, value in enumerate(GOLDEN["ADC"][:10])}
SWE_TOLERANCE, RAIM_TOLERANCE = 5e-3, 1e-3
VALUES = {n: float(v) for n, v in GOLDEN.items() if n in Snow17.PARAMETERS} | CURVE


def one(value: float) -> Tensor:
    return torch.full((1, 1), float(value))


def parameters(**changes: float) -> dict[str, Tensor]:
    return {n: one(v) for n, v in (VALUES | changes).items()}


def forcing(precipitation: list[float], temperature: list[float], first: int) -> dict[str, Tensor]:
    days = torch.arange(first, first + len(temperature)).to(torch.float64)
    return {
        "precipitation": torch.tensor(precipitation).unsqueeze(1),
        "temperature": torch.tensor(temperature).unsqueeze(1),
        "elevation": torch.tensor([1500.0]),
        "latitude": torch.tensor([40.0]),
        "day_of_year": days.unsqueeze(1),
    }


def run(days: dict[str, Tensor], p: dict[str, Tensor], state: State | None = None) -> Trajectory:
    return Snow17()(days, p, state=state, backend="eager")


@pytest.mark.parametrize("name", ["snow17_SI100", "snow17_SI20"])
def test_water_and_states_agree_with_the_fortran_program(name: str) -> None:
    case, model = CASES[name], Snow17()
    expected, p = case["outputs"], parameters(SI=case["params"]["SI"])
    days = forcing(expected["P"], expected["TA"], 60)
    state = None
    for day in range(16):
        today = {n: f[day : day + 1] if f.ndim == 2 else f for n, f in days.items()}
        out = model(today, p, state=state, backend="eager")
        state = out.state
        found = dict(zip(State._fields, (s.item() for s in state), strict=True))
        found |= {"RM": out.fluxes["rain_plus_melt"].item(), "SWE": model.storage(state, p).item()}
        for n in expected.keys() & found.keys():
            assert found[n] == pytest.approx(expected[n][day], rel=0, abs=case["atol"]), (n, day)


def fortran_day(date: pd.Timestamp) -> float:
    """Day of the year that the Fortran counts: without 29 February, but before 20 March.

    Its 20 March of a leap year is the day before 21 March, not the last of the year before it.
    """
    if date.is_leap_year and date.month == 3 and date.day <= 20:
        return min(date.day_of_year, 80 - 1e-9)
    return date.replace(year=2001).day_of_year if (date.month, date.day) != (2, 29) else 60


@pytest.mark.real
@pytest.mark.slow
def test_weather_service_case(real_data_root: Path) -> None:
    """45 years; the reference is float32 and prints three decimals."""
    case, model = nws.Case(real_data_root), Snow17()
    values = case.parameters("snow17_params.HHWM8.txt")
    table = case.table("forcing.snow17bmi.HHWM8IL.csv", sep=",")
    dates = pd.to_datetime({"year": table["year"], "month": table["mo"], "day": table["dy"]})
    given = {
        "precipitation": 86400 * nws.series(table["prec_mm_s-1"]),
        "temperature": nws.series(table["tavg_degc"]),
        "elevation": torch.tensor([values["elev"]]),
        "latitude": torch.tensor([values["latitude"]]),
        "day_of_year": nws.series(dates.map(fortran_day)),
    }
    known = {n: values[n.lower()] for n in model.PARAMETERS if n.lower() in values}
    found = nws.run(model, given, known | {"SNOF": 0.0})
    output = case.table("output.snow17bmi.HHWM8IL.txt")
    assert len(output) == 16801
    equivalent = model.storage(State(*(found[n] for n in State._fields)), {})
    assert (equivalent - nws.series(output["sneqv"])[:, 0]).abs().max() < SWE_TOLERANCE
    released = nws.series(output["raim"])[:, 0]
    assert (found["rain_plus_melt"] - released).abs().max() < RAIM_TOLERANCE


def test_a_cold_pack_only_grows() -> None:
    rain = [5.0, 0.0, 12.0, 3.0]
    out = run(forcing(rain, [-8.0, -1.0, -20.0, -3.0], 20), parameters())
    assert out.fluxes["rain_plus_melt"].abs().max() == 0
    assert out.state.WE.item() == pytest.approx(1.1 * sum(rain), rel=1e-12)
    assert out.fluxes["correction"].sum().item() == pytest.approx(0.1 * sum(rain), rel=1e-12)


def ripe(depth: float, **changes: float) -> State:
    """Pack at 0 degC that holds all the water it can, on a complete cover."""
    stores = dict.fromkeys(State._fields, 0.0) | {
        "WE": depth, "LIQW": 0.05 * depth, "ACCMAX": 1.05 * depth,
    }  # fmt: skip
    return State(*(one(v) for v in (stores | changes).values()))


def test_a_ripe_pack_melts_by_the_melt_factor() -> None:
    days, p = forcing([0.0], [6.0], 100), parameters(MBASE=0.5, SI=500)
    out = run(days, p, state=ripe(600.0))
    factor = melt_factor({n: f.view(1, 1) for n, f in days.items()}, p).item()
    assert out.fluxes["snowmelt"].item() == pytest.approx(4 * factor * 5.5, rel=1e-12)


@pytest.mark.parametrize(("latitude", "day", "expected"),
                         [(40, 172, 1.05), (40, 355, 0.6), (-40, 355, 1.05), (-40, 172, 0.6),
                          (65, 172, 1.05), (65, 355, 0.6), (65, 50, 0.6)])  # fmt: skip
def test_melt_factor_follows_the_seasons_of_its_latitude(
    latitude: float, day: float, expected: float
) -> None:
    place = {"latitude": one(latitude), "day_of_year": one(day)}
    assert melt_factor(place, parameters()).item() == pytest.approx(expected, abs=2e-3)


def test_cover_follows_the_depletion_curve() -> None:
    state = ripe(40.0, LIQW=0.0, ACCMAX=90.0, SB=90.0, SBWS=90.0)
    cover, after = areal_cover(state, parameters(SI=100))
    x = 10 * 40 / 90
    assert cover.item() == pytest.approx(0.5 + (x - 4) * 0.06, rel=1e-12)
    assert (after.SB.item(), after.SBWS.item()) == (40.0, 40.0)


def test_new_snow_covers_all_until_a_quarter_has_melted() -> None:
    p = parameters(SI=100, SCF=1.0)
    old = ripe(40.0, LIQW=0.0, ACCMAX=90.0, SB=40.0, SBWS=40.0, SBAESC=0.53)
    fresh = run(forcing([12.0], [-5.0], 60), p, state=old)
    assert fresh.fluxes["cover"].item() == 1.0
    assert fresh.state.SBWS.item() == 49.0
    partly, _ = areal_cover(fresh.state._replace(WE=one(44.5)), p)
    assert partly.item() == pytest.approx(0.53 + 0.47 / 2, rel=1e-12)


def test_light_snow_stays_on_the_curve() -> None:
    old = ripe(40.0, LIQW=0.0, ACCMAX=90.0, SB=45.0, SBWS=41.0, SBAESC=0.53)
    light = run(forcing([2.0], [-5.0], 60), parameters(SI=100, SNOF=4.8), state=old)
    assert light.fluxes["cover"].item() < 0.6


def test_heat_deficit_and_cover_stay_within_their_limits() -> None:
    g = torch.Generator().manual_seed(0)
    rain = (30 * torch.rand(200, generator=g) - 10).clamp(min=0)
    cold = 25 * torch.rand(200, generator=g) - 20
    days = forcing(rain.tolist(), cold.tolist(), 1)
    state = None
    for day in range(200):
        today = {n: f[day : day + 1] if f.ndim == 2 else f for n, f in days.items()}
        out = run(today, parameters(NMF=0.5), state=state)
        state = out.state
        assert 0 <= state.NEGHS.item() <= 0.33 * state.WE.item() + 1e-12
        cover = out.fluxes["cover"].item()
        assert cover == 0 or 0.05 <= cover <= 1


def test_attenuation_equals_its_hourly_sum() -> None:
    WE, AESC, stored, arriving = 80.0, 0.7, 6.0, 4.0
    outflow, kept, lagged = routed(one(0), one(WE), one(AESC), one(stored), one(arriving))
    hourly, total = arriving / 24, 0.0
    ratio = (hourly / (25.4 * AESC)) / (WE / (25.4 * AESC)) ** 1.3
    share = 1 / (1 + 5 * exp(-500 * ratio))
    for _ in range(24):
        leaving = (stored + hourly) * share
        stored, total = stored + hourly - leaving, total + leaving
    assert outflow.item() == pytest.approx(total, rel=1e-12)
    assert kept.item() == pytest.approx(stored, rel=1e-12)
    assert lagged.item() == 0


def test_lag_holds_back_what_its_parts_do() -> None:
    excess, WE = 20.0, 50.0
    n = int((4 * excess) ** 0.3 + 0.5)
    hours = [5.33 * (1 - exp(-0.12 * WE * n / (excess * (i - 0.5)))) for i in range(1, n + 1)]
    _, _, lagged = routed(one(excess), one(WE), one(1), one(0), one(0))
    assert n == 4
    assert lagged.item() == pytest.approx(excess / n * sum(hours) / 24, rel=1e-12)
