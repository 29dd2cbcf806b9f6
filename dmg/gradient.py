"""The gradient of a global batch that is simulated in pieces, one after another.

A loss is f(S) of sums S over the whole batch, its gradient Σ ∂f/∂S · ∂S/∂w. The slopes ∂f/∂S need
the sums of all pieces and processes, the rest is added up piece by piece. So a piece is simulated
first without a graph, for its sums, and again for its gradient; the last piece keeps the graph of
its first pass, so that nothing is simulated twice where there is only one. Memory is that of the
largest piece.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from dmg.batch import Batch
from dmg.losses import Loss, Sums
from dmg.validation import batch_sums


def add_gradient(
    handler: nn.Module,
    loss: Loss,
    pieces: Sequence[Batch],
    target: str,
    reduce: Callable[[Sums], Sums] = lambda sums: sums,
) -> tuple[Tensor, Sums]:
    """Add this process's part of the gradient of the whole batch to the gradients of the weights.

    Parameters
    ----------
    handler
        Model; its random draws must be functions of the batch's `seed` and `rows`.
    loss
        Loss as sums and a finaliser.
    pieces
        This process's windows, in pieces.
    target
        Name of the flux that is compared with the batches' target.
    reduce
        Sums over processes.

    Returns
    -------
    loss, sums
        Of the whole batch, without gradient.
    """
    with torch.no_grad():
        parts = [batch_sums(handler, loss, piece, target) for piece in pieces[:-1]]
    parts.append(batch_sums(handler, loss, pieces[-1], target))
    total = reduce({n: torch.stack([p[n].detach() for p in parts]).sum() for n in parts[0]})
    value, slopes = _slopes(loss, total)
    _backward(parts[-1], slopes)
    for piece in pieces[:-1]:
        _backward(batch_sums(handler, loss, piece, target), slopes)
    return value, total


def _slopes(loss: Loss, total: Sums) -> tuple[Tensor, Sums]:
    """Loss, and its derivative by each sum."""
    leaves = {name: value.clone().requires_grad_() for name, value in total.items()}
    value = loss.finalize(leaves)
    slopes = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
    return value.detach(), dict(zip(leaves, slopes, strict=True))


def _backward(sums: Sums, slopes: Sums) -> None:
    """Add Σ ∂f/∂S · ∂S/∂w to the gradients."""
    names = [name for name in slopes if sums[name].requires_grad]  # none if all weights are fixed
    if names:
        torch.autograd.backward([sums[n] for n in names], [slopes[n] for n in names])
