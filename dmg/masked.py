"""A loader that shows the flow of training days only.

Windows may reach over years that are kept from training: their forcing is simulated, their flow is
never seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from dmg.batch import Batch
from dmg.data.sampler import Integers
from dmg.validation import Loader


class MaskedLoader:
    """A loader whose target is missing outside the training days.

    Parameters
    ----------
    loader
        Where windows come from.
    rows, first, last
        Row of a basin, and first and last day (indices, both included), of each training period;
        a basin may have several, one without any has no target.
    """

    def __init__(
        self, loader: Loader, rows: Iterable[int], first: Iterable[int], last: Iterable[int]
    ) -> None:
        self.basin_ids: Sequence[str] = loader.basin_ids
        self._loader = loader
        self._spans: dict[int, list[tuple[int, int]]] = {}
        for row, begin, end in zip(rows, first, last, strict=True):
            self._spans.setdefault(row, []).append((begin, end))

    def batch(self, basins: Integers, starts: Integers, length: int, warmup: int = 0) -> Batch:
        """Windows of `warmup + length` days: see `dmg.data.loader.DataLoader.batch`."""
        batch = self._loader.batch(basins, starts, length, warmup)
        if batch.target is None:
            return batch
        hidden = np.ones((warmup + length, len(basins)), dtype=bool)
        for column, (basin, start) in enumerate(zip(basins, starts, strict=True)):
            origin = int(start) - warmup
            for begin, end in self._spans.get(int(basin), ()):
                hidden[max(begin - origin, 0) : max(end + 1 - origin, 0), column] = False
        target = batch.target.clone()
        target[hidden] = float("nan")
        return replace(batch, target=target)
