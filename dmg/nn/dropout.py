"""Random masks that are functions of a seed, not of a device's or rank's random state."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def keep_mask(like: Tensor, dropout: float, seed: int) -> Tensor:
    """Mask of the shape of `like`: 0 with chance `dropout`, else `1 / (1 - dropout)`."""
    generator = torch.Generator(device=like.device).manual_seed(seed)
    keep = torch.rand(like.shape, generator=generator, device=like.device) >= dropout
    return keep.to(like.dtype) / (1 - dropout)


def drop(tensors: Sequence[Tensor], dropout: float, seed: int) -> list[Tensor]:
    """Multiply each tensor by a mask of its own."""
    return [t * keep_mask(t, dropout, seed + i) for i, t in enumerate(tensors)]
