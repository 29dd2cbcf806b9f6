"""Networks whose scores are linear in features of each step.

Shape legend: T time, B basins, F forcings, A attributes, D features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from dmg.nn.base import Inputs, Network, Scores
from dmg.nn.dropout import keep_windows


class Headed(Network):
    """A network with a linear head for dynamic and one for static scores.

    Parameters
    ----------
    num_dynamic, num_static
        Numbers of scores per step and per basin.
    """

    dynamic_head: nn.Linear | None
    static_head: nn.Linear | None

    def _add_heads(self, num_features: int) -> None:
        """Add the heads, after all other layers."""
        self.dynamic_head = nn.Linear(num_features, self.num_dynamic) if self.num_dynamic else None
        self.static_head = nn.Linear(num_features, self.num_static) if self.num_static else None

    def _read(self, features: Tensor, last_only: bool) -> Scores:
        """Features `[T, B, D]` to scores."""
        wanted = features[-1:] if last_only else features
        dynamic = self.dynamic_head(wanted) if self.dynamic_head else wanted[..., :0]
        static = self.static_head(wanted[-1]) if self.static_head else wanted[-1, :, :0]
        return Scores(dynamic, static)

    def _read_dropped(
        self, features: Tensor, last_only: bool, inputs: Inputs, dropout: float
    ) -> Scores:
        """Features to scores, in training with some of each window's features dropped."""
        wanted = features[-1:] if last_only else features
        if self.training and dropout > 0:
            wanted = wanted * keep_windows(inputs, features.shape[-1], dropout)
        return self._read(wanted, last_only)


def first_weights(num_gates: int, num_inputs: int, size: int) -> tuple[Tensor, Tensor]:
    """First weights of gates in Kratzert et al. (2019): orthogonal of inputs, identity of outputs.

    doi:10.5194/hess-23-5089-2019
    """
    of_input = nn.init.orthogonal_(torch.empty(num_gates * size, num_inputs))
    return of_input, torch.eye(size).repeat(num_gates, 1)


def embed(linear: nn.Linear, forcing: Tensor, attributes: Tensor) -> Tensor:
    """Linear layer over `[T, B, F]` and `[B, A]`; the attributes' part is computed once."""
    split = [forcing.shape[-1], attributes.shape[-1]]
    of_forcing, of_attributes = torch.split(linear.weight, split, dim=1)
    constant = functional.linear(attributes, of_attributes, linear.bias)
    return functional.linear(forcing, of_forcing) + constant


def run_lstm(
    x: Tensor, state: tuple[Tensor, ...], weights: list[Tensor], bfloat16: bool, training: bool
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """LSTM layer with given weights (w_ih, w_hh, b_ih, b_hh), in bfloat16 where asked for.

    Returns
    -------
    hidden, state
        Outputs `[T, B, H]`, and the last output and cell state `[1, B, H]`, in the type of `x`.
    """
    if not state:
        zeros = x.new_zeros(1, x.shape[1], weights[1].shape[1])
        state = (zeros, zeros)
    # torch.lstm is what nn.LSTM calls; here the weights are masked or put together
    with torch.autocast(x.device.type, torch.bfloat16, enabled=bfloat16):
        hidden, h, c = torch.lstm(x, state, weights, True, 1, 0.0, training, False, False)
    return hidden.to(x.dtype), (h.to(x.dtype), c.to(x.dtype))
