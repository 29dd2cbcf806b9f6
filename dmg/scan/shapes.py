"""Sizes of a scan, which shapes its tensors may have, and how a state is put together.

Shape legend: T time, B basins, E components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from torch import Tensor

Values = TypeVar("Values", bound=tuple[Any, ...])


class Extent(NamedTuple):
    """Sizes of a run."""

    steps: int
    basins: int
    components: int


def extent_of(
    state: Sequence[Tensor], forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> Extent:
    """Return the sizes that all tensors share.

    Raises
    ------
    ValueError
        If their shapes do not fit together, or none of them is a series of at least one step.
    """
    tensors = [*state, *forcing.values(), *parameters.values()]
    if not tensors:
        raise ValueError("a scan needs a state, forcing or parameter")
    lengths = {len(f) for f in forcing.values() if f.ndim == 2}
    lengths |= {len(p) for p in parameters.values() if p.ndim == 3}
    wide = [*state, *parameters.values()]
    fits = all(s.ndim == 2 for s in state)
    fits &= all(f.ndim in (1, 2) for f in forcing.values())
    fits &= all(p.ndim in (2, 3) for p in parameters.values())
    if fits and len(lengths) == 1:
        basins = _common([t.shape[-2] for t in wide] + [f.shape[-1] for f in forcing.values()])
        extent = Extent(lengths.pop(), basins, _common([1, *(t.shape[-1] for t in wide)]))
        if 0 not in extent:
            return extent
    raise ValueError(
        "a scan takes states [B, E], forcings [T, B] or [B] and parameters [T, B, E] or"
        f" [B, E], one of them a series of at least one step, found"
        f" {[tuple(t.shape) for t in tensors]}"
    )


def _common(sizes: Sequence[int]) -> int:
    """Return the size that all are expanded to; 0 if there is none."""
    larger = set(sizes) - {1}
    return 1 if not larger else larger.pop() if len(larger) == 1 else 0


def rebuilt(state: Values, values: Sequence[Tensor]) -> Values:
    """Return values as the same kind of tuple as a state."""
    make: Any = getattr(type(state), "_make", tuple)
    result: Values = make(values)
    return result
