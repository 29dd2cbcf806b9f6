"""Every registered model satisfies the contract; what does not is told so."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest
import torch
from torch import Tensor

from dmg.config.registry import process_models
from dmg.parameters import Parameter
from dmg.phy import MODELS, ProcessModel
from dmg.scan import scan
from dmg.testing import ProcessModelContract, corners, random_parameters, weather

OUTSIDE = Path(__file__).parent.parent / "outside"


class TestEveryModel(ProcessModelContract):
    @pytest.fixture(params=list(MODELS))
    def model(self, request: pytest.FixtureRequest) -> ProcessModel:
        return MODELS[request.param]()


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[ProcessModel]]:
    """Model of an installed package, found by its entry point."""
    monkeypatch.syspath_prepend(OUTSIDE)
    process_models.cache_clear()
    yield MODELS["bucket"]
    process_models.cache_clear()


class TestModelOfAnotherPackage(ProcessModelContract):
    @pytest.fixture
    def model(self, outside: type[ProcessModel]) -> ProcessModel:
        return outside(dt=1 / 24)


class Nothing(NamedTuple):
    """No memory."""


class Growth(NamedTuple):
    """Of one step."""

    growth: Tensor  # [g m-2 d-1]


class Canopy(ProcessModel):
    """Not hydrological: no water, no memory, and a forcing of its own."""

    forcings = ("shortwave", "nitrogen")
    PARAMETERS: ClassVar = {"EPSILON": Parameter(0.1, 2.0, "g MJ-1", "light use efficiency")}
    State = Nothing
    Flux = Growth
    BALANCE: ClassVar[dict[str, int]] = {}
    RUNOFF = ()

    @staticmethod
    def step(
        state: Any, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
    ) -> tuple[Any, Growth]:
        light = forcing["shortwave"] * forcing["nitrogen"]
        return state, Growth(parameters["EPSILON"] * light)


class TestModelWithoutWater(ProcessModelContract):
    @pytest.fixture
    def model(self) -> ProcessModel:
        return Canopy()

    def weather(
        self, model: ProcessModel, num_steps: int, num_basins: int, wild: bool = False
    ) -> dict[str, Tensor]:
        light = weather(num_steps, num_basins, forcings=["shortwave"], wild=wild)
        return light | {"nitrogen": torch.linspace(0.1, 1, num_basins)}


class TestMistakes:
    """A model with a mistake fails the test that is there for it; eagerly, nothing to compile."""

    @pytest.fixture
    def broken(self, outside: type[ProcessModel], monkeypatch: pytest.MonkeyPatch) -> Any:
        """Make a bucket whose step is changed, and run a test of the contract on it."""
        monkeypatch.setattr("dmg.phy.base.scan", lambda *call, **_: scan(*call[:5], "eager"))

        def run(test: str, change: Any, *arguments: Any, **tables: Any) -> None:
            good = outside()

            class Broken(outside):  # type: ignore[misc,valid-type]
                @staticmethod
                def step(state: Any, forcing: Any, parameters: Any) -> tuple[Any, Any]:
                    return change(*good.step(state, forcing, parameters), forcing)

            for name, table in tables.items():
                setattr(Broken, name, table)
            getattr(ProcessModelContract(), test)(Broken(), *arguments)

        return run

    def test_water_from_nowhere(self, broken: Any) -> None:
        def change(state: Any, flux: Any, forcing: Any) -> tuple[Any, Any]:
            return state._replace(S=state.S.clamp(min=1e-5)), flux

        with pytest.raises(AssertionError, match="mm of water made or lost"):
            broken("test_every_corner_conserves_water", change)

    def test_a_negative_store(self, broken: Any) -> None:
        def change(state: Any, flux: Any, forcing: Any) -> tuple[Any, Any]:
            return state._replace(S=state.S - forcing["pet"]), flux

        with pytest.raises(AssertionError, match="is -"):
            broken("test_stores_and_fluxes_are_never_negative", change)
        signed = ("S", "aet", "streamflow")
        broken("test_stores_and_fluxes_are_never_negative", change, SIGNED=signed)

    def test_basins_that_see_each_other(self, broken: Any) -> None:
        def change(state: Any, flux: Any, forcing: Any) -> tuple[Any, Any]:
            return state._replace(S=0.5 * (state.S + state.S.mean())), flux

        with pytest.raises(AssertionError, match="streamflow"):
            broken("test_one_element_does_not_touch_the_others", change)

    def test_a_slope_without_bound(self, broken: Any) -> None:
        def change(state: Any, flux: Any, forcing: Any) -> tuple[Any, Any]:
            return state, flux._replace(aet=flux.aet.sqrt())

        with pytest.raises(AssertionError, match=r"the gradient is not finite by .*'S'"):
            broken("test_gradients_are_finite", change, "empty")

    def test_a_wrong_gradient(self, broken: Any) -> None:
        def change(state: Any, flux: Any, forcing: Any) -> tuple[Any, Any]:
            return state, flux._replace(aet=flux.aet.detach())

        with pytest.raises(RuntimeError, match="Jacobian mismatch"):
            broken("test_gradients_are_slopes", change)

    def test_a_tensor_of_the_processor(self, broken: Any) -> None:
        def change(state: Any, flux: Any, forcing: Any) -> tuple[Any, Any]:
            return state, flux._replace(aet=flux.aet + torch.zeros(2, 2))

        with pytest.raises(RuntimeError, match="device"):
            broken("test_a_step_makes_no_tensor_of_another_device", change)

    def test_a_double_where_single_went_in(self, broken: Any) -> None:
        def change(state: Any, flux: Any, forcing: Any) -> tuple[Any, Any]:
            return state, flux._replace(aet=flux.aet.double())

        with pytest.raises(AssertionError):
            broken("test_single_precision_stays_single", change)

    def test_a_write_into_the_input(self, broken: Any) -> None:
        def change(state: Any, flux: Any, forcing: Any) -> tuple[Any, Any]:
            forcing["pet"].add_(1)
            return state, flux

        with pytest.raises(AssertionError):
            broken("test_a_run_leaves_its_inputs_alone", change)

    def test_a_memory_that_is_not_in_the_state(self, broken: Any) -> None:
        seen: list[Tensor] = []

        def change(state: Any, flux: Any, forcing: Any) -> tuple[Any, Any]:
            seen.append(forcing["pet"])
            return state, flux._replace(aet=flux.aet + len(seen))

        with pytest.raises(AssertionError, match="aet"):
            broken("test_a_split_run_equals_the_whole", change, 11)

    def test_a_cost_that_grows_with_the_square(self, broken: Any) -> None:
        seen: list[Tensor] = []
        lengths = [1, 2, 4]

        def change(state: Any, flux: Any, forcing: Any) -> tuple[Any, Any]:
            if len(seen) == lengths[0]:  # the next run
                seen.clear()
                lengths.pop(0)
            seen.append(forcing["pet"])
            return state, flux._replace(aet=flux.aet + 0 * torch.stack(99 * seen).sum(0))

        with pytest.raises(AssertionError, match="grow faster than the steps"):
            broken("test_cost_is_linear", change)

    def test_less_flow_by_more_rain(self, broken: Any) -> None:
        def change(state: Any, flux: Any, forcing: Any) -> tuple[Any, Any]:
            return state, flux._replace(streamflow=100 - forcing["precipitation"] + 0 * flux.aet)

        with pytest.raises(AssertionError):
            broken("test_more_rain_gives_more_flow", change)

    @pytest.mark.parametrize("parameter", [
        Parameter(1.0, 1.0, "mm", "a bound"), Parameter(0.0, 1.0, "", "a bound"),
        Parameter(0.0, 1.0, "mm", ""), Parameter(0.0, 1.0, "mm", "a bound", default=2.0),
        Parameter(0.0, 1.0, "mm", "a bound", scale="log"),
    ])  # fmt: skip
    def test_a_parameter_that_cannot_be_used(self, parameter: Parameter, broken: Any) -> None:
        with pytest.raises(AssertionError):
            broken(
                "test_parameters_have_bounds_unit_and_meaning", None, PARAMETERS={"K": parameter}
            )

    def test_a_table_that_names_what_is_not_there(self, broken: Any) -> None:
        with pytest.raises(AssertionError):
            broken("test_tables_agree", None, BALANCE={"rain": +1})

    def test_no_weather_for_a_word_of_ones_own(self) -> None:
        with pytest.raises(ValueError, match=r"no random weather for the forcings \['rain'\]"):
            weather(3, 1, forcings=["rain"])


class TestCorners:
    def test_all_combinations_where_they_are_few(self) -> None:
        table = {n: Parameter(0.0, 1.0, "1", "x") for n in "abc"}
        found = torch.stack([*corners(table).values()], -1)[0]
        assert len(found.unique(dim=0)) == len(found) == 8

    def test_all_pairs_where_they_are_many(self) -> None:
        table = {f"p{i}": Parameter(2.0, 3.0, "1", "x") for i in range(20)}
        found = torch.stack([*corners(table).values()], -1)[0]
        assert found.shape == (2**13, 20)
        assert set(found.unique().tolist()) == {2.0, 3.0}
        assert torch.equal(found, torch.stack([*corners(table).values()], -1)[0])
        systematic = found[: 2 * (1 + 20 * 21 // 2)]
        upper, lower = (systematic == 3.0).double(), (systematic == 2.0).double()
        times = torch.stack([upper.T @ upper, lower.T @ lower, upper.T @ lower + torch.eye(20)])
        assert (times > 0).all()  # every combination of every pair


@pytest.fixture
def model() -> ProcessModel:
    return MODELS["hbv_1_0"]()


class TestBadInput:
    def test_missing_forcing(self, model: ProcessModel) -> None:
        forcing = weather(3, 1)
        del forcing["pet"]
        with pytest.raises(ValueError, match=r"needs the forcings .*'pet'.* are missing"):
            model(forcing, random_parameters(model, 1, 1))

    def test_missing_parameter(self, model: ProcessModel) -> None:
        parameters = random_parameters(model, 1, 1)
        del parameters["FC"]
        with pytest.raises(ValueError, match=r"needs the parameters \['FC'\]"):
            model(weather(3, 1), parameters)

    def test_unknown_parameter(self, model: ProcessModel) -> None:
        with pytest.raises(ValueError, match=r"unknown parameter \['XX'\]; choose from"):
            model(weather(3, 1), random_parameters(model, 1, 1) | {"XX": torch.ones(1, 1)})

    def test_unknown_output(self, model: ProcessModel) -> None:
        with pytest.raises(ValueError, match=r"unknown output \['flow'\]; choose from"):
            model(weather(3, 1), random_parameters(model, 1, 1), outputs=["flow"])

    def test_wrong_shape_of_forcing(self, model: ProcessModel) -> None:
        forcing = weather(3, 2)
        forcing["pet"] = forcing["pet"][:, :1]
        with pytest.raises(ValueError, match=r"forcings must be \[T, B\] or \[B\]"):
            model(forcing, random_parameters(model, 2, 1))

    def test_wrong_shape_of_parameter(self, model: ProcessModel) -> None:
        with pytest.raises(ValueError, match=r"parameters must be \[B, E\] or \[T, B, E\]"):
            model(weather(3, 2), random_parameters(model, 3, 1))

    def test_unknown_backend(self, model: ProcessModel) -> None:
        with pytest.raises(ValueError, match=r"unknown backend \['fast'\]; choose from"):
            model(weather(3, 1), random_parameters(model, 1, 1), backend="fast")

    def test_time_step(self, model: ProcessModel) -> None:
        with pytest.raises(ValueError, match="runs with a time step of"):
            type(model)(dt=7.0)


@pytest.mark.parametrize("shape", [(2,), (0, 2)], ids=["constant", "no steps"])
@pytest.mark.parametrize("backend", ["eager", "fused", "auto"])
def test_without_a_series(shape: tuple[int, ...], backend: str) -> None:
    with pytest.raises(ValueError, match="a series of at least one step"):
        scan(
            lambda s, f, p: (s, s), (), {"a": torch.zeros(shape)}, {"b": torch.ones(2, 1)},
            backend=backend,
        )  # fmt: skip
