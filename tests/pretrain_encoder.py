"""Pretrain a small causal encoder on random weather, and export it.

`python -m tests.pretrain_encoder encoder.pt2` writes a program that `nn: {name: encoder, source:
encoder.pt2, context: 10}` can use. It learns to tell tomorrow's weather from the days before.
"""

import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

CONTEXT = 10
"""Days that an output depends on: 1 + 3 + 6."""


class CausalEncoder(nn.Module):
    """Two dilated convolutions over time, `[T, B, F]` to `[T, B, D]`."""

    def __init__(self, num_forcings: int = 3, num_features: int = 8) -> None:
        super().__init__()
        self.first = nn.Conv1d(num_forcings, num_features, 4)
        self.second = nn.Conv1d(num_features, num_features, 3, dilation=3)

    def forward(self, x: Tensor) -> Tensor:
        series = x.permute(1, 2, 0)
        series = torch.relu(self.first(functional.pad(series, (3, 0))))
        return torch.relu(self.second(functional.pad(series, (6, 0)))).permute(2, 0, 1)


def pretrain(num_forcings: int = 3, steps: int = 100) -> CausalEncoder:
    """Predict the next day of autoregressive weather."""
    torch.manual_seed(0)
    encoder = CausalEncoder(num_forcings)
    head = nn.Linear(8, num_forcings)
    weights = [*encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(weights, lr=0.01)
    for _ in range(steps):
        days = [torch.randn(4, num_forcings)]
        for _ in range(40):
            days.append(0.8 * days[-1] + 0.6 * torch.randn(4, num_forcings))
        x = torch.stack(days)
        optimizer.zero_grad()
        loss = (head(encoder(x[:-1])) - x[1:]).square().mean()
        loss.backward()
        optimizer.step()
    return encoder.eval()


def export(encoder: nn.Module, path: Path, num_forcings: int = 3) -> Path:
    """Write the encoder as a program for any number of days and basins."""
    sizes = {0: torch.export.Dim("days", min=2), 1: torch.export.Dim("basins", min=2)}
    example = (torch.zeros(20, 3, num_forcings),)
    torch.export.save(torch.export.export(encoder, example, dynamic_shapes=(sizes,)), path)
    return path


if __name__ == "__main__":
    export(pretrain(), Path(sys.argv[1]))
