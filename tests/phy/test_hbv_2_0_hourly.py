"""Hourly HBV 2.0 against independent numbers, daily HBV 2.0, and its own limit of small steps."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor

from dmg.phy import Trajectory
from dmg.phy.hbv_2_0 import Hbv20
from dmg.phy.hbv_2_0_hourly import HOUR, RATES, Hbv20Hourly, capacity, step
from dmg.scan import scan
from dmg.testing import random_parameters, weather
from tests.golden import CASES

CASE = CASES["hbv_2_hourly"]


def place(num_basins: int = 1) -> dict[str, Tensor]:
    return {"area": torch.full((num_basins,), 100.0), "elevation": torch.full((num_basins,), 500.0)}


def parameters_of(**changes: float) -> dict[str, Tensor]:
    known = {n: CASE["params"][f"par{n}"] for n in Hbv20Hourly.PARAMETERS} | changes
    return {n: torch.full((1, 1), v) for n, v in known.items()}


def start_of(*stores: float) -> tuple[Tensor, ...]:
    return Hbv20Hourly.State(*(torch.full((1, 1), s) for s in stores))


def run_published() -> Trajectory:
    """Six hours of 8 mm, a day's course of temperature, evapotranspiration after 6 o'clock."""
    hour = torch.arange(24.0).unsqueeze(-1)
    rain = torch.where((hour >= 6) & (hour <= 11), 8.0, 0.0)
    pet = (0.25 * torch.sin(torch.pi * (hour - 6) / 12)).clamp(min=0)
    forcing = {
        "precipitation": 24 * rain,  # mm in an hour to mm d-1
        "temperature": 2 + 6 * torch.sin(2 * torch.pi * (hour - 8) / 24),
        "pet": 24 * pet,
    }
    return Hbv20Hourly()(forcing | place(), parameters_of(), state=start_of(*CASE["initial"]))


def test_agrees_with_the_published_program() -> None:
    out = run_published()
    flow, expected = out.fluxes["streamflow"][:, 0, 0] / 24, torch.tensor(CASE["Qs_mm_per_h"])
    torch.testing.assert_close(flow, expected, rtol=5e-7, atol=CASE["atol"])
    final = torch.cat(out.state).squeeze(-1)
    torch.testing.assert_close(final, torch.tensor(CASE["final_state"]), rtol=5e-7, atol=5e-6)


def test_what_scales_with_the_length_of_the_step() -> None:
    assert RATES == ("K0", "K1", "K2", "PERC", "CFMAX", "C", "RT", "F0")


def test_in_steps_of_a_day_and_without_limit_to_infiltration_equals_hbv_2_0() -> None:
    forcing = weather(365, 3) | place(3)
    parameters = random_parameters(Hbv20Hourly(), 3, 4)
    parameters |= {"F0": torch.full((3, 4), 2880.0), "FMIN": torch.ones(3, 4)}
    state = Hbv20().initial_state(3, 4, torch.zeros(()))
    expected, last = Hbv20()(
        forcing, {n: parameters[n] for n in Hbv20.PARAMETERS}, state, backend="eager"
    )
    found, now = scan(partial(step, dt=1.0), state, forcing, parameters)
    assert all(torch.equal(found[n], flux) for n, flux in expected.items())
    assert all(map(torch.equal, now, last))
    assert (found["infiltration_excess"] == 0).all()


def constant(num_steps: int, precipitation: float, pet: float) -> dict[str, Tensor]:
    values = {"precipitation": precipitation, "temperature": 10.0, "pet": pet}
    return {n: torch.full((num_steps, 1), v) for n, v in values.items()} | place()


def test_recession_follows_its_closed_form() -> None:
    """Each hour takes K / 24 of what is left: close to exp(-K) in a day."""
    dry = parameters_of(PERC=0.0, RT=0.0, C=0.0, UZL=100.0)
    out = Hbv20Hourly()(constant(240, 0.0, 0.0), dry, state=start_of(0.0, 0.0, 50.0, 40.0, 30.0))
    for store, at_first, rate in ((out.state.SUZ, 40, 0.1), (out.state.SLZ, 30, 0.05)):
        assert store.item() == pytest.approx(at_first * (1 - rate / 24) ** 240, rel=1e-12)
        assert store.item() == pytest.approx(at_first * math.exp(-rate * 10), rel=3e-3)


def test_constant_weather_comes_to_the_same_balance_as_in_daily_steps() -> None:
    """Wet soil: what falls and what comes from elsewhere, less evapotranspiration, runs off."""
    parameters = parameters_of(AC=0.0, RT=10.0)
    hourly = Hbv20Hourly()(constant(24 * 600, 12.0, 3.0), parameters).fluxes
    own = {n: parameters[n] for n in Hbv20.PARAMETERS}
    daily = Hbv20()(constant(600, 12.0, 3.0), own).fluxes
    for fluxes in (hourly, daily):
        assert fluxes["streamflow"][-1].item() == pytest.approx(12 - 3 + 1, rel=1e-9)


def test_error_falls_with_the_length_of_the_step() -> None:
    """Operators in turn: of first order, so that half the step has half the error."""

    def flow(steps_a_day: int) -> Tensor:
        forcing = constant(10 * steps_a_day, 20.0, 3.0)
        small = partial(step, dt=1 / steps_a_day)
        fluxes, _ = scan(
            small, start_of(0.0, 0.0, 60.0, 5.0, 20.0), forcing, parameters_of(UZL=0.0)
        )
        return fluxes["streamflow"].sum() / steps_a_day

    flows = [flow(n) for n in (12, 24, 48, 96)]
    changes = torch.stack(flows).diff().abs()
    assert ((changes[:-1] / changes[1:]) > 1.8).all()
    assert ((changes[:-1] / changes[1:]) < 2.2).all()


def test_infiltration_capacity_falls_from_dry_to_wet() -> None:
    def at(moisture: float) -> float:
        return capacity(torch.tensor(moisture), parameters_of()).item()

    assert at(0.0) == 480
    assert at(50.0) == pytest.approx(480 * (0.2 + 0.8 * 0.25))
    assert at(100.0) == pytest.approx(480 * 0.2, rel=1e-3)


def test_what_cannot_enter_runs_off_at_once() -> None:
    """50 mm in an hour on soil that takes 5 mm in an hour."""
    values = parameters_of(F0=120.0, FMIN=1.0)
    out = Hbv20Hourly()(
        constant(1, 24 * 50.0, 0.0), values, state=start_of(0.0, 0.0, 50.0, 0.0, 0.0)
    )
    assert out.fluxes["infiltration_excess"].item() * HOUR == pytest.approx(45)
    assert out.fluxes["streamflow"].item() * HOUR >= 45
