"""A loop within a step: each element of the batch runs until its own condition fails.

Shape legend: B basins, E components.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch import Tensor

from dmg.scan.shapes import rebuilt

Carried = TypeVar("Carried", bound=tuple[Any, ...])
Constants = TypeVar("Constants", bound=tuple[Any, ...])

TRACER: ContextVar[Callable[..., Any] | None] = ContextVar("TRACER", default=None)
"""What stands in for a loop while a step is traced."""


def while_loop(
    condition: Callable[[Carried, Constants], Tensor],
    body: Callable[[Carried, Constants], Carried],
    carried: Carried,
    constants: Constants,
    limit: int,
) -> Carried:
    """Repeat `body` in each element while `condition` holds there, at most `limit` times.

    An element that is done keeps its values: nothing that the body makes of it later, NaN
    included, reaches them or their gradient. Gradients go through all passes.

    Parameters
    ----------
    condition
        Pure and pointwise `condition(carried, constants) -> Tensor`, truth values `[B, E]`.
    body
        Pure and pointwise `body(carried, constants) -> carried`.
    carried
        (Named) tuple of what changes from pass to pass, `[B, E]` each.
    constants
        (Named) tuple of the other tensors that both read, `[B, E]` each. Numbers may be read
        from outside; tensors must be given here.
    limit
        Number of passes after which an element stops in any case.

    Returns
    -------
    carried
        Values after the last pass of each element, `[B, E]` each.

    Raises
    ------
    ValueError
        If the arguments are no tuples of tensors of one shape, the limit is below 1, the
        condition gives no truth values, or the body something else than it was given.
    """
    carried = _expanded(carried, constants, limit)
    if tracer := TRACER.get():
        traced: Carried = tracer(condition, body, carried, constants, limit)
        return traced
    without_values = carried[0].device.type == "meta"  # nothing to stop at: two passes show all
    for _ in range(min(limit, 2) if without_values else limit):
        active = checked_mask(condition(carried, constants), carried)
        if not without_values and not active.any():
            break
        new = checked_body(body(_held(carried, active), _held(constants, active)), carried)
        values = [torch.where(active, n, c) for n, c in zip(new, carried, strict=True)]
        carried = rebuilt(carried, values)
    return carried


def _expanded(carried: Carried, constants: Constants, limit: int) -> Carried:
    """Return what is carried in the shape that all arguments share."""
    if limit < 1:
        raise ValueError(f"a loop must be allowed at least 1 pass, found limit={limit}")
    given: dict[str, Any] = {"carried": carried, "constants": constants}
    for name, values in given.items():
        if not isinstance(values, tuple) or not all(isinstance(v, Tensor) for v in values):
            raise ValueError(f"{name} of a loop must be a tuple of tensors, found {values!r}")
    if not carried:
        raise ValueError("a loop must carry at least one tensor")
    shapes = [tuple(v.shape) for v in (*carried, *constants)]
    try:
        shape = torch.broadcast_shapes(*shapes)  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise ValueError(f"tensors of a loop must have one shape [B, E], found {shapes}") from error
    return rebuilt(carried, [c.expand(shape) for c in carried])


def checked_mask(mask: Any, carried: tuple[Any, ...]) -> Tensor:
    """Return the result of a condition if it is one truth value for each element."""
    shape = tuple(carried[0].shape)
    if not isinstance(mask, Tensor) or mask.dtype != torch.bool or not _fits(mask, shape):
        raise ValueError(
            f"the condition of a loop must give truth values {shape}, found {_described(mask)}"
        )
    return mask.expand(shape)


def checked_body(new: Any, carried: tuple[Any, ...]) -> tuple[Tensor, ...]:
    """Return the result of a body if it can take the place of what is carried."""
    expected = [_described(c) for c in carried]
    fits = isinstance(new, tuple) and len(new) == len(carried)
    if not fits or not all(
        isinstance(n, Tensor) and n.dtype == c.dtype and _fits(n, tuple(c.shape))
        for n, c in zip(new, carried, strict=True)
    ):
        found = [_described(n) for n in new] if isinstance(new, tuple) else _described(new)
        raise ValueError(
            f"the body of a loop must return what it carries, {expected}, found {found}"
        )
    return tuple(n.expand(c.shape) for n, c in zip(new, carried, strict=True))


def _held(values: Any, active: Tensor) -> Any:
    """Return the same values; where an element is done, they take no gradient.

    A gradient of zero times an infinite slope of the body would be NaN.
    """
    held = (torch.where(active, v, v.detach()) if v.requires_grad else v for v in values)
    return rebuilt(values, [*held])


def _fits(value: Tensor, shape: tuple[int, ...]) -> bool:
    sizes = tuple(value.shape)
    fill = (1,) * (len(shape) - len(sizes))
    return len(sizes) <= len(shape) and all(
        n in (1, s) for n, s in zip(fill + sizes, shape, strict=True)
    )


def _described(value: Any) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
