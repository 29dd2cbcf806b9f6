"""The fused backend: one compiled loop over time.

Shape legend: T time, B basins, E components.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dmg.scan.adjoint import Loop, Run
from dmg.scan.aten import UnsupportedError
from dmg.scan.gpu import loop as gpu
from dmg.scan.programs import kernels_of
from dmg.scan.shapes import Extent, extent_of, rebuilt
from dmg.scan.trace import Program, Signature

DTYPES = (torch.float32, torch.float64)
STORE_ALL = 2**24
"""Bytes of states up to which every step is stored: no more than what a processor caches."""
STORE_TAPES = 2**27
"""The same where a step leaves a tape: recomputing it runs its loops again."""


def scan(
    step: Callable[..., Any],
    state: Any,
    forcing: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    outputs: Sequence[str] | None = None,
    mean: bool = False,
    every: int | None = None,
) -> tuple[dict[str, Tensor], Any]:
    """Apply `step` to every time step in one compiled loop: see `dmg.scan.scan`.

    Raises
    ------
    UnsupportedError
        If the step, its data or this machine is beyond the fused backend.
    """
    if not isinstance(state, tuple):
        raise UnsupportedError(f"the state must be a (named) tuple of tensors, found {type(state)}")
    tensors = [*state, *forcing.values(), *parameters.values()]
    extent = extent_of(state, forcing, parameters)
    _check(tensors)
    axes = ["be" for _ in state]
    axes += ["tb" if f.ndim == 2 else "b" for f in forcing.values()]
    axes += ["tbe" if p.ndim == 3 else "be" for p in parameters.values()]
    dtype = tensors[0].dtype
    kernels = kernels_of(
        step, state, Signature(len(state), tuple(forcing), tuple(parameters), dtype)
    )
    names = kernels.program.fluxes if outputs is None else tuple(outputs)
    run = Run(
        step, tuple(s.detach() for s in state), kernels, extent, tuple(axes), names, mean,
        min(every or checkpoint_every(tensors[0], kernels.program, extent), extent.steps),
    )  # fmt: skip
    sized = (t.expand(run.shape(a)) for t, a in zip(tensors, axes, strict=True))
    results = Loop.apply(run, torch.is_grad_enabled(), *sized)  # type: ignore[no-untyped-call]
    fluxes = dict(zip(names, results[: len(names)], strict=True))
    return fluxes, rebuilt(state, results[len(names) :])


def checkpoint_every(like: Tensor, program: Program, extent: Extent) -> int:
    """Return the steps from one stored state to the next: 1 while states are small."""
    if gpu.serves(like.device):
        return gpu.checkpoint_every(extent, program.num_kept, like.dtype)
    size = math.prod(extent) * program.num_kept * like.dtype.itemsize
    most = STORE_TAPES if program.num_kept > program.signature.num_states else STORE_ALL
    return 1 if size <= most else math.ceil(math.sqrt(extent.steps))


def _check(tensors: Sequence[Tensor]) -> None:
    """Refuse what compiled loops cannot read."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        raise UnsupportedError("torch.compile and torch.func cannot look into a compiled loop")
    for tensor in tensors:
        if type(tensor) not in (Tensor, torch.nn.Parameter) or tensor.is_neg():
            raise UnsupportedError(f"only plain tensors can be fused, found {type(tensor)}")
        if tensor.device.type not in ("cpu", "cuda"):
            raise UnsupportedError(f"no compiled loop for the device {tensor.device}")
    devices = {str(t.device) for t in tensors}
    if len(devices) > 1:
        raise UnsupportedError(f"tensors must be on one device, found {sorted(devices)}")
    dtypes = {t.dtype for t in tensors}
    if len(dtypes) > 1 or not dtypes <= set(DTYPES):
        raise UnsupportedError(f"tensors must be all float32 or all float64, found {dtypes}")
