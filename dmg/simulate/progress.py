"""How far a stream has come, and its state: one file, whole or absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.utils import _pytree as pytree

from dmg.checkpoint import load, save

DONE = "done"


class Progress:
    """Chunks of a stream that are done, and the state after them.

    Only tensors are stored; the same model knows their structure.

    Parameters
    ----------
    path
        File.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> tuple[int, list[torch.Tensor]]:
        """Give the number of chunks done, and tensors of the state; 0 and none before the first."""
        if not self.path.exists():
            return 0, []
        content = load(self.path)
        return content[DONE], content["tensors"]

    def write(self, done: int, state: Any) -> None:
        """Record that `done` chunks are written."""
        save(self.path, {DONE: done, "tensors": tensors_of(state)})


def tensors_of(state: Any) -> list[torch.Tensor]:
    """Tensors of a nested state, in order."""
    return [leaf for leaf in pytree.tree_leaves(state) if isinstance(leaf, torch.Tensor)]


def rebuilt(like: Any, tensors: list[torch.Tensor]) -> Any:
    """Build a state of the structure of `like` with other tensors."""
    leaves, spec = pytree.tree_flatten(like)
    fresh = iter(tensors)
    leaves = [next(fresh) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
    return pytree.tree_unflatten(leaves, spec)
