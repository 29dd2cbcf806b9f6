"""Pieces that are computed twice give the scores and the gradients of the whole."""

import pytest
import torch

from dmg.nn import Inputs, Lstm, LstmMlp, Network
from dmg.nn.recompute import run

NETWORKS = {
    "lstm": lambda: Lstm(3, 2, 4, 5, hidden_size=8, dropout=0.3),
    "lstm_mlp": lambda: LstmMlp(3, 2, 4, 5, hidden_size=8, dropout=0.3, mlp_hidden_sizes=(6,)),
}


def inputs(num_steps: int = 50) -> Inputs:
    draw = torch.Generator().manual_seed(1)
    forcing = torch.randn(num_steps, 4, 3, generator=draw, dtype=torch.float64)
    return Inputs(forcing, torch.randn(4, 2, generator=draw, dtype=torch.float64), seed=7)


def gradient(network: Network, last_only: bool, days: int | None) -> list[torch.Tensor]:
    network.zero_grad()
    scores, memory = run(network, inputs(), (), last_only, days)
    (scores.dynamic.square().sum() + scores.static.sum() + memory[1].sum()).backward()
    return [scores.dynamic, *(p.grad.clone() for p in network.parameters() if p.grad is not None)]


@pytest.mark.parametrize("last_only", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_same_scores_and_gradients(name: str, last_only: bool) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name]().double()
    whole = gradient(network, last_only, None)
    for days in (7, 49):
        for ours, theirs in zip(gradient(network, last_only, days), whole, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-13)


def test_keeps_less_for_the_gradient() -> None:
    kept = {days: saved_bytes(days) for days in (None, 10)}
    assert kept[10] < 0.3 * kept[None]


def saved_bytes(days: int | None) -> int:
    """Bytes that the graph of one pass over 50 steps holds."""
    sizes: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(0)
    network = Lstm(3, 2, 4, 5, hidden_size=32).double()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run(network, inputs(), (), False, days)
    return sum(sizes.values())
