"""Transformer encoder: how far it sees, and what it costs."""

import pytest
import torch

from dmg.nn import Inputs, Transformer


def network(num_layers: int, context: int = 4) -> Transformer:
    torch.manual_seed(0)
    sizes = (2, 0, 3, 1)
    return Transformer(
        *sizes, hidden_size=8, num_heads=2, num_layers=num_layers, context=context
    ).double()


def sensitivity(net: Transformer, num_steps: int = 30) -> torch.Tensor:
    """Change of the last step's scores by a change of each day `[T]`."""
    x = torch.randn(num_steps, 1, 2, dtype=torch.float64, requires_grad=True)
    scores, _ = net(Inputs(x, torch.zeros(1, 0, dtype=torch.float64)))
    scores.dynamic[-1].sum().backward()
    assert x.grad is not None
    return x.grad.abs().sum((1, 2))


@pytest.mark.parametrize("num_layers", [1, 3])
def test_sees_as_far_back_as_it_says(num_layers: int) -> None:
    seen = sensitivity(network(num_layers)) > 0
    days = num_layers * 3 + 1
    assert seen[-days:].all()
    assert not seen[:-days].any()


def test_scores_do_not_depend_on_where_a_window_starts() -> None:
    """Once the context is full, only how long ago a day was matters."""
    net = network(1).eval()
    x = torch.randn(40, 1, 2, dtype=torch.float64)
    none = torch.zeros(1, 0, dtype=torch.float64)
    late = net(Inputs(x[20:], none))[0].dynamic[5:]
    torch.testing.assert_close(late, net(Inputs(x, none))[0].dynamic[25:], rtol=1e-9, atol=1e-11)


def test_order_of_days_matters() -> None:
    net, x = network(1, context=6).eval(), torch.randn(6, 1, 2, dtype=torch.float64)
    swapped = x[[1, 0, 2, 3, 4, 5]]
    none = torch.zeros(1, 0, dtype=torch.float64)
    first, second = (net(Inputs(s, none))[0].dynamic[-1] for s in (x, swapped))
    assert (first - second).abs().max() > 1e-6


def test_memory_of_the_state_is_bounded() -> None:
    net = network(2)
    _, state = net(Inputs(torch.zeros(50, 1, 2).double(), torch.zeros(1, 0).double()))
    assert [memory.shape for memory in state] == [(3, 1, 8)] * 2


def test_width_must_suit_the_heads() -> None:
    with pytest.raises(ValueError, match="multiple of twice num_heads, found 10 for 4 heads"):
        Transformer(2, 0, 1, 0, hidden_size=10, num_heads=4)
