"""Mass-conserving LSTM: cells hold water, gates only move it.

Hoedt et al. 2021, arXiv:2101.05186. What a published program does otherwise: the cells that the
gates see are normalised within each basin, not over the batch, so that basins are independent;
a cell whose redistribution weights are all zero keeps its water, which would vanish.

Shape legend: T time, B basins, F forcings, A attributes, H cells.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dmg.nn.base import Inputs, Network, NetworkState, Scores

EPSILON = 1e-5
"""Added to the stored water before dividing by it [mm]."""

TINY = 1e-12
"""Smallest sum of redistribution weights that is divided by [1]."""


class McLstm(Network):
    """Streamflow as the outflow of all cells but the first, whose outflow is lost (aet).

    Parameters
    ----------
    num_forcings, num_attributes
        F and A.
    hidden_size
        H.
    mass
        Forcing that enters the cells [mm d-1].
    """

    gives_flow = True

    def __init__(
        self,
        num_forcings: int,
        num_attributes: int,
        *,
        hidden_size: int = 64,
        mass: str = "precipitation",
    ) -> None:
        super().__init__(1, 0)
        num_features = 1 + num_forcings + num_attributes + hidden_size
        self.output_gate = nn.Linear(num_features, hidden_size)
        self.input_gate = nn.Linear(num_features, hidden_size)
        self.redistribution = nn.Linear(num_features, hidden_size * hidden_size)
        for gate in (self.output_gate, self.input_gate, self.redistribution):
            nn.init.orthogonal_(gate.weight)
            nn.init.zeros_(gate.bias)
        nn.init.constant_(self.output_gate.bias, -3.0)  # closed at first
        self.hidden_size = hidden_size
        self.mass = mass

    def forward(
        self, inputs: Inputs, state: NetworkState = (), last_only: bool = False
    ) -> tuple[Scores, NetworkState]:
        """Give the flow [mm d-1] as score: see `Network.forward`.

        Raises
        ------
        ValueError
            If the forcing that enters the cells is missing.
        """
        outflows, cells = self.outflows(inputs, state)
        flow = outflows[..., 1:].sum(-1, keepdim=True)
        return Scores(flow[-1:] if last_only else flow, flow[0, :, :0]), (cells,)

    def outflows(self, inputs: Inputs, state: NetworkState = ()) -> tuple[Tensor, Tensor]:
        """Outflow of each cell `[T, B, H]` [mm d-1], and the water left in them `[B, H]` [mm]."""
        if self.mass not in inputs.physical:
            raise ValueError(
                f"an mc_lstm conserves {self.mass}, found the forcings {sorted(inputs.physical)}"
            )
        mass = torch.nan_to_num(inputs.physical[self.mass]).unsqueeze(-1)
        attributes = inputs.attributes.expand(len(mass), -1, -1)
        known = torch.cat([mass, inputs.forcing, attributes], dim=-1)
        (cells,) = state or (mass.new_zeros(mass.shape[1], self.hidden_size),)
        outflows = []
        for mass_t, known_t in zip(mass.unbind(), known.unbind(), strict=True):
            cells, outflow = self._step(cells, mass_t, known_t)
            outflows.append(outflow)
        return torch.stack(outflows), cells

    def _step(self, cells: Tensor, mass: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.cat([known, cells / (cells.sum(-1, keepdim=True) + EPSILON)], dim=-1)
        enters = torch.sigmoid(self.input_gate(features))
        leaves = torch.sigmoid(self.output_gate(features))
        moved = (cells.unsqueeze(-2) @ self._moves(features)).squeeze(-2)
        water = moved + mass * (enters / enters.sum(-1, keepdim=True))
        outflow = leaves * water
        return water - outflow, outflow

    def _moves(self, features: Tensor) -> Tensor:
        """Fraction of each cell's water that goes to each other, `[B, H, H]`; rows sum to one."""
        weights = torch.relu(self.redistribution(features))
        weights = weights.view(-1, self.hidden_size, self.hidden_size)
        total = weights.sum(-1, keepdim=True)
        stays = torch.eye(self.hidden_size, dtype=weights.dtype, device=weights.device)
        return torch.where(total > TINY, weights / total.clamp(min=TINY), stays)
