"""What a run costs, counted instead of timed."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dmg.scan import scan
from dmg.testing.compare import Case


class Cost(NamedTuple):
    """Operations, and elements of their results."""

    operations: int
    elements: int


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.operations += 1
        self.elements += sum(t.numel() for t in tree_leaves(result) if isinstance(t, Tensor))
        return result


def cost(case: Case) -> Cost:
    """Count the operations of PyTorch in a run by the plain loop, backward pass included.

    On the device without values, where every loop within a step takes the same two passes.
    """
    case = case.to("meta")
    leaves = [leaf.detach().requires_grad_() for leaf in (*case.state, *case.parameters.values())]
    state = type(case.state)(*leaves[: len(case.state)])
    parameters = dict(zip(case.parameters, leaves[len(case.state) :], strict=True))
    with _Counter() as counter:
        fluxes, _ = scan(case.step, state, case.forcing, parameters, backend="eager")
        torch.autograd.grad(torch.stack([*fluxes.values()]).sum(), leaves, allow_unused=True)
    return Cost(counter.operations, counter.elements)
