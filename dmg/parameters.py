"""Physical parameters: their bounds and units, and the map from a network's scores to values.

Shape legend: T time, B basins, E components, P parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Parameter:
    """One physical parameter of a process model or of routing.

    Parameters
    ----------
    lower, upper
        Bounds in `unit`.
    unit
        CF unit string.
    meaning
        What the parameter is, in a few words.
    default
        Value where no network gives the parameter; none: a network must give it.
    scale
        Spacing of the values between the bounds that equal steps of the score (after the
        sigmoid) give; "log" for quantities that span orders of magnitude.
    source
        Publication of the bounds, where it is not that of the model's other parameters.
    """

    lower: float
    upper: float
    unit: str
    meaning: str
    default: float | None = None
    scale: Literal["linear", "log"] = "linear"
    source: str = ""

    def value(self, score: Tensor) -> Tensor:
        """Map raw scores of any shape to values within the bounds, [unit]."""
        fraction = torch.sigmoid(score)
        if self.scale == "linear":
            return self.lower + fraction * (self.upper - self.lower)
        return self.lower * torch.exp(fraction * math.log(self.upper / self.lower))


class ParameterMap(nn.Module):
    """Splits a network's scores by parameter and maps them to physical values.

    This is the one place where sigmoid and bounds live: networks return raw scores, process
    models receive physical values.

    Parameters
    ----------
    components
        Parameters of the process model that the network gives, `num_components` sets each.
    basin
        Parameters with one value per basin (routing).
    dynamic
        Names among `components` that change in time.
    num_components
        E, the number of parallel parameter sets.
    """

    def __init__(
        self,
        components: Mapping[str, Parameter],
        basin: Mapping[str, Parameter] | None = None,
        dynamic: Sequence[str] = (),
        num_components: int = 1,
    ) -> None:
        super().__init__()
        _check_dynamic(dynamic, components)
        self.components = dict(components)
        self.basin = dict(basin or {})
        self.dynamic_names = tuple(name for name in components if name in dynamic)
        self.static_names = tuple(name for name in components if name not in dynamic)
        self.num_components = num_components

    @property
    def num_dynamic(self) -> int:
        """Scores that the network gives per basin and step."""
        return len(self.dynamic_names) * self.num_components

    @property
    def num_static(self) -> int:
        """Scores that the network gives per basin; those of the routing come last."""
        return len(self.static_names) * self.num_components + len(self.basin)

    def dynamic(self, scores: Tensor) -> dict[str, Tensor]:
        """Scores `[..., num_dynamic]` to values `[..., E]` by name."""
        parts = torch.split(scores, self.num_components, dim=-1) if self.dynamic_names else ()
        return self._values(self.dynamic_names, parts)

    def static(self, scores: Tensor) -> dict[str, Tensor]:
        """Scores `[B, num_static]` to values, `[B, E]` or `[B]` (routing) by name."""
        sizes = [self.num_components] * len(self.static_names) + [1] * len(self.basin)
        parts = torch.split(scores, sizes, dim=-1)
        values = self._values(self.static_names, parts)
        tail = parts[len(self.static_names) :]
        for (name, parameter), part in zip(self.basin.items(), tail, strict=True):
            values[name] = parameter.value(part.squeeze(-1))
        return values

    def _values(self, names: Iterable[str], parts: Sequence[Tensor]) -> dict[str, Tensor]:
        return {n: self.components[n].value(s) for n, s in zip(names, parts, strict=False)}


def learned(
    parameters: Mapping[str, Parameter], dynamic: Sequence[str] = ()
) -> dict[str, Parameter]:
    """Parameters that a network must give: those without default, and the dynamic ones."""
    return {n: p for n, p in parameters.items() if p.default is None or n in dynamic}


def _check_dynamic(dynamic: Sequence[str], components: Mapping[str, Parameter]) -> None:
    unknown = [name for name in dynamic if name not in components]
    if unknown:
        raise ValueError(
            f"dynamic parameters {unknown} are not parameters of the process model;"
            f" choose from {list(components)}"
        )
