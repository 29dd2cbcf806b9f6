"""The compiled time loop of Muskingum-Cunge routing, its adjoint, and sums along a network.

One call runs all steps: the network is cut into pieces that fit a core's cache, each is carried
through time on its own, threads take pieces that do not flow into each other (`cpp/plan.h`).

Shape legend: T steps of the inflow, N reaches.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dmg.routing.channel import Minima
from dmg.routing.levels import raise_cycle
from dmg.routing.reaches import Reaches
from dmg.scan.compile import load
from dmg.scan.emit import part

PIECE = {torch.float32: 4096, torch.float64: 2048}  # reaches, about: what a core's cache holds
EVERY = 24  # steps from one stored state to the next

_POINTERS = (
    "inflow", "before", "start", "n", "q", "p", "length", "slope", "x",
    "sums", "end", "floored", "checkpoints", "series",
)  # fmt: skip
_GRADIENTS = ("sums", "end", "inflow", "before", "start", "n", "q", "p", "series")


class _Run(ctypes.Structure):
    _fields_ = [
        ("plan", ctypes.c_void_p),
        *((n, ctypes.c_int64) for n in ("steps", "substeps", "shift", "every", "threads")),
        *((n, ctypes.c_double) for n in ("dt", "missing", *(f"least_{n}" for n in Minima._fields))),
        *((n, ctypes.c_void_p) for n in _POINTERS),
    ]


class _Adjoint(ctypes.Structure):
    _fields_ = [(n, ctypes.c_void_p) for n in _GRADIENTS]


class Timing(NamedTuple):
    """Steps of a run."""

    substeps: int  # of one step of the inflow
    shift: int  # substeps by which means begin before the steps of the inflow
    dt: float  # of a substep [s]
    missing: float  # inflow where it is NaN [m3 s-1]


@cache
def _library(dtype: torch.dtype) -> ctypes.CDLL:
    folder = Path(__file__).parent / "cpp"
    own = (folder / name for name in ("plan.h", "channel.h", "sweep.h"))
    parts = ["#define SINGLE\n"] if dtype == torch.float32 else []
    parts += [part(name) for name in ("lanes.h", "functions.h", "threads.h")]
    library = load("".join([*parts, *(path.read_text(encoding="utf-8") for path in own)]))
    library.plan.restype = ctypes.c_void_p
    library.plan.argtypes = [ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64]
    for name, result in (("discard", None), ("slots", ctypes.c_int64), ("rows", ctypes.c_int64)):
        getattr(library, name).restype = result
        getattr(library, name).argtypes = [ctypes.c_void_p]
    library.accumulate.restype = None
    library.accumulate.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_bool]
    return library


class Plan:
    """How a network is worked through, for one precision."""

    def __init__(self, downstream: Tensor, dtype: torch.dtype, piece: int | None = None) -> None:
        self.library = _library(dtype)
        links = downstream.contiguous()
        self.address = self.library.plan(len(links), links.data_ptr(), piece or PIECE[dtype])
        if not self.address:
            raise_cycle(downstream)
        weakref.finalize(self, self.library.discard, self.address)
        self.slots: int = self.library.slots(self.address)
        self.rows: int = self.library.rows(self.address)


_PLANS: weakref.WeakKeyDictionary[Reaches, dict[torch.dtype, Plan]] = weakref.WeakKeyDictionary()


def plan_of(reaches: Reaches, dtype: torch.dtype) -> Plan:
    """Return the plan of a network, made when it is first asked for.

    Raises
    ------
    UnsupportedError
        If there is no compiler.
    ValueError
        If the network has a cycle.
    """
    known = _PLANS.setdefault(reaches, {})
    if dtype not in known:
        known[dtype] = Plan(reaches.downstream, dtype)
    return known[dtype]


class Accumulate(torch.autograd.Function):
    """Sums over all reaches upstream; the adjoint sums over all downstream."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, plan: Plan) -> Tensor:
        """Sum `[..., N]`."""
        ctx.plan = plan
        return _accumulated(values, plan, transposed=False)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Gradient of the values."""
        return _accumulated(gradient, ctx.plan, transposed=True), None


def _accumulated(values: Tensor, plan: Plan, transposed: bool) -> Tensor:
    total = values.clone(memory_format=torch.contiguous_format)
    count = total.numel() // max(1, total.shape[-1])
    plan.library.accumulate(plan.address, total.data_ptr(), count, transposed)
    return total


class Sweep(torch.autograd.Function):
    """All steps of a run, forward and backward.

    Backward starts from stored states, one for each `EVERY` steps, and computes the steps between
    them again: memory is about that of the inflow.
    """

    @staticmethod
    def forward(  # noqa: PLR0913 - tensors that may carry gradients come one by one
        ctx: Any, plan: Plan, timing: Timing, minima: Minima, channels: Sequence[Tensor],
        inflow: Tensor, before: Tensor, start: Tensor, n: Tensor, q: Tensor, p: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """Route `inflow` `[T, N]`.

        `before` is the inflow of the step before, `start` the discharge, `channels` are length,
        slope and x, `[N]` each. Returns the sums of discharge over each step of the inflow
        (shifted; one row more then), the last discharge, the volume that floors have added [m3].
        """
        num_steps, num_reaches = inflow.shape
        moments = num_steps * timing.substeps
        learns = any(ctx.needs_input_grad[4:])
        inputs = (inflow, before, start, n, q, p, *channels)
        tensors = [t.detach().contiguous() for t in inputs]
        tensors += [
            inflow.new_zeros(num_steps + (timing.shift > 0), num_reaches),
            inflow.new_empty(num_reaches),
            torch.zeros(num_reaches, dtype=torch.float64),
            inflow.new_empty(-(-moments // EVERY) if learns else 0, plan.slots),
            inflow.new_empty(plan.rows, moments + 1),
        ]
        run = _run(plan, timing, minima, tensors, learns)
        plan.library.forward(ctypes.byref(run))
        sums, end, floored = tensors[9:12]
        ctx.plan, ctx.timing, ctx.minima = plan, timing, minima
        ctx.save_for_backward(*tensors[:9], *tensors[12:])
        ctx.mark_non_differentiable(floored)
        return sums, end, floored

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, sums: Tensor, end: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of inflow, start and parameters."""
        inputs, kept = ctx.saved_tensors[:9], ctx.saved_tensors[9:]
        by_inflow, by_series = torch.zeros_like(inputs[0]), torch.zeros_like(kept[1])
        others = [torch.empty_like(t) for t in inputs[1:6]]
        gradients = [sums.contiguous(), end.contiguous(), by_inflow, *others, by_series]
        run = _run(ctx.plan, ctx.timing, ctx.minima, [*inputs, sums, sums, sums, *kept], True)
        adjoint = _Adjoint(*(g.data_ptr() for g in gradients))
        ctx.plan.library.backward(ctypes.byref(run), ctypes.byref(adjoint))
        return None, None, None, None, by_inflow, *others


def _run(
    plan: Plan, timing: Timing, minima: Minima, tensors: Sequence[Tensor], learns: bool
) -> _Run:
    addresses: list[int | None] = [t.data_ptr() for t in tensors]
    if not learns:
        addresses[_POINTERS.index("checkpoints")] = None
    return _Run(
        plan.address, len(tensors[0]), timing.substeps, timing.shift, EVERY,
        torch.get_num_threads(), timing.dt, timing.missing, *minima, *addresses,
    )  # fmt: skip
