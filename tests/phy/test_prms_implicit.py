"""Implicit PRMS against independent numbers, and against the explicit form."""

import pytest
import torch
from torch import Tensor

from dmg.phy import ProcessModel
from dmg.phy.prms import PARAMETERS, Prms
from dmg.phy.prms_implicit import PrmsImplicit
from dmg.testing import random_parameters, weather
from tests.golden import CASES, forcing_f12
from tests.phy.test_prms import golden_parameters, start_from

CASE = CASES["prms_implicit"]


def test_stores_and_flow_of_every_day() -> None:
    forcing, state = forcing_f12(), start_from(*CASE["initial"])
    for day in range(12):
        today = {n: f[day : day + 1] for n, f in forcing.items()}
        fluxes, state = PrmsImplicit()(today, golden_parameters(), state=state)
        found = [*state, fluxes["streamflow"]]
        for name, value in zip((*(f"S{i}" for i in range(1, 8)), "Q"), found, strict=True):
            expected = CASE["outputs"][name][day]
            assert value.item() == pytest.approx(expected, rel=0, abs=CASE["atol"]), (name, day)


def test_stores_do_not_exceed_what_they_hold_by_much() -> None:
    """Beyond 95 % ever less stays; heavy rain into small stores leaves a few per cent too much."""
    parameters = random_parameters(PrmsImplicit(), 1, 50)
    forcing = weather(200, 1)
    forcing["precipitation"] = 5 * forcing["precipitation"]
    _, state = PrmsImplicit()(forcing, parameters)
    assert (1.1 * parameters["STOR"] + 0.02 >= state.XIN).all()
    assert (1.1 * parameters["RETIP"] + 0.02 >= state.RSTOR).all()
    assert (1.1 * parameters["STOT"] * parameters["FLZ"] + 0.02 >= state.SMAV).all()


RATES = ("DDF", "CGW", "K1", "K3", "K4", "K5", "K6")


def after_ten_days(model: ProcessModel, per_day: int) -> Tensor:
    """Stores after days cut into short steps: all rates are those of a step."""
    parameters = golden_parameters() | {"ALPHA": torch.zeros(1, 1), "BETA": torch.ones(1, 1)}
    parameters |= {n: parameters[n] / per_day for n in RATES}
    flat = torch.ones(10 * per_day, 1)
    forcing = {"precipitation": 2 * flat / per_day, "temperature": 15 * flat, "pet": flat / per_day}
    return torch.cat(model(forcing, parameters, state=start_from(0, 0, 0, 20, 30, 40, 50)).state)


def test_both_forms_approach_each_other_as_steps_shrink() -> None:
    """Where no threshold matters; of first order: half the step, half the difference."""

    def apart(per_day: int) -> float:
        stores = [after_ten_days(m, per_day) for m in (Prms(), PrmsImplicit())]
        return float((stores[0] - stores[1]).abs().max())

    assert apart(64) < 0.05
    assert apart(32) / apart(64) == pytest.approx(2, rel=0.05)


def test_both_forms_have_the_same_tables() -> None:
    assert PrmsImplicit.PARAMETERS is Prms.PARAMETERS is PARAMETERS
    assert PrmsImplicit.BALANCE == Prms.BALANCE
