"""Compiled time loops of one program, and how they are called: pointers and strides."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dmg.scan.compile import load
from dmg.scan.emit import backward_source, forward_source
from dmg.scan.shapes import Extent
from dmg.scan.trace import Program

WIDTH = {torch.float32: 256, torch.float64: 32}  # elements of a tile, about


class _Size(ctypes.Structure):
    _fields_ = [(n, ctypes.c_int64) for n in ("steps", "basins", "components", "tile", "threads")]


class _ForwardCall(ctypes.Structure):
    _fields_ = [
        *((n, ctypes.c_void_p) for n in ("states", "inputs", "fluxes", "last", "checkpoints")),
        ("every", ctypes.c_int64),
        ("size", _Size),
        ("divisor", ctypes.c_double),
    ]


class _BackwardCall(ctypes.Structure):
    _fields_ = [
        *((n, ctypes.c_void_p) for n in (
            "inputs", "last_gradients", "flux_gradients", "state_gradients", "gradients",
            "checkpoints",
        )),
        ("every", ctypes.c_int64),
        ("size", _Size),
    ]  # fmt: skip


class Kernel(NamedTuple):
    """A compiled time loop."""

    call: Callable[[Any], None]
    lanes: int  # elements that it computes at once


class Kernels:
    """Time loops of one program, compiled as they are asked for."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._forward: dict[tuple[int, ...], Kernel] = {}
        self._backward: dict[tuple[Any, ...], Kernel] = {}

    def forward(self, fluxes: tuple[int, ...]) -> Kernel:
        """Return the loop that gives the last states and these fluxes."""
        if fluxes not in self._forward:
            self._forward[fluxes] = _kernel(forward_source(self.program, fluxes))
        return self._forward[fluxes]

    def backward(
        self, fluxes: tuple[int, ...], inputs: tuple[int, ...], series: tuple[bool, ...]
    ) -> Kernel:
        """Return the adjoint loop for gradients of `inputs` from gradients of `fluxes`."""
        key = (fluxes, inputs, series)
        if key not in self._backward:
            self._backward[key] = _kernel(backward_source(self.program, fluxes, inputs, series))
        return self._backward[key]


def _kernel(source: str) -> Kernel:
    library = load(source)
    library.run.restype = None
    return Kernel(library.run, library.lanes())


class Layout:
    """How the tensors of a run lie in memory, and how its basins are cut into tiles."""

    def __init__(self, extent: Extent, dtype: torch.dtype, lanes: int) -> None:
        self.extent = extent
        # whole basins and whole vectors: no thread shares a sum, no lane is spare but at the end
        unit = lanes // math.gcd(lanes, extent.components)
        many = WIDTH[dtype] // (unit * extent.components)
        self.tile = unit * max(1, many)
        self.width = -(-self.tile * extent.components // lanes) * lanes
        self.tiles = -(-extent.basins // self.tile)

    def size(self) -> _Size:
        """Return the sizes as the kernels take them, with PyTorch's number of threads."""
        return _Size(*self.extent, self.tile, torch.get_num_threads())

    def series(self, tensors: Sequence[tuple[Tensor, str]]) -> Any:
        """Describe tensors: address and strides of time, basin, component, from their axes."""
        rows = [number for tensor, axes in tensors for number in self._row(tensor, axes)]
        return (ctypes.c_int64 * max(1, len(rows)))(*rows)

    def _row(self, tensor: Tensor, axes: str) -> tuple[int, int, int, int]:
        strides = dict(zip(axes, tensor.stride(), strict=True))
        time, basin, component = (strides.get(axis, 0) for axis in "tbe")
        if self.extent.components == 1:
            component = 1
        if self.extent.basins == 1:
            basin = self.extent.components
        return tensor.data_ptr(), time, basin, component


def forward_call(
    kernel: Kernel,
    layout: Layout,
    tensors: Sequence[Any],
    checkpoints: Tensor | None,
    every: int,
    divisor: float,
) -> None:
    """Run the loop; `tensors` are the series of states, inputs, fluxes and last states."""
    address = None if checkpoints is None else checkpoints.data_ptr()
    call = _ForwardCall(*map(ctypes.addressof, tensors), address, every, layout.size(), divisor)
    kernel.call(ctypes.byref(call))


def backward_call(
    kernel: Kernel, layout: Layout, tensors: Sequence[Any], checkpoints: Tensor, every: int
) -> None:
    """Run the adjoint; `tensors` are the series in the order of the call's fields."""
    addresses = map(ctypes.addressof, tensors)
    call = _BackwardCall(*addresses, checkpoints.data_ptr(), every, layout.size())
    kernel.call(ctypes.byref(call))
