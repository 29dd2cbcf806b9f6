"""What a network between data and physics is: forcings and attributes in, raw scores out.

Shape legend: T time, B basins, F forcings, A attributes, D dynamic scores, S static scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

NetworkState = tuple[Any, ...]
"""Memory of a network after its last step, tensors or tuples of them; empty: no memory."""


class Inputs(NamedTuple):
    """What a network may read of a batch."""

    forcing: Tensor
    """Normalised forcings `[T, B, F]`."""
    attributes: Tensor
    """Normalised attributes `[B, A]`."""
    basin: Tensor = torch.zeros(0, dtype=torch.int64)
    """Row of each basin in the experiment's list, `[B]`."""
    physical: Mapping[str, Tensor] = {}
    """Forcings as they are, `[T, B]` by name."""
    seed: int = 0
    """Seed of the dropout; the same seed gives the same mask on every rank."""
    rows: Tensor = torch.zeros(0, dtype=torch.int64)
    """Position of each window in the global batch, `[B]`; none: their order here."""


class Scores(NamedTuple):
    """Raw scores of a network; sigmoid and bounds are the parameter map's."""

    dynamic: Tensor  # [T, B, D]; T = 1 where only the last step was asked for
    static: Tensor  # [B, S], those of the last step


class Network(nn.Module):
    """A network that gives scores from normalised forcings and attributes.

    Parameters
    ----------
    num_dynamic, num_static
        D and S, the numbers of scores per step and per basin.
    """

    gives_flow: ClassVar[bool] = False
    """Whether the dynamic score is the flow itself [mm d-1], not the standardised one."""
    static_needs_forcing: ClassVar[bool] = True
    """Whether static scores depend on the forcing of the period before."""

    def __init__(self, num_dynamic: int, num_static: int) -> None:
        super().__init__()
        self.num_dynamic = num_dynamic
        self.num_static = num_static

    def forward(
        self, inputs: Inputs, state: NetworkState = (), last_only: bool = False
    ) -> tuple[Scores, NetworkState]:
        """Give the scores of a period.

        Parameters
        ----------
        inputs
            Forcings and attributes of the period.
        state
            Memory after the step before the first; empty: none.
        last_only
            Give the dynamic scores of the last step only, `[1, B, D]`.
        """
        raise NotImplementedError

    def _static(self, scores: Tensor, inputs: Inputs, last_only: bool) -> Scores:
        """Scores of a network that gives nothing dynamic."""
        num_steps = 1 if last_only else len(inputs.forcing)
        return Scores(scores.new_zeros(num_steps, len(scores), 0), scores)


class NoNetwork(Network):
    """In the place of a network where parameters are fixed or given."""

    static_needs_forcing = False

    def __init__(self) -> None:
        super().__init__(0, 0)

    def forward(
        self, inputs: Inputs, state: NetworkState = (), last_only: bool = False
    ) -> tuple[Scores, NetworkState]:
        """Give no scores: see `Network.forward`."""
        num_basins = inputs.forcing.shape[1]
        return self._static(inputs.forcing.new_zeros(num_basins, 0), inputs, last_only), ()
