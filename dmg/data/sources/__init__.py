"""Readers of raw datasets, by name. Each gives canonical names and units, `NaN` for missing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dmg.data.sources.camels_us import CamelsUs


class Source(Protocol):
    """What the store needs of a raw dataset."""

    origin: str

    def choose(self, wanted: Sequence[str] | None) -> list[str]:
        """Check that the wanted basins have data; without a wish, take all that have."""

    def span(self, basin: str) -> tuple[np.datetime64, np.datetime64]:
        """Give first and last day of the forcing, read without parsing the file."""

    def fingerprint(self, basin: str) -> str:
        """Hash the source files of a basin."""

    def series(self, basin: str, days: NDArray[np.datetime64]) -> dict[str, NDArray[np.float32]]:
        """Read every dynamic variable on the given days, `NaN` where there is none."""

    def attributes(self, basins: Sequence[str]) -> pd.DataFrame:
        """Give static variables and attributes, a row per basin, units in `frame.attrs`."""


SOURCES = {"camels_us": CamelsUs}


def open_source(name: str, tree: Path, product: str) -> Source:
    """Open the raw files under `tree` with the reader `name`."""
    if name not in SOURCES:
        raise ValueError(f"source '{name}': expected one of {', '.join(SOURCES)}")
    return SOURCES[name](tree, product)
