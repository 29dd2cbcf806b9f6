"""What each ATen operation means in the program of `ir`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import fx

from dmg.scan.ir import Builder

if TYPE_CHECKING:
    from dmg.scan.reader import Reader


class UnsupportedError(ValueError):
    """A step, its data or this machine is beyond the fused backend; the text says why."""


Handler = Callable[..., int]


def _numeric(op: str) -> Handler:
    return lambda r, *args: r.builder.apply(op, *(r.number(a) for a in args))


def _logical(op: str) -> Handler:
    return lambda r, *args: r.builder.apply(op, *(r.truth(a) for a in args))


def _identity(r: Reader, x: Any, *_: Any, **kwargs: Any) -> int:
    target = kwargs.get("dtype")
    return r.number(x) if target is not None and target.is_floating_point else r.value(x)


def _copied(r: Reader, _: Any, source: Any, *__: Any) -> int:
    return r.value(source)


def _full(r: Reader, _: Any, value: Any, **__: Any) -> int:
    return r.value(value)


def _scalar(r: Reader, value: Any, **_: Any) -> int:
    return r.value(value)


def _unset(r: Reader, *_: Any, **__: Any) -> int:
    """Memory before it is filled: nobody may depend on it."""
    return r.builder.const(float("nan"))


def _mul(r: Reader, x: Any, y: Any) -> int:
    """Multiply; the product of two truth values is one too."""
    both = all(r.builder.nodes[r.value(a)].is_bool for a in (x, y))
    return r.builder.apply("and" if both else "mul", *map(r.value if both else r.number, (x, y)))


def _sum(op: str) -> Handler:
    def handler(r: Reader, x: Any, y: Any, alpha: float = 1) -> int:
        scaled = r.builder.apply("mul", r.number(y), r.builder.const(alpha))
        return r.builder.apply(op, r.number(x), scaled)

    return handler


def _rsub(r: Reader, x: Any, y: Any, alpha: float = 1) -> int:
    scaled = r.builder.apply("mul", r.number(x), r.builder.const(alpha))
    return r.builder.apply("sub", r.number(y), scaled)


def _div(r: Reader, x: Any, y: Any, rounding_mode: str | None = None) -> int:
    b, u, v = r.builder, r.number(x), r.number(y)
    quotient = b.apply("div", u, v)
    if rounding_mode is None:
        return quotient
    if rounding_mode == "trunc":
        return b.apply("trunc", quotient)
    return _floor_quotient(b, u, v, quotient)


def _floor_quotient(b: Builder, u: int, v: int, quotient: int) -> int:
    """As PyTorch rounds: from the exact remainder, not from the rounded quotient."""
    zero, one, rest = b.const(0), b.const(1), b.apply("fmod", u, v)
    whole = b.apply("div", b.apply("sub", u, rest), v)
    below = _signs_differ(b, rest, v)
    whole = b.apply("where", below, b.apply("sub", whole, one), whole)
    floor = b.apply("floor", whole)
    high = b.apply("gt", b.apply("sub", whole, floor), b.const(0.5))
    floor = b.apply("where", high, b.apply("add", floor, one), floor)
    return b.apply("where", b.apply("eq", v, zero), quotient, floor)


def _signs_differ(b: Builder, rest: int, divisor: int) -> int:
    """Whether a remainder exists and has not the sign of the divisor."""
    zero = b.const(0)
    up = b.apply("and", b.apply("lt", rest, zero), b.apply("gt", divisor, zero))
    down = b.apply("and", b.apply("gt", rest, zero), b.apply("lt", divisor, zero))
    return b.apply("or", up, down)


def _remainder(r: Reader, x: Any, y: Any) -> int:
    b, divisor = r.builder, r.number(y)
    rest = b.apply("fmod", r.number(x), divisor)
    return b.apply("where", _signs_differ(b, rest, divisor), b.apply("add", rest, divisor), rest)


def _pow(r: Reader, x: Any, y: Any) -> int:
    """Small constant exponents multiply, as PyTorch does."""
    b, base, exponent = r.builder, r.number(x), r.number(y)
    known = None if isinstance(y, fx.Node) else float(y)
    if known not in (0.5, 1, 2, 3, -0.5, -1, -2):
        return b.apply("pow", base, exponent)
    square = b.apply("mul", base, base)
    small = {0.5: b.apply("sqrt", base), 1: base, 2: square, 3: b.apply("mul", square, base)}
    return small[known] if known in small else b.apply("div", b.const(1), small[-known])


def _inverse(of: str | None) -> Handler:
    def handler(r: Reader, x: Any) -> int:
        value = r.builder.apply(of, r.number(x)) if of else r.number(x)
        return r.builder.apply("div", r.builder.const(1), value)

    return handler


def _clamp(r: Reader, x: Any, low: Any = None, high: Any = None, **kwargs: Any) -> int:
    low, high = kwargs.get("min", low), kwargs.get("max", high)
    value = r.number(x)
    if low is not None:
        value = r.builder.apply("max", value, r.number(low))
    return value if high is None else r.builder.apply("min", value, r.number(high))


def _clamp_max(r: Reader, x: Any, high: Any) -> int:
    return _clamp(r, x, None, high)


def _relu(r: Reader, x: Any) -> int:
    return _clamp(r, x, 0)


def _threshold_backward(r: Reader, gradient: Any, x: Any, threshold: float) -> int:
    below = r.builder.apply("le", r.number(x), r.builder.const(threshold))
    return r.builder.apply("where", below, r.builder.const(0), r.number(gradient))


def _where(r: Reader, condition: Any, x: Any, y: Any) -> int:
    b, values = r.builder, (r.value(x), r.value(y))
    if all(b.nodes[v].is_bool for v in values):
        return b.apply("where_bool", r.truth(condition), *values)
    return b.apply("where", r.truth(condition), r.number(x), r.number(y))


def _masked_fill(r: Reader, x: Any, mask: Any, value: Any) -> int:
    return _where(r, mask, value, x)


def _index_put(r: Reader, x: Any, indices: Any, value: Any, accumulate: bool = False) -> int:
    """Assign a number by a mask: `x[mask] = number`."""
    (mask,) = indices if len(indices) == 1 else (None,)
    scalar = isinstance(value, fx.Node) and value.meta["val"].ndim == 0
    if accumulate or not scalar or mask is None or str(mask.meta["val"].dtype) != "torch.bool":
        raise UnsupportedError("aten.index_put mixes elements; only x[mask] = number can be fused")
    return _where(r, mask, value, x)


def _is_nan(r: Reader, x: Any) -> int:
    return r.builder.apply("ne", r.number(x), r.number(x))


def _is_inf(r: Reader, x: Any) -> int:
    return r.builder.apply("eq", r.builder.apply("abs", r.number(x)), r.builder.const(float("inf")))


_SAME_NAME = [
    *("neg", "abs", "sqrt", "exp", "log", "sigmoid", "tanh", "expm1", "log1p", "exp2"),
    *("log2", "log10", "erf", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh"),
    *("floor", "ceil", "trunc", "round", "fmod", "sign", "lt", "le", "gt", "ge", "eq", "ne"),
]

HANDLERS: dict[str, Handler] = {f"aten.{name}": _numeric(name) for name in _SAME_NAME} | {
    "aten.sgn": _numeric("sign"), "aten.minimum": _numeric("min"), "aten.maximum": _numeric("max"),
    "aten.add": _sum("add"), "aten.sub": _sum("sub"), "aten.rsub": _rsub, "aten.div": _div,
    "aten.mul": _mul, "aten.remainder": _remainder, "aten.pow": _pow,
    "aten.reciprocal": _inverse(None), "aten.rsqrt": _inverse("sqrt"),
    "aten.clamp": _clamp, "aten.clamp_min": _clamp, "aten.clamp_max": _clamp_max,
    "aten.relu": _relu, "aten.threshold_backward": _threshold_backward,
    "aten.where": _where, "aten.masked_fill": _masked_fill, "aten.index_put": _index_put,
    "aten.isnan": _is_nan, "aten.isinf": _is_inf,
    "aten.logical_and": _logical("and"), "aten.bitwise_and": _logical("and"),
    "aten.logical_or": _logical("or"), "aten.bitwise_or": _logical("or"),
    "aten.logical_not": _logical("not"), "aten.bitwise_not": _logical("not"),
    "aten.full": _full, "aten.full_like": _full, "aten.scalar_tensor": _scalar,
    "aten.copy": _copied, "aten.empty": _unset, "aten.empty_permuted": _unset,
} | {
    f"aten.{name}": _identity
    for name in ("clone", "alias", "detach", "lift_fresh_copy", "_to_copy", "expand", "view",
                 "_unsafe_view", "expand_copy", "view_copy", "alias_copy", "detach_copy")
}  # fmt: skip
"""Meaning of every operation that may stand in a step, by its name."""
