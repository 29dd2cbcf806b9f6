"""LSTM for dynamic parameters beside a perceptron for static ones, as in δHBV 2.0.

Song et al. 2025, doi:10.1029/2024WR038928.
"""

from __future__ import annotations

from collections.abc import Sequence

from dmg.nn.base import Inputs, Network, NetworkState, Scores
from dmg.nn.lstm import Lstm
from dmg.nn.mlp import Mlp


class LstmMlp(Network):
    """LSTM over forcings and attributes, perceptron over attributes.

    Parameters
    ----------
    num_forcings, num_attributes
        F and A.
    num_dynamic, num_static
        Scores of the LSTM per step, and of the perceptron per basin.
    hidden_size, dropout, bfloat16
        Of the LSTM, see `Lstm`.
    mlp_hidden_sizes, mlp_dropout
        Of the perceptron, see `Mlp`.
    """

    static_needs_forcing = False

    def __init__(
        self,
        num_forcings: int,
        num_attributes: int,
        num_dynamic: int,
        num_static: int,
        *,
        hidden_size: int = 64,
        dropout: float = 0.0,
        bfloat16: bool = False,
        mlp_hidden_sizes: Sequence[int] = (256, 256, 256),
        mlp_dropout: float = 0.0,
    ) -> None:
        super().__init__(num_dynamic, num_static)
        self.lstm = Lstm(
            num_forcings, num_attributes, num_dynamic, 0,
            hidden_size=hidden_size, dropout=dropout, bfloat16=bfloat16,
        )  # fmt: skip
        self.mlp = Mlp(
            num_attributes, num_static, hidden_sizes=mlp_hidden_sizes, dropout=mlp_dropout
        )

    def forward(
        self, inputs: Inputs, state: NetworkState = (), last_only: bool = False
    ) -> tuple[Scores, NetworkState]:
        """Give the scores of a period: see `Network.forward`."""
        of_lstm, state = self.lstm(inputs, state, last_only)
        of_mlp, _ = self.mlp(inputs, (), True)
        return Scores(of_lstm.dynamic, of_mlp.static), state
