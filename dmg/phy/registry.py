"""Process models by name, those of installed packages among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pkgutil import resolve_name

from dmg.config.registry import process_models
from dmg.phy.base import ProcessModel
from dmg.phy.compose import Composite, compose


class Registry(Mapping[str, type[ProcessModel]]):
    """Classes of the process models; each is imported when it is asked for.

    `gr4j+degree_day` is the first fed by the second, a snow module.
    """

    def __getitem__(self, name: str) -> type[ProcessModel]:
        soil, plus, snow = name.partition("+")
        if plus:
            return _composed(soil, snow)
        found = resolve_name(process_models()[name])
        if not (isinstance(found, type) and issubclass(found, ProcessModel)):
            raise ValueError(
                f"process model '{name}': expected a subclass of dmg.phy.ProcessModel at"
                f" {process_models()[name]}, found {found!r}"
            )
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(process_models())

    def __len__(self) -> int:
        return len(process_models())


MODELS: Mapping[str, type[ProcessModel]] = Registry()
"""All process models by name."""


@cache  # a compiled loop belongs to one class
def _composed(soil: str, snow: str) -> type[Composite]:
    """Put a snow module in front of a model that has none."""
    first, second = MODELS[snow], MODELS[soil]
    if "rain_plus_melt" not in first.Flux._fields:
        raise ValueError(f"'{snow}' is no snow module: it gives no rain_plus_melt")
    if "snowmelt" in second.Flux._fields:
        raise ValueError(f"process model '{soil}' has snow of its own; leave out '{snow}'")
    return compose(first, second)
