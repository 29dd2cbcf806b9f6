"""Dual numbers: values that carry their partial derivatives through a pointwise function.

A function of tensors called with `Dual`s returns `Dual`s. Only derivatives that can differ from
zero are there, so that the Jacobian of a model comes with its structural zeros; and all is plain
tensor arithmetic, which traces as fast as the function itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Slopes = Mapping[int, Tensor]


class Dual:
    """A value and its derivatives by the variables that it depends on."""

    def __init__(self, value: Tensor, slopes: Slopes) -> None:
        self.value = value
        self.slopes = slopes

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Apply the rule of a function of PyTorch that met a dual number."""
        rule = RULES.get(func.__name__.strip("_"))
        if rule is None:
            raise ValueError(
                f"{func.__name__} has no rule for derivatives; choose from {sorted(RULES)}"
            )
        return rule(*args, **kwargs or {})

    def __neg__(self) -> Dual:
        return Dual(-self.value, {i: -s for i, s in self.slopes.items()})

    def __add__(self, other: Any) -> Dual:
        return Dual(self.value + _value(other), _sum(self.slopes, _slopes(other)))

    def __sub__(self, other: Any) -> Dual:
        return _difference(self, other)

    def __rsub__(self, other: Any) -> Dual:
        return _difference(other, self)

    def __mul__(self, other: Any) -> Dual:
        x, y = self.value, _value(other)
        return _scaled(x * y, (y, self), (x, other))

    def __truediv__(self, other: Any) -> Dual:
        return _div(self, other)

    def __rtruediv__(self, other: Any) -> Dual:
        return _div(other, self)

    def __pow__(self, exponent: Any) -> Dual:
        return _pow(self, exponent)

    def __lt__(self, other: Any) -> Any:
        return self.value < _value(other)

    def __le__(self, other: Any) -> Any:
        return self.value <= _value(other)

    def __gt__(self, other: Any) -> Any:
        return self.value > _value(other)

    def __ge__(self, other: Any) -> Any:
        return self.value >= _value(other)

    __radd__ = __add__
    __rmul__ = __mul__

    def clamp(self, min: float | None = None, max: float | None = None) -> Dual:
        """Limit to numbers; the derivative is kept on the limits, as PyTorch does."""
        value = self.value
        inside = value.clamp(min=min, max=max) == value
        return _chosen(value.clamp(min=min, max=max), inside, self, 0.0)


def variables(values: Sequence[Tensor]) -> list[Dual]:
    """Return dual numbers of variables that do not depend on each other."""
    return [Dual(v, {i: torch.ones_like(v)}) for i, v in enumerate(values)]


def _value(x: Any) -> Any:
    return x.value if isinstance(x, Dual) else x


def _slopes(x: Any) -> Slopes:
    return x.slopes if isinstance(x, Dual) else {}


def _sum(first: Slopes, second: Slopes) -> Slopes:
    both = {i: first[i] + second[i] for i in first if i in second}
    return {**first, **second, **both}


def _difference(x: Any, y: Any) -> Dual:
    first, second = _slopes(x), _slopes(y)
    both = {i: first[i] - second[i] for i in first if i in second}
    only = {i: -s for i, s in second.items() if i not in first}
    return Dual(_value(x) - _value(y), {**first, **only, **both})


def _scaled(value: Tensor, *terms: tuple[Any, Any]) -> Dual:
    """Chain rule: the sum of outer derivatives times those of the arguments."""
    slopes: Slopes = {}
    for outer, x in terms:
        slopes = _sum(slopes, {i: outer * inner for i, inner in _slopes(x).items()})
    return Dual(value, slopes)


def _chosen(value: Tensor, condition: Tensor, x: Any, y: Any) -> Dual:
    """Take the derivatives of `x` where the condition holds, else those of `y`."""
    first, second = _slopes(x), _slopes(y)
    return Dual(
        value,
        {i: torch.where(condition, first.get(i, 0.0), second.get(i, 0.0))
         for i in first | second},  # type: ignore[operator]
    )  # fmt: skip


def _div(x: Any, y: Any) -> Dual:
    inverse = 1 / _value(y)  # computed once where several values are divided by it
    quotient = _value(x) * inverse
    return _scaled(quotient, (inverse, x), (-quotient * inverse, y))


def _pow(x: Any, exponent: Any) -> Dual:
    """Power of a constant exponent, or of a tensor if the base is above zero."""
    base = _value(x)
    power = base**exponent
    outer = power * (1 / base) if isinstance(exponent, Tensor) else base ** (exponent - 1)
    return _scaled(power, (exponent * outer, x))


def _minimum(x: Any, y: Any) -> Dual:
    u, v = _value(x), _value(y)
    return _chosen(torch.minimum(u, v), u <= v, x, y)


def _maximum(x: Any, y: Any) -> Dual:
    u, v = _value(x), _value(y)
    return _chosen(torch.maximum(u, v), u >= v, x, y)


def _where(condition: Tensor, x: Any, y: Any) -> Dual:
    return _chosen(torch.where(condition, _value(x), _value(y)), condition, x, y)


def _exp(x: Dual) -> Dual:
    value = x.value.exp()
    return _scaled(value, (value, x))


def _tanh(x: Dual) -> Dual:
    value = x.value.tanh()
    return _scaled(value, (1 - value * value, x))


def _sigmoid(x: Dual) -> Dual:
    value = x.value.sigmoid()
    return _scaled(value, (value * (1 - value), x))


RULES: Mapping[str, Callable[..., Any]] = {
    "add": lambda x, y: Dual.__add__(y, x),
    "sub": _difference,
    "mul": lambda x, y: Dual.__mul__(y, x),
    "div": _div, "truediv": _div, "minimum": _minimum, "maximum": _maximum, "where": _where,
    "exp": _exp, "tanh": _tanh, "sigmoid": _sigmoid,
    "log": lambda x: _scaled(x.value.log(), (1 / x.value, x)),
    "lt": lambda x, y: _value(x) < _value(y), "le": lambda x, y: _value(x) <= _value(y),
    "gt": lambda x, y: _value(x) > _value(y), "ge": lambda x, y: _value(x) >= _value(y),
}  # fmt: skip
"""Rules of functions of PyTorch, by name; operators with a dual number on the left have methods."""
