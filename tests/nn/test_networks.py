"""Parameter networks: published numbers, causality, chunks, dropout."""

import pytest
import torch
from torch import Tensor, nn

from dmg.nn import Inputs, Lstm, Mlp
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


def mlp(dropout: float = 0.0) -> Mlp:
    torch.manual_seed(0)
    return Mlp(4, 5, hidden_sizes=(16, 16), dropout=dropout)


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
