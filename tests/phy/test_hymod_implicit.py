"""Implicit HYMOD against independent numbers, and against the discrete form."""

import pytest
import torch
from torch import Tensor

from dmg.phy import ProcessModel
from dmg.phy.hymod import Hymod, State
from dmg.phy.hymod_implicit import HymodImplicit
from tests.golden import CASES, forcing_f12

CASE = CASES["hymod_implicit"]


def ones(values: dict[str, float]) -> dict[str, Tensor]:
    return {name: torch.full((1, 1), float(value)) for name, value in values.items()}


def golden_parameters() -> dict[str, Tensor]:
    """Their shape b is B / (1 + B), their capacity of the soil Cmax / (1 + B)."""
    given = CASE["params"]
    B = given["b"] / (1 - given["b"])
    own = {"Cmax": given["Smax"] * (1 + B), "B": B, "alpha": given["a"]}
    return ones(own | {"Kq": given["kf"], "Ks": given["ks"]})


def start_from(*stores: float) -> State:
    return State(*(torch.full((1, 1), float(s)) for s in stores))


def test_stores_of_every_day_agree_with_an_independent_solution() -> None:
    forcing, state = forcing_f12(), start_from(*CASE["initial"])
    for day in range(12):
        today = {n: f[day : day + 1] for n, f in forcing.items()}
        _, state = HymodImplicit()(today, golden_parameters(), state=state)
        for name, store in zip(("S1", "S2", "S3", "S4", "S5"), state, strict=True):
            expected = CASE["outputs"][name][day]
            assert store.item() == pytest.approx(expected, rel=0, abs=CASE["atol"]), (name, day)


def after_a_day(model: ProcessModel, pieces: int) -> Tensor:
    """Stores after a day of 60 mm, cut into short steps: all rates are those of a step."""
    values = {"Cmax": 300.0, "B": 0.5, "alpha": 0.6, "Kq": 0.4, "Ks": 0.05}
    parameters = ones(values | {n: values[n] / pieces for n in ("Kq", "Ks")})
    flat = torch.full((pieces, 1), 1 / pieces)
    forcing = {"precipitation": 60 * flat, "pet": 5 * flat}
    state = start_from(100, 2, 1, 0.5, 20)
    return torch.cat(model(forcing, parameters, state=state, check=False).state)


def test_both_forms_approach_each_other_as_steps_shrink() -> None:
    """Of first order: half the step, half the difference."""

    def apart(pieces: int) -> float:
        stores = [after_a_day(model, pieces) for model in (Hymod(), HymodImplicit())]
        return float((stores[0] - stores[1]).abs().max())

    assert apart(128) < 0.05
    assert apart(64) / apart(128) == pytest.approx(2, rel=0.05)


@pytest.mark.parametrize("B", [0.0, 0.5, 2.0])
def test_no_more_than_the_soil_holds(B: float) -> None:
    parameters = ones({"Cmax": 300.0, "B": B, "alpha": 0.6, "Kq": 0.4, "Ks": 0.05})
    rain = {"precipitation": torch.full((100, 1), 100.0), "pet": torch.zeros(100, 1)}
    fluxes, state = HymodImplicit()(rain, parameters)
    capacity = 300 / (1 + B)
    assert 0.998 * capacity < state.S.item() < (1 + 1e-12) * capacity
    assert fluxes["excess"][-1].item() == pytest.approx(100, rel=1e-3)


def test_both_forms_have_the_same_parameters() -> None:
    def bounds(model: type[ProcessModel]) -> dict[str, tuple[float, float, str]]:
        return {n: (p.lower, p.upper, p.scale) for n, p in model.PARAMETERS.items()}

    assert bounds(HymodImplicit) == bounds(Hymod)
