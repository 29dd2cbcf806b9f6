"""Compiled loops as one operation of autograd.

Shape legend: T time, B basins, E components.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dmg.scan import eager
from dmg.scan.aten import UnsupportedError
from dmg.scan.gpu import loop as gpu
from dmg.scan.kernels import Kernels, Layout, backward_call, forward_call
from dmg.scan.report import report_once
from dmg.scan.shapes import Extent, rebuilt
from dmg.scan.weights import weighted


class Run(NamedTuple):
    """What is asked of a scan, beside its tensors."""

    step: Callable[..., Any]
    state: tuple[Tensor, ...]  # for its type
    kernels: Kernels
    extent: Extent
    axes: tuple[str, ...]  # of the inputs: "be" or "tbe", "b" or "tb"
    outputs: tuple[str, ...]
    mean: bool
    every: int  # steps from one checkpoint of the states to the next

    @property
    def num_states(self) -> int:
        """Number of storages."""
        return self.kernels.program.signature.num_states

    @property
    def flux_axes(self) -> str:
        """Axes of the outputs."""
        return "tb" if self.mean else "tbe"

    def positions(self, names: Sequence[str]) -> tuple[int, ...]:
        """Positions among the fluxes of the step."""
        return tuple(map(self.kernels.program.fluxes.index, names))

    def shape(self, axes: str) -> tuple[int, ...]:
        """Sizes of the axes."""
        sizes = dict(zip("tbe", self.extent, strict=True))
        return tuple(sizes[a] for a in axes)

    def num_checkpoints(self) -> int:
        """How often the states are stored."""
        return -(-self.extent.steps // self.every)


class Loop(torch.autograd.Function):
    """`(states, forcings, parameters) -> (fluxes, last states)`."""

    @staticmethod
    def forward(ctx: Any, run: Run, with_gradient: bool, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run the loop; states are stored now and then if a gradient may be asked for."""
        keep = with_gradient and any(ctx.needs_input_grad)
        forward = gpu.forward if gpu.serves(tensors[0].device) else _forward
        results, checkpoints = forward(run, tensors, keep)
        if keep:
            ctx.save_for_backward(*tensors, checkpoints)
            ctx.set_materialize_grads(False)
            ctx.run = run
        return results

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of what needs one, from those that are there."""
        *tensors, checkpoints = ctx.saved_tensors
        needed = ctx.needs_input_grad[2:]
        if torch.is_grad_enabled():  # gradients of gradients
            return None, None, *_eager_backward(ctx.run, tensors, needed, gradients)
        backward = gpu.backward if gpu.serves(tensors[0].device) else _backward
        try:
            found = backward(ctx.run, tensors, checkpoints, needed, gradients)
        except UnsupportedError as error:
            report_once(f"no compiled gradient, recomputing with the eager loop: {error}")
            found = _eager_backward(ctx.run, tensors, needed, gradients)
        return None, None, *found


def _forward(
    run: Run, tensors: Sequence[Tensor], keep: bool
) -> tuple[tuple[Tensor, ...], Tensor | None]:
    kernel = run.kernels.forward(run.positions(run.outputs))
    layout = Layout(run.extent, tensors[0].dtype, kernel.lanes)
    new, num_states = tensors[0].new_empty, run.num_states
    fluxes = [new(run.shape(run.flux_axes)) for _ in run.outputs]
    last = [new(run.shape("be")) for _ in range(num_states)]
    described = list(zip(tensors, run.axes, strict=True))
    series = [
        layout.series(described[:num_states]),
        layout.series(described[num_states:]),
        layout.series([(f, run.flux_axes) for f in fluxes]),
        layout.series([(s, "be") for s in last]),
    ]
    size = layout.tiles * run.num_checkpoints() * run.kernels.program.num_kept * layout.width
    checkpoints = new(size) if keep else None
    forward_call(kernel, layout, series, checkpoints, run.every, run.extent.components)
    return (*fluxes, *last), checkpoints


def _backward(
    run: Run,
    tensors: Sequence[Tensor],
    checkpoints: Tensor,
    needed: Sequence[bool],
    gradients: Sequence[Tensor | None],
) -> list[Tensor | None]:
    num_states, axes = run.num_states, run.axes
    given = {n: g for n, g in zip(run.outputs, gradients, strict=False) if g is not None}
    inputs = tuple(i for i, n in enumerate(needed) if n and i >= num_states)
    kernel = run.kernels.backward(
        run.positions([*given]), inputs, tuple(axes[i].startswith("t") for i in inputs)
    )
    layout = Layout(run.extent, tensors[0].dtype, kernel.lanes)
    zero = tensors[0].new_zeros(()).expand(run.shape("be"))
    last = [zero if g is None else g for g in gradients[len(run.outputs) :]]
    scale = run.extent.components if run.mean else 1
    fluxes = [g / scale if run.mean else g for g in given.values()]
    wanted = {i: torch.empty(run.shape(axes[i]), dtype=zero.dtype)
              for i in (*range(num_states), *inputs)}  # fmt: skip
    described = list(zip(tensors, axes, strict=True))
    series = [
        layout.series(described[num_states:]),
        layout.series([(g, "be") for g in last]),
        layout.series([(g, run.flux_axes) for g in fluxes]),
        layout.series([(wanted[i], axes[i]) for i in range(num_states)]),
        layout.series([(wanted[i], axes[i]) for i in inputs]),
    ]
    backward_call(kernel, layout, series, checkpoints, run.every)
    return [wanted[i] if n else None for i, n in enumerate(needed)]


def _eager_backward(
    run: Run,
    tensors: Sequence[Tensor],
    needed: Sequence[bool],
    gradients: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """Gradients by the plain loop: second derivatives, or a compiler that failed in between."""
    again = torch.is_grad_enabled()
    signature = run.kernels.program.signature
    first, second = run.num_states, run.num_states + len(signature.forcing)
    with torch.enable_grad():
        leaves = [t.view_as(t) if n else t.detach() for t, n in zip(tensors, needed, strict=True)]
        fluxes, last = eager.scan(
            weighted(run.step),
            rebuilt(run.state, leaves[:first]),
            dict(zip(signature.forcing, leaves[first:second], strict=True)),
            dict(zip(signature.parameters, leaves[second:], strict=True)),
            run.outputs,
        )
        results = [f.mean(-1) if run.mean else f for f in fluxes.values()] + list(last)
        pairs = [(r, g) for r, g in zip(results, gradients, strict=True)
                 if g is not None and r.requires_grad]  # fmt: skip
        wanted = [t for t in leaves if t.requires_grad]
        results, given = [r for r, _ in pairs], [g for _, g in pairs]
        found = iter(
            torch.autograd.grad(results, wanted, given, allow_unused=True, create_graph=again)
        )
    return [next(found) if n else None for n in needed]
