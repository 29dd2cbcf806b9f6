"""LSTM that gives dynamic parameters at every step and static ones at the last.

Linear + ReLU, one LSTM layer, linear heads; dropout acts on the recurrent layer's weights with
one mask for all steps (Gal and Ghahramani 2016; Fang and Shen 2017, doi:10.1002/2017GL075619).

Shape legend: T time, B basins, F forcings, A attributes, H hidden units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from dmg.nn.base import Inputs, Network, NetworkState, Scores
from dmg.nn.dropout import drop


class Lstm(Network):
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
        self.dynamic_head = nn.Linear(hidden_size, num_dynamic) if num_dynamic else None
        self.static_head = nn.Linear(hidden_size, num_static) if num_static else None
        self.dropout = dropout
        self.in_bfloat16 = bfloat16

    def forward(
        self, inputs: Inputs, state: NetworkState = (), last_only: bool = False
    ) -> tuple[Scores, NetworkState]:
        """Give the scores of a period: see `Network.forward`."""
        hidden, state = self._recur(
            self._embed(inputs.forcing, inputs.attributes), state, inputs.seed
        )
        wanted = hidden[-1:] if last_only else hidden
        dynamic = self.dynamic_head(wanted) if self.dynamic_head else wanted[..., :0]
        static = self.static_head(hidden[-1]) if self.static_head else hidden[-1, :, :0]
        return Scores(dynamic, static), state

    def _embed(self, forcing: Tensor, attributes: Tensor) -> Tensor:
        """Input layer; the attributes' part is computed once, not once per step."""
        split = [forcing.shape[-1], attributes.shape[-1]]
        of_forcing, of_attributes = torch.split(self.linear_in.weight, split, dim=1)
        constant = functional.linear(attributes, of_attributes, self.linear_in.bias)
        return torch.relu(functional.linear(forcing, of_forcing) + constant)

    def _recur(self, x: Tensor, state: NetworkState, seed: int) -> tuple[Tensor, NetworkState]:
        if not state:
            zeros = x.new_zeros(1, x.shape[1], self.lstm.hidden_size)
            state = (zeros, zeros)
        weights: list[Tensor] = list(self.lstm.parameters())  # w_ih, w_hh, b_ih, b_hh
        if self.training and self.dropout > 0:
            weights = drop(weights[:2], self.dropout, seed) + weights[2:]
        # torch.lstm is what nn.LSTM calls; here it gets the masked weights
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.in_bfloat16):
            hidden, h, c = torch.lstm(x, state, weights, True, 1, 0.0, self.training, False, False)
        return hidden.to(x.dtype), (h.to(x.dtype), c.to(x.dtype))
