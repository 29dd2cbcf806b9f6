"""A network's pass over a long window, with the memory of a short one.

Shape legend: T time, B basins, D dynamic scores, S static scores.
"""

from __future__ import annotations

import torch
from torch.utils.checkpoint import checkpoint

from dmg.nn.base import Inputs, Network, NetworkState, Scores


def run(
    network: Network,
    inputs: Inputs,
    state: NetworkState = (),
    last_only: bool = False,
    recompute_days: int | None = None,
) -> tuple[Scores, NetworkState]:
    """Give the scores of a period as `Network.forward` does.

    With `recompute_days`, the period is cut into pieces of that many steps; for the gradient only
    scores and memory between pieces are kept, and each piece is computed a second time (Chen et
    al. 2016, arXiv:1604.06174). Values and gradients are the same.
    """
    num_steps = len(inputs.forcing)
    if recompute_days is None or num_steps <= recompute_days or not torch.is_grad_enabled():
        scores, state = network(inputs, state, last_only)
        return scores, state
    dynamic = []
    for first in range(0, num_steps, recompute_days):
        piece = _cut(inputs, slice(first, first + recompute_days))
        scores, state = checkpoint(network, piece, state, last_only, use_reentrant=False)
        dynamic.append(scores.dynamic)
    kept = dynamic[-1] if last_only else torch.cat(dynamic)
    return Scores(kept, scores.static), state


def _cut(inputs: Inputs, steps: slice) -> Inputs:
    physical = {name: series[steps] for name, series in inputs.physical.items()}
    return inputs._replace(forcing=inputs.forcing[steps], physical=physical)
