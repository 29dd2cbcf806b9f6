"""LSTM on forcings and attributes as they are, without a layer before it.

As the regional models of Kratzert et al. 2019, HESS 23, 5089, doi:10.5194/hess-23-5089-2019:
orthogonal and identity first weights, an open forget gate, dropout of the outputs.

Shape legend: T time, B basins, F forcings, A attributes, H hidden units.
"""

from __future__ import annotations

import torch
from torch import nn

from dmg.nn.base import Inputs, NetworkState, Scores
from dmg.nn.heads import Headed, first_weights, run_lstm


class PlainLstm(Headed):
    """LSTM layer and linear heads.

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
        size, num_inputs = hidden_size, num_forcings + num_attributes
        of_input, of_hidden = first_weights(4, num_inputs, size)
        self.weight_ih, self.weight_hh = nn.Parameter(of_input), nn.Parameter(of_hidden)
        # gates in the order input, forget, cell, output
        self.bias = nn.Parameter(torch.tensor([0.0, forget_bias, 0.0, 0.0]).repeat_interleave(size))
        self._add_heads(size)
        self.dropout = dropout
        self.in_bfloat16 = bfloat16

    def forward(
        self, inputs: Inputs, state: NetworkState = (), last_only: bool = False
    ) -> tuple[Scores, NetworkState]:
        """Give the scores of a period: see `Network.forward`."""
        attributes = inputs.attributes.expand(len(inputs.forcing), -1, -1)
        x = torch.cat([inputs.forcing, attributes], dim=-1)
        weights = [self.weight_ih, self.weight_hh, self.bias, torch.zeros_like(self.bias)]
        hidden, state = run_lstm(x, state, weights, self.in_bfloat16, self.training)
        return self._read_dropped(hidden, last_only, inputs, self.dropout), state
