"""What was run of a benchmark, as its figures need it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from dmg.benchmark.outcomes import Outcome
from dmg.benchmark.rows import Sources, outcomes_of
from dmg.config import Benchmark
from dmg.score import headline

SKILL = "nse"


class Model:
    """A series that was run: its outcome, and how to call it."""

    def __init__(self, label: str, state: str, outcome: Outcome) -> None:
        self.label, self.state, self.outcome = label, state, outcome
        self.name = f"{label} (reduced)" if state == "reduced" else label

    @property
    def skill(self) -> pd.Series[float]:
        """Headline scores by basin; empty if they were not computed."""
        table = headline(self.outcome.scores)
        if SKILL not in table:
            return pd.Series(dtype=float)
        return table.set_index("basin_id")[SKILL].astype(float)

    @property
    def store(self) -> Path | None:
        """Store that it was trained from, if it lies with the results."""
        data = self.outcome.settings.get("data", {})
        folder = self.outcome.folder.parent / "stores"
        path = folder / f"{data.get('store') or data.get('dataset')}.zarr"
        return path if path.is_dir() else None


def models_of(id_: str, benchmark: Benchmark, sources: Sources, lacks: pd.DataFrame) -> list[Model]:
    """Everything that was run of a benchmark; `lacks` are its rows, which know what is reduced."""
    states = dict(zip(lacks["experiment"], lacks["state"], strict=True))
    return [
        Model(series.label, states.get(outcome.name, state), outcome)
        for key, series in benchmark.series.items()
        if series.experiment or series.ensemble
        for state, outcome in outcomes_of(id_, key, sources)
    ]
