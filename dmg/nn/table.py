"""Scores that are weights themselves: calibration by gradient descent.

Shape legend: B basins, N basins of the table, S static scores.
"""

from __future__ import annotations

import torch
from torch import nn

from dmg.nn.base import Inputs, Network, NetworkState, Scores

SPREAD = 0.1
"""Standard deviation of the first scores, so that components differ [1]."""


class Table(Network):
    """One free vector of scores per basin; it reads neither forcings nor attributes.

    Parameters
    ----------
    num_basins
        N; none: one vector for all basins.
    num_static
        S, number of scores per basin.
    """

    static_needs_forcing = False

    def __init__(self, num_basins: int | None, num_static: int) -> None:
        super().__init__(0, num_static)
        self.shared = num_basins is None
        self.scores = nn.Parameter(SPREAD * torch.randn(num_basins or 1, num_static))

    def forward(
        self, inputs: Inputs, state: NetworkState = (), last_only: bool = False
    ) -> tuple[Scores, NetworkState]:
        """Give the scores of a period: see `Network.forward`.

        Raises
        ------
        ValueError
            If a basin has no row in the table.
        """
        if self.shared:
            scores = self.scores.expand(inputs.forcing.shape[1], -1)
        else:
            self._check(inputs)
            scores = self.scores[inputs.basin]
        return self._static(scores, inputs, last_only), ()

    def _check(self, inputs: Inputs) -> None:
        rows, num_basins = inputs.basin, len(self.scores)
        if len(rows) != inputs.forcing.shape[1]:
            raise ValueError(
                f"a table needs batch.basin, the row of each of {inputs.forcing.shape[1]} basins,"
                f" found {len(rows)} rows"
            )
        if rows.is_cuda and self.training:  # rows come from the sampler; reading them would wait
            return
        if int(rows.max()) >= num_basins or int(rows.min()) < 0:
            raise ValueError(
                f"the table has parameters of {num_basins} basins, found row {int(rows.max())};"
                " it cannot serve other basins: use a network that reads attributes"
            )
