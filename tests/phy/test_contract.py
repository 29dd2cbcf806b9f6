"""What every process model must satisfy."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dmg.phy import MODELS, ProcessModel, Trajectory
from dmg.scan import scan
from tests.phy.weather import random_parameters, weather

YEAR = 365


@pytest.fixture(params=list(MODELS))
def model(request: pytest.FixtureRequest) -> ProcessModel:
    return MODELS[request.param]()


def storage(state: tuple[Tensor, ...]) -> Tensor:
    return sum(state, torch.zeros(()))


def residual(
    model: ProcessModel, forcing: dict[str, Tensor], run: Trajectory, start: Tensor
) -> Tensor:
    """Change of storage less the declared balance [mm]."""
    terms = {n: f.unsqueeze(-1) for n, f in forcing.items()} | run.fluxes
    balance = sum(sign * terms[name].sum(0) for name, sign in model.BALANCE.items())
    return storage(run.state) - start - balance


def run(
    model: ProcessModel, forcing: dict[str, Tensor], parameters: dict[str, Tensor]
) -> Trajectory:
    return model(forcing, parameters)


def initial_storage(model: ProcessModel, like: Tensor) -> Tensor:
    return storage(model.initial_state(*like.shape, like))


def test_water_balance_closes(model: ProcessModel) -> None:
    forcing, parameters = weather(YEAR, 20), random_parameters(model, 20, 4)
    out = run(model, forcing, parameters)
    start = initial_storage(model, parameters["FC"])
    assert residual(model, forcing, out, start).abs().max() < 1e-9


def test_water_balance_closes_at_every_corner(model: ProcessModel) -> None:
    bounds = [(p.lower, p.upper) for p in model.PARAMETERS.values()]
    corners = torch.tensor(list(itertools.product(*bounds)))
    parameters = dict(zip(model.PARAMETERS, corners.T.unsqueeze(1), strict=True))
    forcing = weather(60, 1)
    forcing["precipitation"][30] = 500.0
    out = run(model, forcing, parameters)
    start = initial_storage(model, corners[:, 0].unsqueeze(0))
    assert residual(model, forcing, out, start).abs().max() < 1e-9
    assert all(store.min() >= -1e-12 for store in out.state)


rain = st.floats(0, 500) | st.just(0.0)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(rain, st.floats(-40, 45), st.floats(0, 15)), min_size=5, max_size=30))
def test_storages_and_fluxes_are_never_negative(days: list[tuple[float, float, float]]) -> None:
    series = torch.tensor(days, dtype=torch.float64).unbind(1)
    forcing = {
        n: s.unsqueeze(-1)
        for n, s in zip(("precipitation", "temperature", "pet"), series, strict=True)
    }
    for cls in MODELS.values():
        model = cls()
        out = run(model, forcing, random_parameters(model, 1, 8))
        assert all(store.min() >= -1e-12 for store in out.state)
        assert all(flux.min() >= -1e-12 for flux in out.fluxes.values())


@pytest.mark.parametrize("split", [1, 11, 364])
def test_split_run_equals_whole_run(model: ProcessModel, split: int) -> None:
    forcing, parameters = weather(YEAR, 3), random_parameters(model, 3, 4)
    whole = run(model, forcing, parameters)
    first = run(model, {n: f[:split] for n, f in forcing.items()}, parameters)
    second = model({n: f[split:] for n, f in forcing.items()}, parameters, state=first.state)
    for name, flux in whole.fluxes.items():
        assert torch.equal(flux, torch.cat([first.fluxes[name], second.fluxes[name]]))
    assert all(map(torch.equal, whole.state, second.state))


def test_basins_and_components_are_independent(model: ProcessModel) -> None:
    forcing, parameters = weather(YEAR, 8), random_parameters(model, 8, 4)
    whole = run(model, forcing, parameters).fluxes["streamflow"]
    order = torch.randperm(8, generator=torch.Generator().manual_seed(0))
    permuted = run(
        model,
        {n: f[:, order] for n, f in forcing.items()},
        {n: p[order].flip(1) for n, p in parameters.items()},
    )
    torch.testing.assert_close(
        permuted.fluxes["streamflow"], whole[:, order].flip(2), rtol=0, atol=0
    )


def test_gradients_are_correct(model: ProcessModel) -> None:
    forcing = {n: f.requires_grad_() for n, f in weather(12, 2, seed=5).items()}
    parameters = {
        n: p.requires_grad_() for n, p in random_parameters(model, 2, 2, margin=0.2).items()
    }
    names = list(parameters)

    def total(*values: Tensor) -> Tensor:
        out = model(
            dict(zip(forcing, values, strict=False)),
            dict(zip(names, values[len(forcing) :], strict=True)),
        )
        return torch.stack([*out.fluxes.values()]).sum(1)

    assert torch.autograd.gradcheck(total, (*forcing.values(), *parameters.values()))


@pytest.mark.parametrize("kind", ["drought", "empty", "cold", "extreme"])
@pytest.mark.parametrize("at", ["lower", "upper", "middle"])
def test_gradients_are_finite(model: ProcessModel, kind: str, at: str) -> None:
    forcing = weather(200, 1)
    if kind in ("drought", "empty"):
        forcing["precipitation"] = torch.zeros_like(forcing["precipitation"])
    if kind == "cold":
        forcing["temperature"] = forcing["temperature"] - 60
    if kind == "extreme":
        forcing["precipitation"][100] = 500.0
    value = {"lower": 0.0, "upper": 1.0, "middle": 0.5}[at]
    parameters = {
        n: torch.full((1, 1), p.lower + value * (p.upper - p.lower)).requires_grad_()
        for n, p in model.PARAMETERS.items()
    }
    empty = model.State(*(torch.zeros(1, 1) for _ in model.State._fields))
    out = model(forcing, parameters, state=empty if kind == "empty" else None)
    torch.stack([*out.fluxes.values()]).sum().backward()
    gradients = {n: p.grad for n, p in parameters.items()}
    assert all(g is not None and g.isfinite().all() for g in gradients.values()), gradients


def test_dtype_follows_inputs(model: ProcessModel) -> None:
    forcing = {n: f.float() for n, f in weather(5, 2).items()}
    out = run(model, forcing, {n: p.float() for n, p in random_parameters(model, 2, 2).items()})
    assert {f.dtype for f in out.fluxes.values()} | {s.dtype for s in out.state} == {torch.float32}


def test_more_rain_gives_more_flow(model: ProcessModel) -> None:
    forcing, parameters = weather(YEAR, 5), random_parameters(model, 5, 4)

    def flow(factor: float) -> Tensor:
        changed = forcing | {"precipitation": factor * forcing["precipitation"]}
        return run(model, changed, parameters).fluxes["streamflow"].sum(0)

    assert (flow(0.8) <= flow(1.0)).all()
    assert (flow(1.0) <= flow(1.2)).all()


def test_dynamic_parameters_equal_to_static_ones_change_nothing(model: ProcessModel) -> None:
    forcing, static = weather(50, 3), random_parameters(model, 3, 2)
    dynamic = {n: p.expand(50, -1, -1) for n, p in static.items()}
    expected, found = (run(model, forcing, p).fluxes["streamflow"] for p in (static, dynamic))
    assert torch.equal(found, expected)


def test_tables_agree(model: ProcessModel) -> None:
    assert set(model.BALANCE) <= set(model.forcings) | set(model.Flux._fields)
    assert set(model.RUNOFF) <= set(model.Flux._fields)
    assert set(model.RECOMMENDED_DYNAMIC) <= set(model.PARAMETERS)
    assert all(p.lower < p.upper and p.unit and p.meaning for p in model.PARAMETERS.values())


def test_only_wanted_fluxes_are_returned(model: ProcessModel) -> None:
    out = model(weather(3, 1), random_parameters(model, 1, 1), outputs=["aet"])
    assert list(out.fluxes) == ["aet"]


@pytest.mark.parametrize("backend", ["eager", "auto"])
def test_mean_over_components(model: ProcessModel, backend: str) -> None:
    forcing, parameters = weather(30, 3), random_parameters(model, 3, 5)
    full = model(forcing, parameters, backend=backend).fluxes
    mean = model(forcing, parameters, backend=backend, mean=True).fluxes
    for name, flux in full.items():
        torch.testing.assert_close(mean[name], flux.mean(-1), rtol=1e-12, atol=1e-14)


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
