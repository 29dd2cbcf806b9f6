"""One process model of a snow module and the soil model that it feeds, in one fused step.

Shape legend: B basins, E components.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy.base import ProcessModel

TABLES = ("PARAMETERS", "State", "Flux")
"""Attributes whose names the two parts must not share."""


class Composite(ProcessModel):
    """A snow module that feeds a soil model.

    A subclass names its two parts; forcings, tables, balance and step follow from theirs.

    Raises
    ------
    ValueError
        When the subclass is made: if a parameter, store or flux of both parts has one name, or
        `feeds` names what a part lacks.
    """

    snow: ClassVar[type[ProcessModel]]
    """First part: reads precipitation and temperature."""
    soil: ClassVar[type[ProcessModel]]
    """Second part: forcings that `feeds` names come from the first, the others from outside."""
    feeds: ClassVar[Mapping[str, str]] = {"precipitation": "rain_plus_melt"}
    """Flux of the snow module that takes the place of each of these forcings of the soil model."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _check(cls)
        for name, value in _joined(cls).items():
            if name not in vars(cls):
                setattr(cls, name, value)

    def __init__(self, dt: float = 1.0) -> None:
        super().__init__(dt)
        self.upper, self.lower = self.snow(dt), self.soil(dt)  # with the networks inside them

    def initial_state(self, num_basins: int, num_components: int, like: Tensor) -> Any:
        """State before the first step, `[B, E]` each, with the type and device of `like`."""
        parts = (
            part.initial_state(num_basins, num_components, like)
            for part in (self.upper, self.lower)
        )
        return self.State(*(store for state in parts for store in state))

    def storage(self, state: Any, parameters: Mapping[str, Tensor]) -> Tensor:
        """Water that both parts hold, `[B, E]` [mm]."""
        split = len(self.snow.State._fields)
        held = self.upper.storage(self.snow.State(*state[:split]), parameters)
        return held + self.lower.storage(self.soil.State(*state[split:]), parameters)


def compose(
    snow: type[ProcessModel], soil: type[ProcessModel], feeds: Mapping[str, str] | None = None
) -> type[Composite]:
    """Make a process model of a snow module that feeds a soil model.

    Parameters
    ----------
    snow
        First part, such as `Snow17` or `DegreeDay`.
    soil
        Second part, any process model.
    feeds
        Flux of the first part by the forcing of the second that it replaces; none: the soil
        model's `precipitation` is the first's `rain_plus_melt`.

    Raises
    ------
    ValueError
        If a parameter, store or flux of both has one name, or `feeds` names what a part lacks.
    """
    content: dict[str, Any] = {"snow": snow, "soil": soil, "__module__": __name__}
    content["__doc__"] = f"{soil.__name__} fed by {snow.__name__}."
    if feeds is not None:
        content["feeds"] = dict(feeds)
    return type(f"{snow.__name__}{soil.__name__}", (Composite,), content)


def _check(cls: type[Composite]) -> None:
    parts = f"{cls.snow.__name__} and {cls.soil.__name__}"
    for table in TABLES:
        first, second = (set(_names(part, table)) for part in (cls.snow, cls.soil))
        if first & second:
            raise ValueError(
                f"{parts} cannot be composed: both have {sorted(first & second)} in {table};"
                " rename them in one"
            )
    for forcing, flux in cls.feeds.items():
        if forcing not in cls.soil.forcings or flux not in cls.snow.Flux._fields:
            raise ValueError(
                f"{parts} cannot be composed: feeds gives the forcing {forcing!r} the flux"
                f" {flux!r}; choose from {list(cls.soil.forcings)} and"
                f" {list(cls.snow.Flux._fields)}"
            )


def _names(part: type[ProcessModel], table: str) -> tuple[str, ...]:
    found = getattr(part, table)
    return tuple(found) if table == "PARAMETERS" else found._fields


def _joined(cls: type[Composite]) -> dict[str, Any]:
    """Attributes of the whole."""
    snow, soil = cls.snow, cls.soil
    parameters: dict[str, Parameter] = {
        name: replace(p, source=p.source or part.SOURCE)
        for part in (snow, soil)
        for name, p in part.PARAMETERS.items()
    }
    outside = (name for name in soil.forcings if name not in cls.feeds)
    state, flux = _tuple(cls, "State"), _tuple(cls, "Flux")
    return {
        "forcings": tuple(dict.fromkeys([*snow.forcings, *outside])),
        "PARAMETERS": parameters,
        "State": state,
        "Flux": flux,
        "BALANCE": _balance(snow.BALANCE, soil.BALANCE, cls.feeds),
        "SIGNED": (*snow.SIGNED, *soil.SIGNED),
        "RUNOFF": soil.RUNOFF,
        "RECOMMENDED_DYNAMIC": (*snow.RECOMMENDED_DYNAMIC, *soil.RECOMMENDED_DYNAMIC),
        "TIMESTEPS": tuple(dt for dt in snow.TIMESTEPS if dt in soil.TIMESTEPS),
        "step": staticmethod(_step(snow, soil, tuple(cls.feeds.items()), state, flux)),
    }


def _tuple(cls: type[Composite], table: str) -> Any:
    """Named tuple of the fields of both parts; `parts` tells where their comments are."""
    both = getattr(cls.snow, table), getattr(cls.soil, table)
    made = namedtuple(table, [*both[0]._fields, *both[1]._fields])  # type: ignore[misc]
    made.parts = both  # type: ignore[attr-defined]
    made.__module__, made.__qualname__ = cls.__module__, f"{cls.__qualname__}.{table}"
    return made


def _balance(
    snow: Mapping[str, int], soil: Mapping[str, int], feeds: Mapping[str, str]
) -> dict[str, int]:
    """Balance of both: what one gives to the other drops out."""
    total = dict(snow)
    for name, sign in soil.items():
        term = feeds.get(name, name)
        total[term] = total.get(term, 0) + sign
    return {name: sign for name, sign in total.items() if sign}


def _step(
    snow: type[ProcessModel],
    soil: type[ProcessModel],
    feeds: tuple[tuple[str, str], ...],
    State: Any,
    Flux: Any,
) -> Callable[..., Any]:
    """Step of both parts in turn: the soil model reads what the snow module gives in this step."""
    first, second = snow.step, soil.step
    fluxes = tuple((name, snow.Flux._fields.index(flux)) for name, flux in feeds)
    upper, lower = snow.State, soil.State
    split = len(upper._fields)

    def step(
        state: Any, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
    ) -> tuple[Any, Any]:
        cover, released = first(upper(*state[:split]), forcing, parameters)
        fed = {name: released[place] for name, place in fluxes}
        stores, flux = second(lower(*state[split:]), {**forcing, **fed}, parameters)
        return State(*cover, *stores), Flux(*released, *flux)

    return step
