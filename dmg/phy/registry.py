"""Process models by name, those of installed packages among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pkgutil import resolve_name

from dmg.config.registry import process_models
from dmg.phy.base import ProcessModel


class Registry(Mapping[str, type[ProcessModel]]):
    """Classes of the process models; each is imported when it is asked for."""

    def __getitem__(self, name: str) -> type[ProcessModel]:
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
