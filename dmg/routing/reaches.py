"""Reaches of a river network, as routing sees them.

Shape legend: N reaches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from dmg.routing.levels import Levels


@dataclass(frozen=True, eq=False)
class Reaches:
    """A river network: who flows into whom, and what its channels are like.

    Reaches may stand in any order. How they are worked through is found when they are first
    routed and kept: build one of these for a network, not one for each call.

    Parameters
    ----------
    downstream
        Position of the reach that each flows into, `[N]` int64; -1 at an outlet.
    length
        Length of the channel, `[N]` [m].
    slope
        Slope of the channel, `[N]` [1].
    x
        Weight of inflow in the storage of a reach, `[N]` or one number [1]; 0 diffuses most, 0.5
        only delays.

    Raises
    ------
    ValueError
        If sizes differ, a position is none of the network, or a length, slope or weight is
        impossible: the text names the first such reach. For a network with a cycle, when it is
        first routed.
    """

    downstream: Tensor
    length: Tensor
    slope: Tensor
    x: Tensor | float = 0.3

    def __post_init__(self) -> None:
        num_reaches = len(self.downstream)
        for name in ("length", "slope", "weight"):
            shape = tuple(getattr(self, name).shape)
            if shape != (num_reaches,):
                raise ValueError(f"{name} of reaches: expected [{num_reaches}], found {shape}")
        own = torch.arange(num_reaches, device=self.downstream.device)
        inside = (self.downstream >= -1) & (self.downstream < num_reaches)
        _refuse(self.downstream, ~inside, f"downstream: expected -1 to {num_reaches - 1}")
        _refuse(self.downstream, self.downstream == own, "downstream: expected another reach")
        _refuse(self.length, ~(self.length > 0), "length: expected more than 0 m")
        _refuse(self.slope, ~(self.slope >= 0), "slope: expected 0 or more")
        _refuse(self.weight, ~((self.weight >= 0) & (self.weight <= 0.5)), "x: expected 0 to 0.5")

    @property
    def num_reaches(self) -> int:
        """N."""
        return len(self.downstream)

    @cached_property
    def weight(self) -> Tensor:
        """Weight of inflow in the storage of each reach, `[N]` [1]."""
        x = torch.as_tensor(self.x, dtype=self.length.dtype, device=self.length.device)
        return x.expand(self.num_reaches) if x.ndim == 0 else x

    @cached_property
    def levels(self) -> Levels:
        """Reaches by their distance from the farthest headwater."""
        return Levels.of(self.downstream)

    def to(self, device: torch.device | str) -> Reaches:
        """Move to another device."""
        names = ("downstream", "length", "slope")
        moved = {name: getattr(self, name).to(device) for name in names}
        return replace(self, **moved, x=self.weight.to(device))


def _refuse(values: Tensor, wrong: Tensor, expected: str) -> None:
    if wrong.any():
        first = int(wrong.nonzero()[0])
        raise ValueError(f"{expected}, found {values[first].item():g} at reach {first}")
