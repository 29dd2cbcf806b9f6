"""Every way to couple: named networks, fixed parameters, a network after, models side by side."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dmg.batch import Batch
from dmg.correction import Correction
from dmg.delta import DeltaModel, State, parameter_map
from dmg.ensemble import Ensemble
from dmg.handler import ModelHandler
from dmg.nn import Lstm, McLstm, Mlp, NamedNetworks, Table, divide
from dmg.normalizer import Normalizer
from dmg.parameters import ParameterMap
from dmg.phy import MODELS
from dmg.routing import UnitHydrograph
from dmg.testing import weather

NAMES = ("precipitation", "temperature", "pet")
SNOW = ("TT", "CFMAX", "CFR", "CWH")
B = 3


def normalizer() -> Normalizer:
    return Normalizer(dict.fromkeys(NAMES, (1.0, 2.0)), {"a": (0.0, 1.0), "b": (0.0, 1.0)})


def batch(num_steps: int = 40, warmup: int = 0) -> Batch:
    g = torch.Generator().manual_seed(3)
    return Batch(
        forcing={n: f.double() for n, f in weather(num_steps, B).items()},
        attributes=torch.randn(B, 2, generator=g, dtype=torch.float64), basin=torch.arange(B),
        time=torch.full((B,), 10_000), warmup=warmup, rows=torch.arange(B),
    )  # fmt: skip


def whole_map(name: str = "hbv_1_0", dynamic: tuple[str, ...] = ("BETA",)) -> ParameterMap:
    return parameter_map(MODELS[name](), UnitHydrograph(15), dynamic, 2)


def lstm(part: ParameterMap) -> Lstm:
    return Lstm(3, 2, part.num_dynamic, part.num_static, hidden_size=4)


def coupled(
    name: str = "hbv_1_0", dynamic: tuple[str, ...] = ("BETA",), **options: object
) -> DeltaModel:
    parameters = whole_map(name, dynamic)
    return DeltaModel(
        lstm(parameters), MODELS[name](), UnitHydrograph(15),
        normalizer=normalizer(), parameters=parameters, **options,
    ).double()  # fmt: skip


def named() -> DeltaModel:
    whole = whole_map()
    parts = divide(whole, {"snow": SNOW, "routing": ["route_b", "route_a"], "rest": None})
    networks = {
        "snow": Mlp(2, parts["snow"].num_static, hidden_sizes=[4]),
        "routing": Table(B, parts["routing"].num_static),
        "rest": lstm(parts["rest"]),
    }
    return DeltaModel(
        NamedNetworks(whole, networks, parts), MODELS["hbv_1_0"](), UnitHydrograph(15),
        normalizer=normalizer(), parameters=whole,
    ).double()  # fmt: skip


def flow(model: torch.nn.Module, window: Batch, state: State | None = None) -> Tensor:
    out: Tensor = model(window, state).fluxes["streamflow"]
    return out


def assert_chunks_equal_whole(model: DeltaModel | Ensemble) -> None:
    handler, window = ModelHandler(model).eval(), batch()
    start = handler.resolve([window.slice(0, 15), window.slice(15, 30)])
    expected = flow(handler, window, start)
    chunks = [window.slice(i, min(i + 7, 40)) for i in range(0, 40, 7)]
    parts = [o.fluxes["streamflow"] for o in handler.stream(chunks, start)]
    torch.testing.assert_close(torch.cat(parts), expected, rtol=1e-11, atol=1e-13)


def assert_every_weight_learns(model: torch.nn.Module) -> None:
    (flow(model.train(), batch(warmup=10)) - 1).square().mean().backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert silent == []


class TestNamedNetworks:
    def test_each_parameter_comes_from_its_network(self) -> None:
        model = named().eval()
        static = model.resolve(batch()).static
        assert static is not None
        assert isinstance(model.nn, NamedNetworks)
        snow, routing, _ = model.nn.networks
        scores = snow(model.normalizer.inputs(batch()))[0].static
        parts = divide(model.parameter_map, {"snow": SNOW, "rest": None})
        for name, value in parts["snow"].static(scores).items():
            assert torch.equal(static[name], value)
        expected = UnitHydrograph.PARAMETERS["route_b"].value(routing.scores[:, 1])
        torch.testing.assert_close(static["route_b"], expected)

    def test_equals_one_network_with_the_same_scores(self) -> None:
        """A table that holds what the three networks give."""
        model, window = named().eval(), batch()
        static = model.resolve(window).static
        assert torch.equal(flow(model, window), flow(model, window, State(static=static)))

    def test_chunks_equal_whole(self) -> None:
        assert_chunks_equal_whole(named())

    def test_every_weight_learns(self) -> None:
        assert_every_weight_learns(named())

    @pytest.mark.parametrize(
        ("gives", "message"),
        [
            ({"a": ["FC"], "b": ["FC", "LP"]}, "parameter 'FC' is given by two networks, 'a' and"),
            ({"a": ["FC"]}, r"no network gives the parameters \['BETA', 'K0'"),
            ({"a": ["GAMMA"], "b": None}, r"network 'a' gives \['GAMMA'\], which the model does"),
            ({"a": ["BETAET"], "b": None}, r"gives \['BETAET'\], which the model does not learn"),
            ({"a": None, "b": None}, r"networks \['a', 'b'\] name no parameters; only one"),
        ],
    )
    def test_mistakes_are_named(self, gives: dict[str, list[str] | None], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            divide(whole_map(), gives)

    def test_wrong_number_of_scores_names_the_network(self) -> None:
        whole = whole_map()
        parts = divide(whole, {"snow": SNOW, "rest": None})
        networks = {"snow": Mlp(2, 5), "rest": lstm(parts["rest"])}
        with pytest.raises(
            ValueError, match=r"network 'snow': .* 8 static scores, but it gives 0 and 5"
        ):
            NamedNetworks(whole, networks, parts)


class TestWithoutNetwork:
    phy = MODELS["hbv_1_0"]()
    FIXED = {n: (p.lower + p.upper) / 2 for n, p in phy.PARAMETERS.items() if p.default is None}  # noqa: RUF012

    def test_fixed_parameters_are_those_of_the_process_model(self) -> None:
        parameters = parameter_map(self.phy, fixed=self.FIXED)
        model, window = DeltaModel(None, self.phy, parameters=parameters), batch()
        values = {n: torch.full((B, 1), v, dtype=torch.float64) for n, v in self.FIXED.items()}
        expected = self.phy(window.forcing, values).fluxes["streamflow"].squeeze(-1)
        assert torch.equal(flow(model.double(), window), expected)
        assert_chunks_equal_whole(model)

    def test_given_parameters_are_those_of_the_state(self) -> None:
        values = {n: torch.full((B, 1), v, dtype=torch.float64) for n, v in self.FIXED.items()}
        given = flow(DeltaModel(None, self.phy), batch(), State(static=values))
        parameters = parameter_map(self.phy, fixed=self.FIXED)
        torch.testing.assert_close(
            given, flow(DeltaModel(None, self.phy, parameters=parameters), batch())
        )

    def test_parameters_that_nothing_gives_are_named(self) -> None:
        with pytest.raises(ValueError, match=r"no network gives the parameters \['BETA'"):
            DeltaModel(None, self.phy)(batch())

    def test_some_fixed_the_others_learned(self) -> None:
        fixed = {"FC": 200.0, "BETAET": 2.0, "route_a": 1.5}
        parameters = parameter_map(self.phy, UnitHydrograph(15), ("BETA",), 2, fixed)
        model = DeltaModel(
            lstm(parameters), self.phy, UnitHydrograph(15), normalizer=normalizer(),
            parameters=parameters,
        ).double()  # fmt: skip
        static = model.resolve(batch()).static
        assert static is not None
        assert torch.equal(static["FC"], torch.full((B, 2), 200.0, dtype=torch.float64))
        assert torch.equal(static["route_a"], torch.full((B,), 1.5, dtype=torch.float64))
        assert set(static) == set(model.constants)
        assert "FC" not in parameters.names
        assert_every_weight_learns(model)

    @pytest.mark.parametrize(
        ("fixed", "message"),
        [
            ({"FC": 5.0}, "fixed parameter 'FC': expected 50 to 1000 mm, found 5"),
            ({"GAMMA": 1.0}, "fixed parameter 'GAMMA' is not one of the model; choose from"),
            ({"BETA": 2.0}, "parameter 'BETA' is both fixed and dynamic"),
        ],
    )
    def test_mistakes_are_named(self, fixed: dict[str, float], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            parameter_map(self.phy, dynamic=("BETA",), fixed=fixed)


class TestCorrection:
    def model(self, gain: float = 0.3, **options: object) -> DeltaModel:
        torch.manual_seed(0)
        correction = Correction(Lstm(4, 2, 1, 0, hidden_size=4))
        torch.nn.init.constant_(correction.gain, gain)
        return coupled(correction=correction, **options)

    def test_training_starts_from_the_physics(self) -> None:
        model = self.model(gain=0.0)
        corrected = flow(model, batch())
        model.correction = None
        assert torch.equal(corrected, flow(model, batch()))

    def test_adds_the_score_in_units_of_the_target_and_stays_positive(self) -> None:
        model = self.model(gain=5.0)
        corrected = flow(model, batch())
        model.correction = None
        assert not torch.allclose(corrected, flow(model, batch()))
        assert (corrected >= 0).all()

    def test_chunks_equal_whole(self) -> None:
        assert_chunks_equal_whole(self.model())

    @pytest.mark.parametrize("warmup_gradient", ["none", "network", "all"])
    def test_every_weight_learns(self, warmup_gradient: str) -> None:
        assert_every_weight_learns(self.model(warmup_gradient=warmup_gradient))

    def test_its_memory_is_warm_when_scoring_starts(self) -> None:
        model = self.model().eval()
        warm = model._warm_up(batch().slice(0, 20), State())
        assert warm.correction[0].abs().max() > 0

    def test_other_fluxes_are_left_alone(self) -> None:
        model = self.model(outputs=("aet",))
        assert set(model(batch()).fluxes) == {"aet"}

    def test_its_network_must_give_one_dynamic_score(self) -> None:
        for network in (Mlp(2, 1), McLstm(3, 2)):
            with pytest.raises(ValueError, match="needs a network with one dynamic standardised"):
                Correction(network)


class TestEnsemble:
    MODELS = ("hbv_1_0", "hbv_1_1p")

    def members(self) -> dict[str, DeltaModel]:
        torch.manual_seed(0)
        return {name: coupled(name, ()) for name in self.MODELS}

    def test_mean_of_the_models(self) -> None:
        members = self.members()
        each = [flow(model, batch()) for model in members.values()]
        torch.testing.assert_close(flow(Ensemble(members), batch()), (each[0] + each[1]) / 2)

    @pytest.mark.parametrize(
        "network", [Lstm(3, 2, 2, 0, hidden_size=4), Mlp(2, 2, hidden_sizes=[4]), Table(None, 2)]
    )
    def test_learned_weights_sum_to_one(self, network: Lstm | Mlp | Table) -> None:
        members = self.members()
        model = Ensemble(members, network, normalizer()).double()
        weights, _ = model._weights(model.normalizer.inputs(batch()), ())
        torch.testing.assert_close(weights.sum(0), torch.ones_like(weights[0]))
        each = torch.stack([flow(member, batch()) for member in members.values()])
        torch.testing.assert_close(flow(model, batch()), (weights * each).sum(0))
        assert_chunks_equal_whole(model)
        assert_every_weight_learns(model)

    def test_warm_up_is_cut_off_the_weights_too(self) -> None:
        network = Lstm(3, 2, 2, 0, hidden_size=4)
        model = Ensemble(self.members(), network, normalizer()).double().eval()
        assert flow(model, batch(warmup=15)).shape == (25, B)

    def test_parameters_bear_the_models_name(self) -> None:
        model = Ensemble(self.members())
        static = model.resolve(batch()).static
        assert static is not None
        assert set(static) == set(model.constants)
        assert {"hbv_1_0.FC", "hbv_1_1p.FC", "hbv_1_1p.route_a"} <= set(static)
        model.outputs = ("streamflow", "aet")
        assert set(model(batch()).fluxes) == {"streamflow", "aet"}

    def test_a_gap_between_chunks_is_refused(self) -> None:
        model = Ensemble(self.members())
        state = model(batch().slice(0, 10)).state
        with pytest.raises(ValueError, match="pass the chunks in order, without gaps"):
            model(batch().slice(11), state)

    def test_mistakes_are_named(self) -> None:
        with pytest.raises(ValueError, match="needs at least one model"):
            Ensemble({})
        with pytest.raises(ValueError, match="weights of 2 models need as many scores"):
            Ensemble(self.members(), Mlp(2, 3))


def test_dropout_of_named_networks_differs_and_follows_the_seed() -> None:
    whole = whole_map(dynamic=())
    parts = divide(whole, {"snow": SNOW, "rest": None})
    networks = {n: Mlp(2, p.num_static, hidden_sizes=[8], dropout=0.5) for n, p in parts.items()}
    net = NamedNetworks(whole, networks, parts).double().train()
    given = normalizer().inputs(replace(batch(), seed=5))
    given = given._replace(attributes=given.attributes.double(), forcing=given.forcing.double())
    first, again = net(given)[0].static, net(given)[0].static
    assert torch.equal(first, again)
    assert not torch.equal(first, net(given._replace(seed=6))[0].static)


def dropping() -> DeltaModel:
    whole = whole_map()
    parts = divide(whole, {"snow": SNOW, "rest": None})
    sizes = parts["rest"].num_dynamic, parts["rest"].num_static
    networks = {
        "snow": Mlp(2, parts["snow"].num_static, hidden_sizes=[8], dropout=0.5),
        "rest": Lstm(3, 2, *sizes, hidden_size=4, dropout=0.5),
    }
    correction = Correction(Lstm(4, 2, 1, 0, hidden_size=4, dropout=0.5))
    torch.nn.init.constant_(correction.gain, 0.5)
    return DeltaModel(
        NamedNetworks(whole, networks, parts), MODELS["hbv_1_0"](), UnitHydrograph(15),
        normalizer=normalizer(), parameters=whole, correction=correction, dynamic_dropout=0.5,
    ).double()  # fmt: skip


def side_by_side() -> Ensemble:
    weights = Lstm(3, 2, 2, 0, hidden_size=4, dropout=0.5)
    return Ensemble({"a": dropping(), "b": named()}, weights, normalizer()).double()


@pytest.mark.parametrize("build", [named, dropping, side_by_side])
def test_parts_of_a_batch_give_the_gradient_of_the_whole(
    build: Callable[[], DeltaModel | Ensemble],
) -> None:
    """As ranks do: random draws follow seed and place in the global batch, not the part."""
    torch.manual_seed(0)
    model, window = build().train(), replace(batch(warmup=10), seed=7)

    def gradients(*parts: slice) -> list[Tensor]:
        model.zero_grad()
        for rows in parts:
            part = replace(
                window, rows=window.rows[rows], basin=window.basin[rows], time=window.time[rows],
                forcing={n: f[:, rows] for n, f in window.forcing.items()},
                attributes=window.attributes[rows],
            )  # fmt: skip
            (flow(model, part) - 1).square().sum().backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    whole, summed = gradients(slice(0, B)), gradients(slice(0, 1), slice(1, B))
    torch.testing.assert_close(summed, whole, rtol=1e-9, atol=1e-12)
