"""LSTM that gives dynamic parameters at every step and static ones at the last.

Linear + ReLU, one LSTM layer, linear heads; dropout acts on the recurrent layer's weights with
one mask for all steps (Gal and Ghahramani 2016; Fang and Shen 2017, doi:10.1002/2017GL075619).

Shape legend: T time, B basins, F forcings, A attributes, H hidden units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dmg.nn.base import Inputs, NetworkState, Scores
from dmg.nn.dropout import drop
from dmg.nn.heads import Headed, embed, run_lstm


class Lstm(Headed):
    """LSTM over forcings and attributes.

    Parameters
    ----------
    num_forcings, num_attributes
        F and A.
    num_dynamic, num_static
        Numbers of scores per step and per basin.
    hidden_size
        H.
    dropout
        Chance that a weight of the recurrent layer is dropped in a training step [1].
    bfloat16
        Whether the recurrent layer computes in bfloat16 (weights and results stay float32).
    """

    def __init__(
        self,
        num_forcings: int,
        num_attributes: int,
        num_dynamic: int,
        num_static: int,
        *,
        hidden_size: int = 256,
        dropout: float = 0.0,
        bfloat16: bool = False,
    ) -> None:
        super().__init__(num_dynamic, num_static)
        self.linear_in = nn.Linear(num_forcings + num_attributes, hidden_size)
        self.lstm = nn.LSTM(hidden_size, hidden_size)
        self._add_heads(hidden_size)
        self.dropout = dropout
        self.in_bfloat16 = bfloat16

    def forward(
        self, inputs: Inputs, state: NetworkState = (), last_only: bool = False
    ) -> tuple[Scores, NetworkState]:
        """Give the scores of a period: see `Network.forward`."""
        x = self._embed(inputs.forcing, inputs.attributes)
        hidden, state = self._recur(x, state, inputs.seed)
        return self._read(hidden, last_only), state

    def _embed(self, forcing: Tensor, attributes: Tensor) -> Tensor:
        return torch.relu(embed(self.linear_in, forcing, attributes))

    def _recur(self, x: Tensor, state: NetworkState, seed: int) -> tuple[Tensor, NetworkState]:
        weights: list[Tensor] = list(self.lstm.parameters())  # w_ih, w_hh, b_ih, b_hh
        if self.training and self.dropout > 0:
            weights = drop(weights[:2], self.dropout, seed) + weights[2:]
        return run_lstm(x, state, weights, self.in_bfloat16, self.training)
