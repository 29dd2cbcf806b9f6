"""Entity-aware LSTM: published numbers."""

import torch

from dmg.nn import EaLstm, Inputs
from tests.golden import CASES
from tests.nn.test_networks import inputs


def wave(k: int, *shape: int) -> torch.Tensor:
    """Weights of the golden cases, see `fill`."""
    element = torch.arange(1, torch.Size(shape).numel() + 1, dtype=torch.float64)
    return (0.5 * torch.sin(0.7 * element + k)).reshape(shape).float()


def ours(weight: torch.Tensor) -> torch.Tensor:
    """Gates in the published order (forget, output, cell) to forget, cell, output."""
    forget, output, cell = weight.chunk(3)
    return torch.cat([forget, cell, output])


def test_agrees_with_the_published_program() -> None:
    net = EaLstm(3, 2, num_dynamic=4, num_static=0, hidden_size=4)
    with torch.no_grad():
        net.weight_ih.copy_(ours(wave(0, 3, 12).T))
        net.weight_hh.copy_(ours(wave(1, 4, 12).T))
        net.bias.copy_(ours(wave(2, 12)))
        net.input_gate.weight.copy_(wave(0, 4, 2))
        net.input_gate.bias.copy_(wave(1, 4))
        assert net.dynamic_head is not None
        net.dynamic_head.weight.copy_(torch.eye(4))
        net.dynamic_head.bias.zero_()
    attributes = torch.tensor([[0.3, -0.6], [1.0, 0.2]])
    scores, _ = net(Inputs(inputs(), attributes), last_only=True)
    expected = torch.tensor(CASES["ealstm_cell"]["h_T"])
    torch.testing.assert_close(scores.dynamic[0], expected, atol=1e-6, rtol=0)


def test_first_weights_are_the_published_ones() -> None:
    net = EaLstm(3, 2, 1, 0, hidden_size=5, forget_bias=3.0)
    assert net.bias.tolist() == [3.0] * 5 + [0.0] * 10
    torch.testing.assert_close(net.weight_ih.T @ net.weight_ih, torch.eye(3))
    assert torch.equal(net.weight_hh, torch.eye(5).repeat(3, 1))
