"""A step on the raw scores of a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from dmg.parameters import Parameter


class ScoredStep:
    """A step that takes some of its parameters as raw scores and maps them to values itself.

    In a compiled loop, sigmoid and bounds then cost a few instructions a step, and the values of
    a dynamic parameter, `[T, B, E]`, are never written to memory.
    """

    def __init__(
        self, step: Callable[..., tuple[Any, Any]], table: Mapping[str, Parameter]
    ) -> None:
        self.step = step
        self.table = dict(table)

    def __call__(
        self, state: Any, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
    ) -> tuple[Any, Any]:
        """Advance one step, see `ProcessModel.step`."""
        values = {name: entry.value(parameters[name]) for name, entry in self.table.items()}
        return self.step(state, forcing, {**parameters, **values})
