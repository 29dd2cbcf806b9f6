"""Traced programs and their compiled loops, kept for as long as their step lives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor

from dmg.scan.kernels import Kernels
from dmg.scan.trace import Signature, trace

_KNOWN: WeakKeyDictionary[Any, dict[Any, Kernels]] = WeakKeyDictionary()


def kernels_of(
    step: Callable[..., Any], state: tuple[Tensor, ...], signature: Signature
) -> Kernels:
    """Return the loops of a step, traced when it is first met."""
    owner = getattr(step, "__self__", step)
    key = (getattr(step, "__func__", None), signature)
    known = _KNOWN.setdefault(owner, {})
    if key not in known:
        known[key] = Kernels(trace(step, state, signature))
    return known[key]
