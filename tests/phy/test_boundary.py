"""What a process model refuses, before any step runs, and what it says then."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from dmg.phy import ProcessModel, Trajectory
from dmg.phy.boundary import check_values
from dmg.phy.hbv_1_0 import Hbv10
from dmg.phy.hbv_2_0 import Hbv20
from dmg.testing import random_parameters, weather

PLACE = {"area": [100.0, 200.0, 300.0], "elevation": [10.0, 20.0, 30.0]}


def run(
    model: ProcessModel | None = None,
    forcing: dict[str, Tensor] | None = None,
    parameters: dict[str, Tensor] | None = None,
    **options: object,
) -> Trajectory:
    """Five days of three basins with two components, some of it replaced."""
    model = model or Hbv20()
    place = {name: torch.tensor(values) for name, values in PLACE.items()}
    given = weather(5, 3) | place | (forcing or {})
    return model(given, random_parameters(model, 3, 2) | (parameters or {}), **options)


def changed(values: Tensor, place: tuple[int, ...], value: float) -> Tensor:
    values = values.clone()
    values[place] = value
    return values


class TestForcing:
    def test_nan_is_named_with_its_first_step_and_basin(self) -> None:
        pet = changed(weather(5, 3)["pet"], (3, 1), torch.nan)
        with pytest.raises(ValueError, match=r"pet must be known .* NaN at step 3 of basin 1"):
            run(forcing={"pet": pet})

    def test_nan_of_a_constant(self) -> None:
        with pytest.raises(ValueError, match=r"elevation must be known .* NaN at basin 2; fill"):
            run(forcing={"elevation": torch.tensor([10.0, 20.0, torch.nan])})

    def test_kelvin(self) -> None:
        kelvin = weather(5, 3)["temperature"] + 273.15
        with pytest.raises(ValueError, match=r"temperature must be within -90..60, found 2\d\d"):
            run(forcing={"temperature": kelvin})

    @pytest.mark.parametrize("value", [-1.0, torch.inf])
    def test_impossible_rain(self, value: float) -> None:
        rain = changed(weather(5, 3)["precipitation"], (2, 0), value)
        with pytest.raises(ValueError, match=rf"within 0..20000, found {value:g} at step 2 of bas"):
            run(forcing={"precipitation": rain})

    def test_a_forcing_of_unknown_range_is_a_number(self) -> None:
        check_values({"radon": torch.tensor([[1e30]])}, {}, {})
        with pytest.raises(ValueError, match=r"radon must be within -inf..inf, found inf at"):
            check_values({"radon": torch.tensor([[torch.inf]])}, {}, {})


class TestParameters:
    def test_outside_bounds_are_named_with_what_was_found(self) -> None:
        parameters = {
            "BETA": torch.tensor([[2.0, 7.5]] * 3),
            "K2": torch.tensor([[-0.1, 0.1]] * 3).expand(5, -1, -1),
        }
        text = r"bounds: BETA 1..6, found 2..7.5; K2 0.001..0.2, found -0.1..0.1$"
        with pytest.raises(ValueError, match=text):
            run(parameters=parameters)

    def test_nan(self) -> None:
        with pytest.raises(ValueError, match=r"FC 50..1000, found nan..nan$"):
            run(parameters={"FC": torch.full((3, 2), torch.nan)})

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_bounds_are_within_whatever_the_rounding(self, dtype: torch.dtype) -> None:
        table = Hbv20.PARAMETERS
        for score in (-200.0, 200.0):
            at_bound = {
                n: p.value(torch.full((3, 2), score, dtype=dtype)) for n, p in table.items()
            }
            check_values({}, at_bound, table)


def test_whoever_knows_better_is_not_checked() -> None:
    parameters = {"BETA": torch.full((3, 2), 7.5)}
    assert run(parameters=parameters, check=False).fluxes["streamflow"].isfinite().all()


def test_without_values_nothing_is_checked() -> None:
    """Under transforms of functions a tensor has no values to read."""
    forcing, parameters = weather(5, 3), random_parameters(Hbv10(), 3, 2)

    def flow(beta: Tensor) -> Tensor:
        out = Hbv10()(forcing, parameters | {"BETA": beta}, backend="eager")
        return out.fluxes["streamflow"].sum()

    assert torch.func.grad(flow)(parameters["BETA"]).isfinite().all()


class Other(NamedTuple):
    """State of some other model."""

    S1: Tensor
    S2: Tensor


class TestState:
    @pytest.mark.parametrize("check", [True, False])
    def test_of_another_model(self, check: bool) -> None:
        other = Other(torch.zeros(3, 2), torch.zeros(3, 2))
        text = (
            r"hold \['SNOWPACK', .*\], found \('S1', 'S2'\); start from the state that this model"
        )
        with pytest.raises(ValueError, match=text):
            run(state=other, check=check)

    def test_without_names(self) -> None:
        with pytest.raises(ValueError, match=r"the state must hold .* found tuple; start from"):
            run(state=tuple(torch.zeros(3, 2) for _ in Hbv20.State._fields))

    @pytest.mark.parametrize("size", [(3, 4), (2, 2), (3,)])
    def test_of_other_basins_or_components(self, size: tuple[int, ...]) -> None:
        state = Hbv20.State(*(torch.zeros(3, 2) for _ in range(4)), torch.zeros(size))
        with pytest.raises(ValueError, match=r"\[B, E\] = \(3, 2\) .* found {'SLZ': \("):
            run(state=state)

    def test_of_a_model_with_the_same_stores_may_start_another(self) -> None:
        forcing, parameters = weather(5, 3), random_parameters(Hbv10(), 3, 2)
        assert run(state=Hbv10()(forcing, parameters).state).state._fields == Hbv20.State._fields
