"""Random masks that are functions of a seed, not of a device's or rank's random state."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dmg.nn.base import Inputs


def keep_mask(like: Tensor, dropout: float, seed: int) -> Tensor:
    """Mask of the shape of `like`: 0 with chance `dropout`, else `1 / (1 - dropout)`."""
    generator = torch.Generator(device=like.device).manual_seed(seed)
    keep = torch.rand(like.shape, generator=generator, device=like.device) >= dropout
    return keep.to(like.dtype) / (1 - dropout)


def keep_windows(inputs: Inputs, num_features: int, dropout: float) -> Tensor:
    """Mask `[B, D]` of each window's D features; it follows the window, whatever rank has it."""
    num_basins = inputs.forcing.shape[1]
    rows = inputs.rows.cpu() if len(inputs.rows) else torch.arange(num_basins)
    every = torch.empty(int(rows.max()) + 1, num_features, dtype=inputs.forcing.dtype)
    return keep_mask(every, dropout, inputs.seed)[rows].to(inputs.forcing.device)


def drop(tensors: Sequence[Tensor], dropout: float, seed: int) -> list[Tensor]:
    """Multiply each tensor by a mask of its own."""
    return [t * keep_mask(t, dropout, seed + i) for i, t in enumerate(tensors)]
