"""Test case of the US National Weather Service: one zone of Hungry Horse, Montana, 1970-2015.

Snow-17 and SAC-SMA, each on its own forcing, with daily output of the Fortran programs.
"""

import tarfile
from collections import namedtuple
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from dmg.phy import ProcessModel
from dmg.scan import scan

NAME = "sacsma_snow17_HHWM8IL"
ZONE = "HHWM8IL"


class Case:
    """Files of the archive, or of its unpacked folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def text(self, name: str) -> str:
        path = f"{ZONE}/{name}"
        if (self.root / NAME / path).exists():
            return (self.root / NAME / path).read_text()
        with tarfile.open(self.root / f"{NAME}.tar.xz") as archive:
            member = archive.extractfile(path)
            assert member is not None
            return member.read().decode()

    def table(self, name: str, sep: str = r"\s+") -> pd.DataFrame:
        return pd.read_csv(StringIO(self.text(name)), sep=sep)

    def parameters(self, name: str) -> dict[str, float]:
        """Values of the zone by name, lower case."""
        lines = (line.split() for line in self.text(name).splitlines())
        return {key: float(value) for key, value, *_ in lines if key != "hru_id"}


def run(
    model: ProcessModel, forcing: dict[str, Tensor], values: dict[str, float]
) -> dict[str, Tensor]:
    """States after each day and fluxes by name, `[T]`, from empty stores."""
    recorded = namedtuple("recorded", [*model.State._fields, *model.Flux._fields])  # type: ignore[misc]

    def step(state: Any, forcing: Any, parameters: Any) -> tuple[Any, Any]:
        new, flux = model.step(state, forcing, parameters)
        return new, recorded(*new, *flux)

    p = {name: torch.full((1, 1), value) for name, value in values.items()}
    start = model.State(*(torch.zeros(1, 1) for _ in model.State._fields))
    with torch.no_grad():
        found, _ = scan(step, start, forcing, p, backend="auto")
    return {name: series[:, 0, 0] for name, series in found.items()}


def series(column: "pd.Series[float]") -> Tensor:
    """Values `[T, 1]` of one basin."""
    return torch.tensor(column.to_numpy(), dtype=torch.float64).unsqueeze(1)
