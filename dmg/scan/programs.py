"""Traced programs and their compiled loops: kept while their step lives, and on disk for others."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor

from dmg.files import atomic
from dmg.scan.cache import cache_folder, sealed, unsealed
from dmg.scan.fingerprint import fingerprint
from dmg.scan.kernels import Kernels
from dmg.scan.trace import Program, Signature, trace

_KNOWN: WeakKeyDictionary[Any, dict[Any, Kernels]] = WeakKeyDictionary()


def kernels_of(
    step: Callable[..., Any], state: tuple[Tensor, ...], signature: Signature
) -> Kernels:
    """Return the loops of a step, traced when it is first met."""
    owner = getattr(step, "__self__", step)
    key = (getattr(step, "__func__", None), signature)
    known = _KNOWN.setdefault(owner, {})
    if key not in known:
        known[key] = Kernels(_program(step, state, signature))
    return known[key]


def _program(step: Callable[..., Any], state: tuple[Tensor, ...], signature: Signature) -> Program:
    """Return the program of a step from the cache, else trace it and keep it there."""
    name = fingerprint(step, type(state), signature)
    if name is None:
        return trace(step, state, signature)
    path = cache_folder() / f"{name}.program"
    content = unsealed(path)
    if content is not None:
        # as safe as the compiled objects beside it, which are loaded too
        known: Program = pickle.loads(content)
        return known
    program = trace(step, state, signature)
    with suppress(OSError), atomic(path) as temporary:
        temporary.write_bytes(sealed(pickle.dumps(program)))
    return program
