"""Transformer encoder that sees a stated number of past days, and none of the future.

Each layer attends to its own inputs of the last `context` days (Vaswani et al. 2017,
arXiv:1706.03762); what matters is how long ago a day was (rotary positions, Su et al. 2021,
arXiv:2104.09864), not where it lies in a window. Each layer carries its last `context - 1` inputs
as state, so that chunks equal the whole; cost is linear in time.

Shape legend: T time, B basins, F forcings, A attributes, D width, C context.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from dmg.nn.base import Inputs, NetworkState, Scores
from dmg.nn.dropout import keep_mask
from dmg.nn.heads import Headed, embed


class Transformer(Headed):
    """Causal encoder over forcings and attributes.

    Parameters
    ----------
    num_forcings, num_attributes
        F and A.
    num_dynamic, num_static
        Numbers of scores per step and per basin.
    hidden_size
        D, a multiple of twice `num_heads`.
    num_heads, num_layers
        Attention heads, and layers; the encoder sees `num_layers * (context - 1)` days back.
    context
        C, days that a layer attends to, the present one included.
    dropout
        Chance that a unit is dropped in a training step, for the whole batch [1].
    bfloat16
        Whether the layers compute in bfloat16 (weights and results stay float32).

    Raises
    ------
    ValueError
        If the heads cannot share the width.
    """

    def __init__(
        self,
        num_forcings: int,
        num_attributes: int,
        num_dynamic: int,
        num_static: int,
        *,
        hidden_size: int = 64,
        num_heads: int = 4,
        num_layers: int = 2,
        context: int = 365,
        dropout: float = 0.0,
        bfloat16: bool = False,
    ) -> None:
        super().__init__(num_dynamic, num_static)
        if hidden_size % (2 * num_heads):
            raise ValueError(
                f"hidden_size must be a multiple of twice num_heads, found {hidden_size} for"
                f" {num_heads} heads"
            )
        self.linear_in = nn.Linear(num_forcings + num_attributes, hidden_size)
        self.layers = nn.ModuleList(
            _Layer(hidden_size, num_heads, context, dropout) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(hidden_size)
        self._add_heads(hidden_size)
        self.in_bfloat16 = bfloat16

    def forward(
        self, inputs: Inputs, state: NetworkState = (), last_only: bool = False
    ) -> tuple[Scores, NetworkState]:
        """Give the scores of a period: see `Network.forward`."""
        x = embed(self.linear_in, inputs.forcing, inputs.attributes)
        memories = state or tuple(x[:0] for _ in self.layers)
        carried = []
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.in_bfloat16):
            for i, (layer, memory) in enumerate(zip(self.layers, memories, strict=True)):
                x, memory = layer(x, memory, inputs.seed + 2 * i)
                carried.append(memory)
        return self._read(self.norm(x), last_only), tuple(carried)


class _Layer(nn.Module):
    """Attention to the past, then a perceptron; each adds to its normalised input."""

    def __init__(self, width: int, num_heads: int, context: int, dropout: float) -> None:
        super().__init__()
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.project = nn.Linear(width, width)
        self.expand, self.contract = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.num_heads, self.context, self.dropout = num_heads, context, dropout

    def forward(self, x: Tensor, memory: Tensor, seed: int) -> tuple[Tensor, Tensor]:
        """Map inputs `[T, B, D]` and those of the days before to outputs and a new memory."""
        known = torch.cat([memory, x])
        x = x + self._drop(self._attend(self.norm_attention(known), len(memory)), seed)
        inner = functional.gelu(self.expand(self.norm_mlp(x)))
        remembered = known[max(0, len(known) - self.context + 1) :]
        return x + self.contract(self._drop(inner, seed + 1)).to(x.dtype), remembered

    def _attend(self, known: Tensor, num_before: int) -> Tensor:
        """Attend from each step after the first `num_before` to the `context` last ones."""
        key, value = (
            self._heads(part.contiguous()) for part in self.key_value(known).chunk(2, dim=-1)
        )
        query = self._heads(self.query(known[num_before:]))
        position = torch.arange(len(known), device=known.device)
        key, query = _rotate(key, position), _rotate(query, position[num_before:])
        parts = []
        for start in range(num_before, len(known), self.context):  # blocks: linear in time
            at = position[start : start + self.context]
            seen = position[max(0, start - self.context + 1) : start + self.context]
            lag = at.unsqueeze(1) - seen
            parts.append(
                functional.scaled_dot_product_attention(
                    query[..., at - num_before, :], key[..., seen, :], value[..., seen, :],
                    attn_mask=(lag >= 0) & (lag < self.context),
                )
            )  # fmt: skip
        joined = torch.cat(parts, dim=-2).permute(2, 0, 1, 3).flatten(-2)
        projected: Tensor = self.project(joined)
        return projected.to(known.dtype)

    def _heads(self, x: Tensor) -> Tensor:
        """`[T, B, D]` to `[B, heads, T, D / heads]`."""
        return x.reshape(*x.shape[:2], self.num_heads, -1).permute(1, 2, 0, 3)

    def _drop(self, x: Tensor, seed: int) -> Tensor:
        if not (self.training and self.dropout):
            return x
        return x * keep_mask(x[0, 0], self.dropout, seed)


def _rotate(x: Tensor, position: Tensor) -> Tensor:
    """Turn pairs of features by angles that grow with the position: dot products see lags only."""
    half = x.shape[-1] // 2
    rate = 10_000 ** (-torch.arange(half, dtype=torch.float64, device=x.device) / half)
    angle = position.unsqueeze(-1) * rate
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)
