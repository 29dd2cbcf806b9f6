"""Multi-layer perceptron that gives static parameters from attributes.

Shape legend: B basins, A attributes, S static scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from dmg.nn.base import Inputs, Network, NetworkState, Scores
from dmg.nn.dropout import keep_mask


class Mlp(Network):
    """Perceptron over attributes; it sees no forcing and gives no dynamic scores.

    Parameters
    ----------
    num_attributes
        A.
    num_static
        S, number of scores per basin.
    hidden_sizes
        Units of the hidden layers (ReLU).
    dropout
        Chance that a hidden unit is dropped in a training step, for the whole batch [1].
    """

    static_needs_forcing = False

    def __init__(
        self,
        num_attributes: int,
        num_static: int,
        *,
        hidden_sizes: Sequence[int] = (256, 256, 256),
        dropout: float = 0.0,
    ) -> None:
        super().__init__(0, num_static)
        sizes = (num_attributes, *hidden_sizes, num_static)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.dropout = dropout

    def forward(
        self, inputs: Inputs, state: NetworkState = (), last_only: bool = False
    ) -> tuple[Scores, NetworkState]:
        """Give the scores of a period: see `Network.forward`."""
        x = inputs.attributes
        for i, layer in enumerate(self.layers[:-1]):
            x = torch.relu(layer(x))
            if self.training and self.dropout > 0:
                x = x * keep_mask(x[0], self.dropout, inputs.seed + i)
        return self._static(self.layers[-1](x), inputs, last_only), ()
