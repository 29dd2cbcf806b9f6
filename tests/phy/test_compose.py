"""A snow module and a soil model as one process model."""

import pickle
from typing import NamedTuple, get_args

import pytest
import torch
from torch import Tensor

from dmg.config.model import SnowModule
from dmg.nn import StepNetwork
from dmg.parameters import Parameter
from dmg.phy import MODELS, ProcessModel
from dmg.phy.compose import Composite, compose
from dmg.phy.degree_day import DegreeDay
from dmg.phy.sac_sma import SacSma, SacSmaSoil
from dmg.phy.sac_sma_daily import SacSmaDaily
from dmg.phy.snow17 import Snow17
from dmg.scan import scan
from dmg.testing import random_parameters, weather


class State(NamedTuple):
    store: Tensor  # water [mm]


class Flux(NamedTuple):
    streamflow: Tensor  # flow of the store


def bucket_step(state, forcing, parameters):
    store = state.store + forcing["precipitation"]
    flow = parameters["k"] * store
    return State(store - flow), Flux(flow)


class Bucket(ProcessModel):
    forcings = ("precipitation",)
    PARAMETERS = {"k": Parameter(0.1, 0.9, "d-1", "recession")}  # noqa: RUF012
    State, Flux = State, Flux
    BALANCE = {"precipitation": +1, "streamflow": -1}  # noqa: RUF012
    step = staticmethod(bucket_step)


SnowyBucket = compose(DegreeDay, Bucket)


def test_tables_of_the_whole() -> None:
    assert SnowyBucket.forcings == ("precipitation", "temperature")
    assert [*SnowyBucket.PARAMETERS] == ["TT", "CFMAX", "CFR", "CWH", "k"]
    assert SnowyBucket.State._fields == ("SNOWPACK", "MELTWATER", "store")
    assert SnowyBucket.Flux._fields[-1] == "streamflow"
    assert SnowyBucket.BALANCE == {"precipitation": +1, "streamflow": -1}
    assert SnowyBucket.__doc__ == "Bucket fed by DegreeDay."


@pytest.mark.parametrize("backend", ["eager", "fused"])
def test_equals_one_after_the_other(backend: str) -> None:
    model = SnowyBucket()
    forcing, parameters = weather(60, 3), random_parameters(model, 3, 2)
    whole = model(forcing, parameters, backend=backend)
    own = {n: p for n, p in parameters.items() if n != "k"}
    snow = DegreeDay()({n: forcing[n] for n in DegreeDay.forcings}, own, backend=backend)
    state = Bucket().initial_state(3, 2, torch.zeros(()))
    flows = []
    for rain in snow.fluxes["rain_plus_melt"]:
        state, flux = bucket_step(state, {"precipitation": rain}, parameters)
        flows.append(flux.streamflow)
    torch.testing.assert_close(whole.fluxes["streamflow"], torch.stack(flows), rtol=1e-12, atol=0)


def test_starts_and_holds_what_its_parts_do() -> None:
    model = SnowyBucket()
    state = model.initial_state(2, 3, torch.zeros(()))
    assert state.SNOWPACK[0, 0] == DegreeDay.INITIAL_STORAGE
    assert state.store[0, 0] == Bucket.INITIAL_STORAGE
    parameters = {"PCTIM": torch.full((1, 1), 0.1), "ADIMP": torch.full((1, 1), 0.2)}
    filled = SacSma.State(*(torch.ones(1, 1) for _ in SacSma.State._fields))
    assert SacSma().storage(filled, parameters).item() == pytest.approx(4 + 0.7 * 5 + 0.2)


def test_states_can_be_saved() -> None:
    state = SacSma().initial_state(1, 1, torch.zeros(()))
    assert type(pickle.loads(pickle.dumps(state))) is SacSma.State


@pytest.mark.parametrize("name", ["sac_sma", "sac_sma_daily"])
def test_registered_models_are_composed(name: str) -> None:
    assert issubclass(MODELS[name], Composite)


class Learned(Bucket):
    def __init__(self, dt: float = 1.0) -> None:
        super().__init__(dt)
        self.network = StepNetwork("network", num_inputs=1, hidden_size=2)


def test_networks_inside_the_parts_are_learned() -> None:
    assert [name for name, _ in compose(DegreeDay, Learned)().named_parameters()]


def test_composed_by_name() -> None:
    chosen = MODELS["gr4j+degree_day"]
    assert (chosen.snow, chosen.soil) == (DegreeDay, MODELS["gr4j"])
    assert MODELS["gr4j+degree_day"] is chosen
    assert "gr4j+degree_day" in MODELS
    assert not [n for n in ("gr4j+", "gr4j+rain", "rain+snow17") if n in MODELS]


def test_a_name_of_what_cannot_be_composed() -> None:
    with pytest.raises(ValueError, match="'hymod' is no snow module: it gives no rain_plus_melt"):
        MODELS["gr4j+hymod"]
    with pytest.raises(ValueError, match="'prms' has snow of its own; leave out 'snow17'"):
        MODELS["prms+snow17"]


def test_snow_modules_of_the_configuration_are_registered() -> None:
    assert all("rain_plus_melt" in MODELS[n].Flux._fields for n in get_args(SnowModule))


def test_what_one_part_gives_the_other_drops_out_of_the_balance() -> None:
    assert SacSma.BALANCE == {
        "precipitation": +1, "correction": +1, "streamflow": -1, "aet": -1, "deep_recharge": -1,
    }  # fmt: skip
    assert SacSma.SIGNED == Snow17.SIGNED
    assert SacSma.RUNOFF == SacSmaSoil.RUNOFF
    assert "melt" not in SacSmaDaily.forcings


def test_one_name_in_both_parts() -> None:
    with pytest.raises(ValueError, match=r"cannot be composed: both have \['CFMAX'.* PARAMETERS;"):
        compose(DegreeDay, MODELS["hbv_1_0"])


@pytest.mark.parametrize("feeds", [{"melt": "rain_plus_melt"}, {"precipitation": "snow"}])
def test_feeds_of_what_is_not_there(feeds: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"feeds gives the forcing '\w+' the flux '\w+'; choose"):
        compose(DegreeDay, Bucket, feeds)


def test_a_step_is_pure() -> None:
    model = SnowyBucket()
    state = model.initial_state(2, 2, torch.zeros(()))
    forcing = {n: f for n, f in weather(1, 2).items() if n in model.forcings}
    _, last = scan(model.step, state, forcing, random_parameters(model, 2, 2))
    assert type(last) is SnowyBucket.State
