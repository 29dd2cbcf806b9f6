"""Entity-aware LSTM: attributes alone open the input gate, constant in time.

Kratzert et al. 2019, HESS 23, 5089, doi:10.5194/hess-23-5089-2019. The gate's logits enter
`torch.lstm` as further inputs through an identity, so that the layer runs as fast as any LSTM.

Shape legend: T time, B basins, F forcings, A attributes, H hidden units.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dmg.nn.base import Inputs, NetworkState, Scores
from dmg.nn.heads import Headed, first_weights, run_lstm


class EaLstm(Headed):
    """LSTM over forcings whose input gate is a function of the attributes.

    Parameters
    ----------
    num_forcings, num_attributes
        F and A.
    num_dynamic, num_static
        Numbers of scores per step and per basin.
    hidden_size
        H.
    dropout
        Chance that an output of the recurrent layer is dropped in a training step [1].
    forget_bias
        First bias of the forget gate; the larger, the longer the first memory.
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
        forget_bias: float = 5.0,
        bfloat16: bool = False,
    ) -> None:
        super().__init__(num_dynamic, num_static)
        size = hidden_size
        self.input_gate = nn.Linear(num_attributes, size)
        # gates in the order forget, cell, output
        of_input, of_hidden = first_weights(3, num_forcings, size)
        self.weight_ih, self.weight_hh = nn.Parameter(of_input), nn.Parameter(of_hidden)
        self.bias = nn.Parameter(torch.tensor([forget_bias, 0.0, 0.0]).repeat_interleave(size))
        self._add_heads(size)
        self.dropout = dropout
        self.in_bfloat16 = bfloat16

    def forward(
        self, inputs: Inputs, state: NetworkState = (), last_only: bool = False
    ) -> tuple[Scores, NetworkState]:
        """Give the scores of a period: see `Network.forward`."""
        gate = self.input_gate(inputs.attributes).expand(len(inputs.forcing), -1, -1)
        x = torch.cat([inputs.forcing, gate], dim=-1)
        hidden, state = run_lstm(x, state, self._weights(), self.in_bfloat16, self.training)
        return self._read_dropped(hidden, last_only, inputs, self.dropout), state

    def _weights(self) -> list[Tensor]:
        """Weights of an LSTM over forcings and the gate's logits, which it passes through."""
        of_input: Tensor = self.weight_ih
        of_hidden: Tensor = self.weight_hh
        size = of_hidden.shape[1]
        zeros, identity = torch.zeros_like(of_hidden), torch.eye(size).to(of_hidden)
        passes = torch.cat([torch.zeros_like(of_input[:size]), identity], dim=1)
        bias = torch.cat([zeros[:size, 0], self.bias])
        return [
            torch.cat([passes, torch.cat([of_input, zeros], dim=1)]),
            torch.cat([zeros[:size], of_hidden]),
            bias,
            torch.zeros_like(bias),
        ]
