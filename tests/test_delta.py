"""The coupled model: published end-to-end numbers, streams, warm-up, gradients."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dmg.batch import Batch
from dmg.delta import DeltaModel, State, parameter_map
from dmg.handler import ModelHandler
from dmg.nn import Inputs, Lstm, Network, NetworkState, Scores
from dmg.normalizer import Normalizer
from dmg.phy.hbv_1_0 import Hbv10
from dmg.routing import UnitHydrograph
from dmg.testing import weather
from tests.golden import CASES, forcing_f12

NAMES = ("precipitation", "temperature", "pet")
DYNAMIC = ("BETA", "BETAET")


class Prescribed(Network):
    """Gives scores of a table `[T, B, K]`, its columns in the order of the parameters."""

    def __init__(self, table: Tensor, dynamic_columns: list[int]) -> None:
        static = [k for k in range(table.shape[-1]) if k not in dynamic_columns]
        super().__init__(len(dynamic_columns), len(static))
        self.table, self.columns = table, (dynamic_columns, static)

    def forward(
        self, inputs: Inputs, state: NetworkState = (), last_only: bool = False
    ) -> tuple[Scores, NetworkState]:
        first = int(state[0]) if state else 0
        stop = first + len(inputs.forcing)
        dynamic, static = (self.table[first:stop, :, columns] for columns in self.columns)
        return Scores(dynamic[-1:] if last_only else dynamic, static[-1]), (torch.tensor(stop),)


def normalizer(num_attributes: int = 0) -> Normalizer:
    return Normalizer(
        dict.fromkeys(NAMES, (1.0, 2.0)),
        {str(i): (0.0, 1.0) for i in range(num_attributes)},
        (2.0, 3.0),
    )


@pytest.mark.parametrize("warmup_gradient", ["none", "network", "all"])
def test_end_to_end_agrees_with_the_published_program(warmup_gradient: str) -> None:
    """Order of the scores, dynamic and static parameters, warm-up, mean over components."""
    case = CASES[f"e2e_Hbv_warm_up_states_{warmup_gradient != 'all'}"]
    t, b, k = torch.meshgrid(torch.arange(24), torch.arange(2), torch.arange(28), indexing="ij")
    table = torch.sin(1.3 * (k + 1) + 0.5 * b + 0.05 * t)
    f12 = {n: f.repeat(2, 1) for n, f in forcing_f12().items()}
    factor = {"precipitation": 0.5, "temperature": 1.0, "pet": 1.2}
    f12["precipitation"] = 3 * f12["precipitation"]
    phy, routing = Hbv10(), UnitHydrograph(15)
    model = DeltaModel(
        Prescribed(table, [0, 1, 24, 25]), phy, routing,
        normalizer=normalizer(), parameters=parameter_map(phy, routing, DYNAMIC, 2),
        warmup_gradient=warmup_gradient,
    )  # fmt: skip
    batch = Batch(
        forcing={n: torch.cat([f, factor[n] * f], dim=1) for n, f in f12.items()},
        attributes=torch.zeros(2, 0), time=torch.zeros(2, dtype=torch.int64), warmup=6,
    )  # fmt: skip
    flow = model(batch).fluxes["streamflow"].T
    torch.testing.assert_close(
        flow, torch.tensor(case["streamflow"]), rtol=case["rtol"], atol=case["atol"]
    )


def model(seed: int = 0, **options: object) -> DeltaModel:
    torch.manual_seed(seed)
    phy, routing = Hbv10(), UnitHydrograph(15)
    parameters = parameter_map(phy, routing, DYNAMIC, 4)
    net = Lstm(3, 2, parameters.num_dynamic, parameters.num_static, hidden_size=8)
    return DeltaModel(
        net, phy, routing, normalizer=normalizer(2), parameters=parameters, **options
    ).double()


def batch(num_steps: int = 60, num_basins: int = 3, warmup: int = 0) -> Batch:
    g = torch.Generator().manual_seed(3)
    return Batch(
        forcing={n: f.double() for n, f in weather(num_steps, num_basins).items()},
        attributes=torch.randn(num_basins, 2, generator=g, dtype=torch.float64),
        time=torch.full((num_basins,), 10_000), warmup=warmup, rows=torch.arange(num_basins),
    )  # fmt: skip


class TestStream:
    """Prediction in chunks equals prediction in one piece, with every part of the state."""

    @pytest.mark.parametrize("length", [1, 7, 59])
    def test_chunks_equal_whole(self, length: int) -> None:
        handler, whole = ModelHandler(model()).eval(), batch()
        start = handler.resolve([whole.slice(0, 30)])
        expected = handler(whole, start)
        chunks = [whole.slice(i, min(i + length, 60)) for i in range(0, 60, length)]
        outputs = list(handler.stream(chunks, start))
        flow = torch.cat([o.fluxes["streamflow"] for o in outputs])
        torch.testing.assert_close(flow, expected.fluxes["streamflow"], rtol=1e-12, atol=1e-14)
        end = outputs[-1].state
        for ours, theirs in zip(end.phy, expected.state.phy, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-14)

    def test_reference_in_chunks_equals_reference_in_one_piece(self) -> None:
        handler, whole = ModelHandler(model()).eval(), batch()
        one = handler.resolve([whole]).static
        chunks = handler.resolve([whole.slice(0, 13), whole.slice(13)]).static
        assert one is not None and chunks is not None
        for name, value in one.items():
            torch.testing.assert_close(chunks[name], value)

    def test_future_forcing_does_not_change_the_past(self) -> None:
        handler, whole = ModelHandler(model()).eval(), batch()
        start = handler.resolve([whole.slice(0, 30)])
        changed = replace(whole, forcing={n: f.clone() for n, f in whole.forcing.items()})
        changed.forcing["precipitation"][50:] += 10
        before, after = (handler(b, start).fluxes["streamflow"] for b in (whole, changed))
        assert torch.equal(before[:50], after[:50])
        assert not torch.equal(before[50:], after[50:])

    def test_gap_between_chunks_is_refused(self) -> None:
        handler, whole = ModelHandler(model()).eval(), batch()
        state = handler(whole.slice(0, 10)).state
        with pytest.raises(ValueError, match="pass the chunks in order, without gaps"):
            handler(whole.slice(11), state)


class TestWarmUp:
    def test_output_covers_the_scored_steps(self) -> None:
        for warmup_gradient in ("network", "all"):
            out = model(warmup_gradient=warmup_gradient)(batch(warmup=20))
            assert out.fluxes["streamflow"].shape == (40, 3)
            assert torch.equal(out.state.time, torch.full((3,), 10_060))

    def test_what_learns_from_the_warm_up(self) -> None:
        def gradient(warmup_gradient: str) -> Tensor:
            window = batch(warmup=59)
            window.forcing["precipitation"].requires_grad_()
            out = model(warmup_gradient=warmup_gradient)(window)
            out.fluxes["streamflow"].sum().backward()
            grad = window.forcing["precipitation"].grad
            assert grad is not None
            return grad[:59].abs().sum()

        flows = [
            model(warmup_gradient=kind)(batch(warmup=20)).fluxes["streamflow"].detach()
            for kind in ("none", "network")
        ]
        assert torch.equal(*flows)

        assert gradient("all") > gradient("network") > gradient("none")
        assert gradient("none") == 0

    def test_network_only_model_warms_its_memory(self) -> None:
        torch.manual_seed(0)
        net = Lstm(3, 2, 1, 0, hidden_size=8)
        only = DeltaModel(net, None, normalizer=normalizer(2)).double().eval()
        whole, scored = only(batch()), only(batch(warmup=20))
        torch.testing.assert_close(scored.fluxes["streamflow"], whole.fluxes["streamflow"][20:])


def test_every_weight_gets_a_gradient_and_state_dict_round_trips() -> None:
    first, second = model(0), model(1)
    first(batch()).fluxes["streamflow"].square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in first.parameters())
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(batch()).fluxes["streamflow"], second(batch()).fluxes["streamflow"])


def test_mean_over_identical_components_equals_one_component() -> None:
    static = model()
    with torch.no_grad():
        head = static.nn.static_head
        head.weight[:44] = (
            head.weight[:44].reshape(11, 4, -1)[:, :1].expand(-1, 4, -1).reshape(44, -1)
        )
        head.bias[:44] = head.bias[:44].reshape(11, 4)[:, :1].expand(-1, 4).reshape(44)
    state = static.resolve(batch())
    assert state.static is not None
    assert torch.equal(state.static["FC"][:, 0], state.static["FC"][:, 3])


class TestDynamicDropout:
    def flow(self, chance: float, rows: Tensor, seed: int = 1) -> Tensor:
        window = replace(batch(), rows=rows, seed=seed)
        out: Tensor = model(dynamic_dropout=chance).train()(window).fluxes["streamflow"]
        return out

    def test_one_is_static(self) -> None:
        static = model(dynamic_dropout=1.0).train()
        series = static.parameter_map.dynamic(torch.rand(5, 3, 8))
        held = static._drop_dynamic(series, batch())
        assert all(torch.equal(v, v[-1:].expand_as(v)) for v in held.values())

    def test_draws_follow_the_position_in_the_global_batch(self) -> None:
        whole = self.flow(0.5, torch.arange(3))
        shifted = self.flow(0.5, torch.arange(3) + 5)
        assert torch.equal(whole, self.flow(0.5, torch.arange(3)))
        assert not torch.equal(whole, shifted)

    def test_is_off_in_evaluation(self) -> None:
        window = batch()
        assert torch.equal(
            model(dynamic_dropout=1.0).eval()(window).fluxes["streamflow"],
            model().eval()(window).fluxes["streamflow"],
        )


def test_wrong_number_of_scores_is_refused() -> None:
    with pytest.raises(
        ValueError, match="need 0 dynamic and 12 static scores, but the network gives 1 and 5"
    ):
        DeltaModel(Lstm(3, 2, 1, 5, hidden_size=4), Hbv10(), normalizer=normalizer(2))


def test_unknown_dynamic_parameter_is_refused() -> None:
    with pytest.raises(ValueError, match=r"dynamic parameters \['GAMMA'\] are not parameters"):
        parameter_map(Hbv10(), dynamic=["GAMMA"])


def test_normalizer_fills_missing_values_with_the_mean() -> None:
    x = normalizer(2).normalize_attributes(torch.tensor([[float("nan"), 1.0]]))
    assert x.tolist() == [[0.0, 1.0]]


def test_empty_state_is_a_cold_start() -> None:
    window = batch()
    assert torch.equal(
        model()(window).fluxes["streamflow"], model()(window, State()).fluxes["streamflow"]
    )
