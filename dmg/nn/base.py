"""What a network between data and physics is: forcings and attributes in, raw scores out.

Shape legend: T time, B basins, F forcings, A attributes, D dynamic scores, S static scores.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

NetworkState = tuple[Tensor, ...]
"""Memory of a network after its last step; empty for one without memory."""


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

    def __init__(self, num_dynamic: int, num_static: int) -> None:
        super().__init__()
        self.num_dynamic = num_dynamic
        self.num_static = num_static

    def forward(
        self,
        forcing: Tensor,
        attributes: Tensor,
        state: NetworkState = (),
        seed: int = 0,
        last_only: bool = False,
    ) -> tuple[Scores, NetworkState]:
        """Give the scores of a period.

        Parameters
        ----------
        forcing
            Normalised forcings `[T, B, F]`.
        attributes
            Normalised attributes `[B, A]`.
        state
            Memory after the step before the first; empty: none.
        seed
            Seed of the dropout; the same seed gives the same mask on every rank.
        last_only
            Give the dynamic scores of the last step only, `[1, B, D]`.
        """
        raise NotImplementedError
