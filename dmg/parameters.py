"""Physical parameters: their bounds and units, and the map from a network's scores to values.

Shape legend: T time, B basins, E components, P parameters.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
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
        Parameters of the process model that are not at their default, `num_components` sets each.
    basin
        Parameters with one value per basin (routing).
    dynamic
        Names among `components` that change in time.
    num_components
        E, the number of parallel parameter sets.
    fixed
        Values of parameters that no network gives, within their bounds.

    Raises
    ------
    ValueError
        If a name is unknown, a fixed parameter is dynamic, or its value is out of bounds.
    """

    def __init__(
        self,
        components: Mapping[str, Parameter],
        basin: Mapping[str, Parameter] | None = None,
        dynamic: Sequence[str] = (),
        num_components: int = 1,
        fixed: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.components = dict(components)
        self.basin = dict(basin or {})
        self.fixed = dict(fixed or {})
        _check_dynamic(dynamic, components)
        _check_fixed(self.fixed, dynamic, self.components | self.basin)
        self.dynamic_names = tuple(name for name in components if name in dynamic)
        learned_static = (name for name in components if name not in dynamic)
        self.static_names = tuple(n for n in learned_static if n not in self.fixed)
        self.basin_names = tuple(n for n in self.basin if n not in self.fixed)
        self.num_components = num_components

    @property
    def names(self) -> tuple[str, ...]:
        """Parameters that a network gives."""
        return (*self.dynamic_names, *self.static_names, *self.basin_names)

    @property
    def num_dynamic(self) -> int:
        """Scores that the network gives per basin and step."""
        return len(self.dynamic_names) * self.num_components

    @property
    def num_static(self) -> int:
        """Scores that the network gives per basin; those of the routing come last."""
        return len(self.static_names) * self.num_components + len(self.basin_names)

    @property
    def constants(self) -> dict[str, tuple[Parameter, int | None]]:
        """What `static` gives: each parameter with its number of components; none: per basin."""
        of_components = {n: p for n, p in self.components.items() if n not in self.dynamic_names}
        sizes: dict[str, tuple[Parameter, int | None]] = {
            n: (p, self.num_components) for n, p in of_components.items()
        }
        return sizes | {n: (p, None) for n, p in self.basin.items()}

    def dynamic(self, scores: Tensor) -> dict[str, Tensor]:
        """Scores `[..., num_dynamic]` to values `[..., E]` by name."""
        return {n: self.components[n].value(s) for n, s in self.dynamic_scores(scores).items()}

    def dynamic_scores(self, scores: Tensor) -> dict[str, Tensor]:
        """Split scores `[..., num_dynamic]` into views `[..., E]` by name."""
        parts = torch.split(scores, self.num_components, dim=-1) if self.dynamic_names else ()
        return dict(zip(self.dynamic_names, parts, strict=True))

    def static(self, scores: Tensor) -> dict[str, Tensor]:
        """Scores `[B, num_static]` to values, `[B, E]` or `[B]` (routing) by name."""
        sizes = [self.num_components] * len(self.static_names) + [1] * len(self.basin_names)
        parts = torch.split(scores, sizes, dim=-1)
        values = self._values(self.static_names, parts)
        tail = parts[len(self.static_names) :]
        for name, part in zip(self.basin_names, tail, strict=True):
            values[name] = self.basin[name].value(part.squeeze(-1))
        return values | self._held(scores)

    def select(self, names: Sequence[str]) -> ParameterMap:
        """Give the map of some of the parameters that a network gives."""
        return ParameterMap(
            {n: p for n, p in self.components.items() if n in names},
            {n: p for n, p in self.basin.items() if n in names},
            [n for n in self.dynamic_names if n in names],
            self.num_components,
        )

    def _values(self, names: Iterable[str], parts: Sequence[Tensor]) -> dict[str, Tensor]:
        return {n: self.components[n].value(s) for n, s in zip(names, parts, strict=False)}

    def _held(self, like: Tensor) -> dict[str, Tensor]:
        """Give fixed parameters the shape of learned ones."""
        num_basins = len(like)
        return {
            n: like.new_full(
                (num_basins,) if n in self.basin else (num_basins, self.num_components), value
            )
            for n, value in self.fixed.items()
        }


def learned(
    parameters: Mapping[str, Parameter], chosen: Collection[str] = ()
) -> dict[str, Parameter]:
    """Parameters without default, and those chosen (dynamic or fixed ones)."""
    return {n: p for n, p in parameters.items() if p.default is None or n in chosen}


def _check_dynamic(dynamic: Sequence[str], components: Mapping[str, Parameter]) -> None:
    unknown = [name for name in dynamic if name not in components]
    if unknown:
        raise ValueError(
            f"dynamic parameters {unknown} are not parameters of the process model;"
            f" choose from {list(components)}"
        )


def _check_fixed(
    fixed: Mapping[str, float], dynamic: Sequence[str], known: Mapping[str, Parameter]
) -> None:
    for name, value in fixed.items():
        if name not in known:
            raise ValueError(
                f"fixed parameter '{name}' is not one of the model; choose from {list(known)}"
            )
        if name in dynamic:
            raise ValueError(f"parameter '{name}' is both fixed and dynamic; choose one")
        bounds = known[name]
        if not bounds.lower <= value <= bounds.upper:
            raise ValueError(
                f"fixed parameter '{name}': expected {bounds.lower:g} to {bounds.upper:g}"
                f" {bounds.unit}, found {value:g}"
            )
