"""Parameter networks: published numbers, causality, chunks, dropout."""

import pytest
import torch
from torch import Tensor, nn

from dmg.nn import Inputs, Lstm, Mlp, Network
from dmg.nn.dropout import keep_mask
from tests.golden import CASES

NONE = torch.zeros(2, 0)


def fill(module: nn.Module, names: list[str]) -> None:
    """Weights of the golden cases: `0.5 sin(0.7 e + k)`, k the tensor, e its element."""
    parameters = dict(module.named_parameters())
    with torch.no_grad():
        for k, name in enumerate(names):
            p = parameters[name]
            element = torch.arange(1, p.numel() + 1, dtype=torch.float64)
            p.copy_((0.5 * torch.sin(0.7 * element + k)).reshape(p.shape))


def inputs(num_steps: int = 5) -> Tensor:
    t, b, f = torch.meshgrid(
        torch.arange(num_steps), torch.arange(2), torch.arange(3), indexing="ij"
    )
    return torch.cos(0.9 * t + 0.4 * b + 1.1 * f)


def test_lstm_agrees_with_the_published_program() -> None:
    net = Lstm(3, 0, num_dynamic=2, num_static=0, hidden_size=4).eval()
    kinds = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    recurrent = [f"lstm.{kind}_l0" for kind in kinds]
    head = ["dynamic_head.weight", "dynamic_head.bias"]
    fill(net, ["linear_in.weight", "linear_in.bias", *recurrent, *head])
    scores, _ = net(Inputs(inputs(), NONE))
    expected = torch.tensor(CASES["lstm_model"]["out"]).reshape(5, 2, 2)
    torch.testing.assert_close(scores.dynamic, expected, atol=1e-6, rtol=0)


def lstm(dropout: float = 0.0) -> Lstm:
    torch.manual_seed(0)
    return Lstm(3, 4, num_dynamic=2, num_static=5, hidden_size=8, dropout=dropout)


def attributes() -> Tensor:
    return torch.randn(2, 4, generator=torch.Generator().manual_seed(1))


def test_equals_torch_lstm_on_repeated_attributes() -> None:
    net, x, a = lstm(), inputs(), attributes()
    repeated = torch.cat([x, a.expand(5, -1, -1)], dim=-1)
    hidden, _ = net.lstm(torch.relu(net.linear_in(repeated)))
    torch.testing.assert_close(net(Inputs(x, a))[0].dynamic, net.dynamic_head(hidden))
    torch.testing.assert_close(net(Inputs(x, a))[0].static, net.static_head(hidden[-1]))


@pytest.mark.parametrize("split", [1, 3])
def test_chunks_equal_whole(split: int) -> None:
    net, x, a = lstm().eval(), inputs(), attributes()
    whole, _ = net(Inputs(x, a))
    first, state = net(Inputs(x[:split], a))
    second, _ = net(Inputs(x[split:], a), state)
    torch.testing.assert_close(torch.cat([first.dynamic, second.dynamic]), whole.dynamic)
    torch.testing.assert_close(second.static, whole.static)


def test_is_causal_and_basins_are_independent() -> None:
    net, x, a = lstm().eval(), inputs(), attributes()
    changed = x.clone()
    changed[3:, 0] += 1
    before, after = net(Inputs(x, a))[0].dynamic, net(Inputs(changed, a))[0].dynamic
    assert torch.equal(before[:3], after[:3])
    assert torch.equal(before[:, 1], after[:, 1])
    assert not torch.equal(before[3:, 0], after[3:, 0])


def test_bfloat16_is_close_and_learns() -> None:
    net, x, a = lstm(), inputs(), attributes()
    exact = net(Inputs(x, a))[0].dynamic
    net.in_bfloat16 = True
    coarse = net(Inputs(x, a))[0].dynamic
    assert coarse.dtype == torch.float32
    assert not torch.equal(coarse, exact)
    torch.testing.assert_close(coarse, exact, rtol=0.03, atol=0.01)
    coarse.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.lstm.parameters())


def test_last_only_gives_the_last_step() -> None:
    net, x, a = lstm().eval(), inputs(), attributes()
    assert torch.equal(
        net(Inputs(x, a), last_only=True)[0].dynamic, net(Inputs(x, a))[0].dynamic[-1:]
    )


def mlp(dropout: float = 0.0) -> Mlp:
    torch.manual_seed(0)
    return Mlp(4, 5, hidden_sizes=(16, 16), dropout=dropout)


@pytest.mark.parametrize("build", [lstm, mlp])
class TestDropout:
    def scores(self, net: Network, seed: int) -> Tensor:
        return net(Inputs(inputs(), attributes(), seed=seed))[0].static

    def test_is_a_function_of_the_seed(self, build: type) -> None:
        net = build(0.5)
        torch.manual_seed(1)
        first = self.scores(net, 7)
        torch.manual_seed(2)
        assert torch.equal(self.scores(net, 7), first)
        assert not torch.equal(self.scores(net, 8), first)

    def test_is_off_in_evaluation(self, build: type) -> None:
        assert torch.equal(self.scores(build(0.5).eval(), 7), self.scores(build(0.0), 7))

    def test_does_not_depend_on_the_other_basins(self, build: type) -> None:
        net, x, a = build(0.5), inputs(), attributes()
        both, one = (
            net(Inputs(x, a, seed=3))[0].static,
            net(Inputs(x[:, 1:], a[1:], seed=3))[0].static,
        )
        torch.testing.assert_close(both[1:], one)


def test_dropped_weights_keep_their_expectation() -> None:
    mask = keep_mask(torch.zeros(400, 400), 0.3, seed=1)
    assert mask.unique().tolist() == pytest.approx([0.0, 1 / 0.7])
    assert mask.mean().item() == pytest.approx(1.0, abs=0.01)


def test_mlp_gives_static_scores_only() -> None:
    net = mlp()
    scores, state = net(Inputs(inputs(), attributes()))
    assert scores.dynamic.shape == (5, 2, 0)
    assert scores.static.shape == (2, 5)
    assert state == ()
