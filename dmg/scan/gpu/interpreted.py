"""What Triton's interpreter lacks: functions of libdevice (PyTorch's own), loops for any NumPy."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
import triton.language as tl
from torch import Tensor
from triton.runtime.interpreter import TensorHandle

_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    name: getattr(torch, name)
    for name in ("exp", "log", "tanh", "expm1", "log1p", "exp2", "log2", "log10", "erf", "sin",
                 "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "pow", "fmod",
                 "trunc", "floor", "ceil")
} | {"div_rn": torch.div, "sqrt_rn": torch.sqrt, "rint": torch.round}  # fmt: skip


def _interpreted(function: Callable[..., Tensor]) -> Callable[..., Any]:
    def apply(*args: Any) -> Any:
        result = function(*(torch.tensor(a.handle.data) for a in args))
        return tl.tensor(TensorHandle(result.numpy(), args[0].handle.dtype), args[0].type)

    return apply


libdevice = SimpleNamespace(**{name: _interpreted(f) for name, f in _FUNCTIONS.items()})
"""Stands for `triton.language.extra.libdevice`."""


def steps(start: Any, stop: Any) -> range:
    """Stand for `range`, which with NumPy >= 2.4 does not take what the interpreter gives it."""
    numbers = (n.handle.data.item() if isinstance(n, tl.tensor) else n for n in (start, stop))
    return range(*numbers)
