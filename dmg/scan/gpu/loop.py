"""Kernels of one program on a GPU, and how they are called.

Shape legend: T time, B basins, E components.
"""

from __future__ import annotations

import math
import subprocess
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from dmg.scan.aten import UnsupportedError
from dmg.scan.gpu.emit import Plan, backward_source, forward_source
from dmg.scan.gpu.load import interpreted, load
from dmg.scan.kernels import Kernels
from dmg.scan.shapes import Extent

if TYPE_CHECKING:
    from dmg.scan.adjoint import Run

STORE_ALL = 2**31
"""Bytes of states up to which every step is stored, so that the adjoint recomputes nothing."""
FEW = 2**16
"""Elements up to which a tile is one warp: they would not fill a GPU with larger ones."""

_KNOWN: WeakKeyDictionary[Kernels, dict[Any, Any]] = WeakKeyDictionary()


def serves(device: torch.device) -> bool:
    """Whether tensors of a device are for Triton: in its interpreter, those of the CPU too."""
    return device.type == "cuda" or (interpreted() and device.type == "cpu")


class Tile(NamedTuple):
    """Basins and components of one program of a kernel: powers of 2."""

    rows: int
    columns: int

    @property
    def warps(self) -> int:
        """Number of warps: one element for each thread, up to 256 threads."""
        return max(1, min(8, self.rows * self.columns // 32))


def tile_of(extent: Extent, block: int | None = None) -> Tile:
    """Return a tile of about `block` elements with all components of a basin; none: by the size."""
    columns = 1 << (extent.components - 1).bit_length()
    block = block or (32 if extent.basins * columns <= FEW else 128)
    return Tile(max(1, block // columns), columns)


def checkpoint_every(extent: Extent, num_kept: int, dtype: torch.dtype) -> int:
    """Return the steps from one stored state to the next: 1 while memory is no concern."""
    size = math.prod(extent) * num_kept * dtype.itemsize
    return 1 if size <= STORE_ALL else math.ceil(math.sqrt(extent.steps))


def forward(
    run: Run, tensors: Sequence[Tensor], keep: bool
) -> tuple[tuple[Tensor, ...], Tensor | None]:
    """Run the loop; return fluxes with last states, and the states for the adjoint if asked."""
    plan = Plan(run.axes, run.positions(run.outputs), run.mean)
    new = tensors[0].new_empty
    fluxes = [new(run.shape(run.flux_axes)) for _ in run.outputs]
    last = [new(run.shape("be")) for _ in range(run.num_states)]
    size = run.num_checkpoints() * run.kernels.program.num_kept if keep else 0
    checkpoints = new((size, *run.shape("be")))
    arguments = [*_series(tensors), *fluxes, *last, checkpoints]
    _launch(_kernel(run, "forward", plan), run.extent, run.every, arguments, keep)
    return (*fluxes, *last), checkpoints if keep else None


def backward(
    run: Run,
    tensors: Sequence[Tensor],
    checkpoints: Tensor,
    needed: Sequence[bool],
    gradients: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """Gradients of what needs one, from those that are there."""
    states, like = range(run.num_states), tensors[0]
    given = {n: g for n, g in zip(run.outputs, gradients, strict=False) if g is not None}
    inputs = tuple(i for i, n in enumerate(needed) if n and i >= run.num_states)
    plan = Plan(run.axes, run.positions([*given]), run.mean, inputs)
    zero = like.new_zeros(()).expand(run.shape("be"))
    last = [zero if g is None else g for g in gradients[len(run.outputs) :]]
    fluxes = [g / run.extent.components if run.mean else g for g in given.values()]
    wanted = {i: like.new_empty(run.shape(run.axes[i])) for i in (*states, *inputs)}
    recompute = run.every > 1
    # one row more than steps: where loops left a tape, the last step is run for its own
    size = ((run.every + 1) * run.kernels.program.num_kept, *run.shape("be"))
    scratch = like.new_empty(size) if recompute else checkpoints
    arguments = [*_series([*tensors, *last, *fluxes]), *wanted.values(), checkpoints, scratch]
    every = run.every if recompute else run.extent.steps
    _launch(_kernel(run, "backward", plan), run.extent, every, arguments, recompute)
    return [wanted[i] if n else None for i, n in enumerate(needed)]


def _series(tensors: Sequence[Tensor]) -> list[Any]:
    """Tensors with their strides."""
    return [value for tensor in tensors for value in (tensor, *tensor.stride())]


def _kernel(run: Run, name: str, plan: Plan) -> Any:
    known = _KNOWN.setdefault(run.kernels, {})
    if (name, plan) not in known:
        source = {"forward": forward_source, "backward": backward_source}[name]
        known[name, plan] = load(source(run.kernels.program, plan, interpreted()), name)
    return known[name, plan]


def _launch(kernel: Any, extent: Extent, every: int, arguments: Sequence[Any], flag: bool) -> None:
    """Run a kernel on the device of its tensors; fused multiply-adds are off, as on the CPU."""
    tile, device = tile_of(extent), arguments[0].device
    grid = (-(-extent.basins // tile.rows),)
    sizes = (extent.steps, every, extent.basins, extent.components)
    from triton.errors import TritonError  # an optional package

    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        try:
            kernel[grid](*arguments, *sizes, flag, *tile, num_warps=tile.warps,
                         enable_fp_fusion=False)  # fmt: skip
        except (TritonError, RuntimeError, OSError, subprocess.SubprocessError) as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise UnsupportedError(f"Triton cannot run the loop: {reason[0]}") from error
