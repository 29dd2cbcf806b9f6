"""A process model of another package: one bucket that spills, drains and evaporates."""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from dmg.parameters import Parameter
from dmg.phy import ProcessModel

PARAMETERS = {
    "SMAX": Parameter(10.0, 500.0, "mm", "water that the bucket holds", scale="log"),
    "K": Parameter(0.0, 1.0, "d-1", "drainage of the bucket"),
    "LAPSE": Parameter(0.0, 0.3, "km-1", "decrease of evapotranspiration with elevation"),
}


class State(NamedTuple):
    """Storages, `[B, E]` each."""

    S: Tensor  # water in the bucket [mm]


class Flux(NamedTuple):
    """Fluxes of one step, `[B, E]` each [mm d-1]."""

    streamflow: Tensor  # spill + drainage
    aet: Tensor  # actual evapotranspiration


class Bucket(ProcessModel):
    """One bucket, daily or hourly."""

    forcings = ("precipitation", "pet", "elevation")
    PARAMETERS = PARAMETERS
    State = State
    Flux = Flux
    BALANCE: ClassVar = {"precipitation": +1, "streamflow": -1, "aet": -1}
    TIMESTEPS = (1.0, 1 / 24)

    def step(
        self, state: State, forcing: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
    ) -> tuple[State, Flux]:
        SMAX, K, LAPSE = (parameters[name] for name in PARAMETERS)
        S = state.S + self.dt * forcing["precipitation"]
        spill = (S - SMAX).clamp(min=0)
        S = S - spill
        pet = self.dt * forcing["pet"] * (1 - LAPSE * forcing["elevation"] / 1000).clamp(min=0)
        aet = torch.minimum(pet * S / SMAX, S)
        S = S - aet
        drainage = self.dt * K * S
        return State(S - drainage), Flux((spill + drainage) / self.dt, aet / self.dt)
