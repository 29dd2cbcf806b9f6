"""Weather at places that have none of their own: from basins around them, or from a grid."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dmg.data.sources import Block

Days = NDArray[np.datetime64]


class Weather(Protocol):
    """Series for places that have none of their own.

    Attributes
    ----------
    about
        Where they come from and how, for the attributes of the store.
    variables
        Canonical names.
    held_mb
        Memory that is held between blocks [MB].
    """

    about: dict[str, str]
    variables: tuple[str, ...]
    held_mb: float

    def span(self) -> tuple[np.datetime64, np.datetime64]:
        """Give first and last day."""

    def fingerprint(self) -> str:
        """Hash what all values depend on."""

    def blocks(self, rows: NDArray[np.int64], days: Days) -> Iterator[tuple[str, Block]]:
        """Give each variable at some of the places."""
