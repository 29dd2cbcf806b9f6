"""Readers of raw datasets. Each gives canonical names and units, `NaN` for missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Block = NDArray[np.float32]
"""One variable of some basins and days, `[B, T]`."""


class Source(Protocol):
    """What the store needs of a raw dataset.

    Attributes
    ----------
    origin
        Where it lies, for messages.
    about
        Attributes of the store that say how its values came about.
    variables
        Canonical names of its series.
    """

    origin: str
    about: dict[str, str]
    variables: tuple[str, ...]

    def choose(self, wanted: Sequence[str] | None) -> list[str]:
        """Check that the wanted basins have data; without a wish, take all that have."""

    def span(self, basins: Sequence[str]) -> tuple[np.datetime64, np.datetime64]:
        """Give first and last day of the forcing of these basins."""

    def fingerprints(self, basins: Sequence[str]) -> list[str]:
        """Hash what the values of each basin depend on."""

    def blocks(
        self, basins: Sequence[str], days: NDArray[np.datetime64]
    ) -> Iterator[tuple[str, Block]]:
        """Give each variable of some basins on consecutive days, `NaN` where there is none."""

    def peak_mb(self, num_basins: int, num_days: int) -> float:
        """Estimate the most memory that `blocks` holds at a time [MB], besides what it gives."""

    def attributes(self, basins: Sequence[str]) -> pd.DataFrame:
        """Give static variables and attributes, a row per basin, units in `frame.attrs`."""
