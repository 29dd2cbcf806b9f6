"""Muskingum-Cunge routing: equal backends, right gradients, chunks, limits of flow and time."""

import pytest
import torch
from torch import Tensor

from dmg.routing import MuskingumCunge, Reaches, accumulate, sweep
from dmg.routing.channel import Minima
from dmg.scan import UnsupportedError
from tests.routing.networks import random_inflow, random_parameters, random_reaches

BACKENDS = ("eager", "fused")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut even small networks, so that water crosses from piece to piece."""
    monkeypatch.setattr(sweep, "PIECE", {torch.float32: 37, torch.float64: 37})


def results(routing: MuskingumCunge, reaches: Reaches, inflow: Tensor) -> list[Tensor]:
    """What a run gives, and gradients of a function of all of it."""
    given = random_parameters(reaches.num_reaches)
    leaves = [t.clone().to(inflow).requires_grad_() for t in (inflow, *given.values())]
    discharge, state = routing(leaves[0], dict(zip(given, leaves[1:], strict=True)), reaches)
    weight = torch.rand(discharge.shape, generator=torch.Generator().manual_seed(1))
    value = (weight * discharge).sum() + state.discharge.square().sum() + state.partial.sum()
    gradients = torch.autograd.grad(value, leaves)
    return [discharge.detach(), *(s.detach() for s in state), *gradients]


def gaps(inflow: Tensor) -> Tensor:
    """Some reaches dry, one without values on a day."""
    inflow = inflow.clone()
    inflow[1:, 5:30] = 0
    inflow[1, 3] = torch.nan
    return inflow


@pytest.mark.parametrize(("substeps", "shift"), [(24, 0), (24, 8), (1, 0), (5, 4)])
def test_compiled_equals_eager(substeps: int, shift: int) -> None:
    reaches, inflow = random_reaches(300), gaps(random_inflow(30 if substeps == 1 else 4, 300))
    found = [
        results(MuskingumCunge(substeps, 3600.0 * substeps, shift, backend=b), reaches, inflow)
        for b in BACKENDS
    ]
    for eager, fused in zip(*found, strict=True):
        scale = float(eager.nan_to_num().abs().max())
        torch.testing.assert_close(fused, eager, rtol=1e-10, atol=1e-10 * scale, equal_nan=True)


def test_single_precision() -> None:
    reaches, inflow = random_reaches(300), random_inflow(4, 300)
    exact = results(MuskingumCunge(backend="eager"), reaches, inflow)
    fused = results(MuskingumCunge(backend="fused"), reaches, inflow.float())
    for right, found in zip(exact, fused, strict=True):
        scale = float(right.abs().max())
        torch.testing.assert_close(found.double(), right.double(), rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_are_correct(backend: str) -> None:
    reaches, inflow = random_reaches(6, seed=3), random_inflow(2, 6) + 0.05
    routing = MuskingumCunge(3, 3 * 3600.0, shift=1, backend=backend)
    given = random_parameters(6)

    def routed(inflow: Tensor, *values: Tensor) -> Tensor:
        discharge, state = routing(inflow, dict(zip(given, values, strict=True)), reaches)
        return torch.cat([discharge, state.discharge[None], state.partial[None]])

    leaves = [t.clone().requires_grad_() for t in (inflow, *given.values())]
    assert torch.autograd.gradcheck(routed, leaves)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_of_a_state_are_correct(backend: str) -> None:
    reaches, inflow = random_reaches(6, seed=3), random_inflow(1, 6)
    routing = MuskingumCunge(3, 3 * 3600.0, backend=backend)
    state = routing.initial_state(inflow[0], reaches)

    def routed(flow: Tensor, before: Tensor) -> Tensor:
        start = state._replace(discharge=flow, inflow=before)
        return routing(inflow, random_parameters(6), reaches, start)[0]

    leaves = [state.discharge.clone().requires_grad_(), inflow[0].clone().requires_grad_()]
    assert torch.autograd.gradcheck(routed, leaves)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_are_finite_where_reaches_run_dry(backend: str) -> None:
    inflow = torch.zeros(2, 50, dtype=torch.float64)
    for found in results(MuskingumCunge(backend=backend), random_reaches(50), inflow):
        assert found.isfinite().all()


@pytest.mark.parametrize("shift", [0, 8])
@pytest.mark.parametrize("split", [1, 2, 5])
def test_chunks_equal_whole(split: int, shift: int) -> None:
    reaches, inflow, given = random_reaches(200), random_inflow(6, 200), random_parameters(200)
    routing = MuskingumCunge(shift=shift)
    whole, end = routing(inflow, given, reaches)
    first, state = routing(inflow[:split], given, reaches)
    second, later = routing(inflow[split:], given, reaches, state)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=1e-14, atol=0)
    assert torch.equal(later.discharge, end.discharge)
    assert torch.equal(later.partial, end.partial)


def test_means_that_begin_earlier() -> None:
    """Those of shifted days are means of the hours of a run without shift."""
    reaches, given = random_reaches(40), random_parameters(40)
    inflow = random_inflow(3, 40)
    hourly, _ = MuskingumCunge(1, 3600.0)(inflow.repeat_interleave(24, 0), given, reaches)
    shifted, _ = MuskingumCunge(24, shift=8)(inflow, given, reaches)
    torch.testing.assert_close(shifted[1:], hourly[16:64].unflatten(0, (2, 24)).mean(1))
    torch.testing.assert_close(shifted[0], (8 * hourly[0] + hourly[:16].sum(0)) / 24)


@pytest.mark.parametrize("backend", BACKENDS)
def test_steady_inflow_gives_steady_flow(backend: str) -> None:
    reaches, given = random_reaches(60), random_parameters(60)
    inflow = random_inflow(1, 60)
    routing = MuskingumCunge(backend=backend)
    expected = accumulate(inflow[0], reaches)
    found, _ = routing(inflow.expand(3, 60), given, reaches)
    torch.testing.assert_close(found, expected.expand(3, 60), rtol=1e-12, atol=0)


def test_flow_becomes_steady() -> None:
    reaches, inflow = random_reaches(60), random_inflow(1, 60)
    routing = MuskingumCunge()
    low = routing.initial_state(torch.full_like(inflow[0], 0.02), reaches)
    found, _ = routing(inflow.expand(150, 60), random_parameters(60), reaches, low)
    torch.testing.assert_close(found[-1], accumulate(inflow[0], reaches), rtol=1e-6, atol=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_order_of_reaches_does_not_matter(backend: str) -> None:
    reaches, inflow, given = random_reaches(80), random_inflow(3, 80), random_parameters(80)
    order = torch.randperm(80, generator=torch.Generator().manual_seed(2))
    place = torch.empty_like(order).scatter_(0, order, torch.arange(80))
    links = reaches.downstream[order]
    links = torch.where(links < 0, -1, place[links])
    other = Reaches(links, reaches.length[order], reaches.slope[order], reaches.weight[order])
    routing = MuskingumCunge(backend=backend)
    expected, _ = routing(inflow, given, reaches)
    moved = {name: value[order] for name, value in given.items()}
    found, _ = routing(inflow[:, order], moved, other)
    torch.testing.assert_close(found, expected[:, order], rtol=1e-12, atol=0)


def test_neither_pieces_nor_threads_change_results(monkeypatch: pytest.MonkeyPatch) -> None:
    inflow = random_inflow(2, 500)
    found = []
    for piece, threads in ((500, 1), (20, 1), (20, 2)):
        monkeypatch.setattr(sweep, "PIECE", {torch.float64: piece})
        torch.set_num_threads(threads)
        found.append(results(MuskingumCunge(), random_reaches(500), inflow))
    torch.set_num_threads(1)
    for whole, cut, threaded in zip(*found, strict=True):
        torch.testing.assert_close(cut, whole, rtol=1e-12, atol=1e-12)
        assert torch.equal(threaded, cut)


def test_a_reach_without_neighbours_is_a_linear_filter_of_its_inflow() -> None:
    """With a constant celerity: Q(t+1) = C3 Q(t) + C4 q'(t)."""
    reaches = Reaches(torch.tensor([-1, -1]), torch.tensor([5e3, 9e3]), torch.tensor([0.01, 0.01]))
    routing = MuskingumCunge(1, 3600.0, minima=Minima(velocity=15.0))
    inflow = torch.tensor([[1.0, 2.0], [5.0, 1.0], [1.0, 0.5], [0.2, 3.0]])
    found, _ = routing(inflow, {"n": torch.tensor(0.05), "q_spatial": torch.tensor(0.5)}, reaches)
    k = reaches.length / 25.0
    denominator = 2 * k * 0.7 + 3600
    flow = inflow[0]
    for t in range(1, 4):
        flow = (2 * k * 0.7 - 3600) / denominator * flow + 7200 / denominator * inflow[t - 1]
        torch.testing.assert_close(found[t], flow.clamp(min=1e-4))


def test_rough_channels_delay_and_flatten_a_wave() -> None:
    chain = torch.tensor([*range(1, 20), -1])
    reaches = Reaches(chain, torch.full((20,), 2e4), torch.full((20,), 2e-3))
    inflow = torch.full((300, 20), 0.1)
    inflow[10:40, 0] = 50.0
    routing, shape = MuskingumCunge(1, 3600.0), torch.tensor(0.3)
    smooth, rough = (
        routing(inflow, {"n": torch.tensor(n), "q_spatial": shape}, reaches)[0][:, -1]
        for n in (0.03, 0.08)
    )
    assert rough.argmax() > smooth.argmax()
    assert rough.max() < smooth.max()


def test_flow_is_not_linear_in_its_inflow() -> None:
    reaches, given, inflow = random_reaches(50), random_parameters(50), random_inflow(4, 50)
    once, twice = (MuskingumCunge()(k * inflow, given, reaches)[0] for k in (1, 2))
    assert ((twice - 2 * once).abs() / once).max() > 0.01


def test_very_short_reaches_pass_on_what_they_get() -> None:
    """Their weights are 1, 1, -1 and 2: the mean over two steps is that of the inflow."""
    chain = Reaches(torch.tensor([1, 2, -1]), torch.full((3,), 1e-6), torch.full((3,), 0.01))
    inflow = torch.tensor([[1.0], [1.2], [1.1]]).expand(3, 3)
    given = {"n": torch.tensor(0.05), "q_spatial": torch.tensor(0.5)}
    found, _ = MuskingumCunge(24)(inflow, given, chain)
    torch.testing.assert_close(found[1:, 2], 3 * inflow[1:, 0], rtol=0.05, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["n", "q_spatial", "p_spatial"])
def test_a_reach_with_nan_spoils_only_what_lies_downstream(name: str, dtype: torch.dtype) -> None:
    reaches, inflow, given = random_reaches(60), random_inflow(2, 60), random_parameters(60)
    given[name][4] = torch.nan
    below, here = torch.zeros(60, dtype=torch.bool), 4
    while here >= 0:
        below[here], here = True, int(reaches.downstream[here])
    for backend in BACKENDS:
        found, _ = MuskingumCunge(backend=backend)(inflow.to(dtype), given, reaches)
        assert torch.equal(found[1].isnan(), below)


def test_default_width() -> None:
    reaches, inflow, given = random_reaches(20), random_inflow(2, 20), random_parameters(20)
    wide = given | {"p_spatial": torch.full((20,), 21.0, dtype=torch.float64)}
    del given["p_spatial"]
    found, expected = (MuskingumCunge()(inflow, p, reaches)[0] for p in (given, wide))
    assert torch.equal(found, expected)


def test_messages() -> None:
    reaches, inflow, given = random_reaches(5), random_inflow(2, 5), random_parameters(5)
    with pytest.raises(ValueError, match=r"expected \[T, 5\] with T of at least 1, found \[2, 4\]"):
        MuskingumCunge()(inflow[:, :4], given, reaches)
    with pytest.raises(ValueError, match="parameter 'n' of routing is missing"):
        MuskingumCunge()(inflow, {}, reaches)
    with pytest.raises(ValueError, match=r"parameter 'n': expected \[5\], found \[3\]"):
        MuskingumCunge()(inflow, given | {"n": given["n"][:3]}, reaches)
    with pytest.raises(ValueError, match="found substeps=24 and shift=24"):
        MuskingumCunge(24, shift=24)
    with pytest.raises(ValueError, match="unknown backend 'gpu'"):
        MuskingumCunge(backend="gpu")
    with pytest.raises(
        ValueError, match=r"expects float32 or float64 on a CPU, found torch.float16"
    ):
        MuskingumCunge(backend="fused")(inflow.half(), given, reaches)


def test_runs_eagerly_without_a_compiler(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reaches, inflow, given = random_reaches(20), random_inflow(2, 20), random_parameters(20)
    expected, _ = MuskingumCunge()(inflow, given, reaches)

    def no_compiler(*_: object) -> None:
        raise UnsupportedError("no C++ compiler found")

    monkeypatch.setattr(sweep, "Plan", no_compiler)
    found, _ = MuskingumCunge()(inflow, given, random_reaches(20))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    assert "routing runs eagerly, many times slower: no C++ compiler found" in caplog.text
    with pytest.raises(ValueError, match="no C\\+\\+ compiler"):
        MuskingumCunge(backend="fused")(inflow, given, random_reaches(20))
