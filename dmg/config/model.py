"""Model: network, process model, components and routing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from dmg.config.base import Section
from dmg.config.networks import Lstm, Network
from dmg.config.registry import process_models


class Phy(Section):
    """Process model; `dmg models list` names them, `dmg models show NAME` tells all about one."""

    name: str = Field("hbv_1_0", description="Name of the model", examples=list(process_models()))
    dynamic: tuple[str, ...] = Field((), description="Parameters that change in time")
    options: dict[str, bool | int | float | str] = Field(
        {}, description="Arguments of the model's class, such as `capillary` of hbv_implicit"
    )

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in process_models():
            raise ValueError(f"no process model '{name}'; choose from {list(process_models())}")
        return name


class GammaUnitHydrograph(Section):
    """Gamma-shaped unit hydrograph per basin."""

    name: Literal["gamma"] = "gamma"
    length: int = Field(15, ge=1, description="Ordinates of the unit hydrograph [d]")


class Model(Section):
    """Network, process model, components and routing."""

    phy: Phy | None = Field(Phy(), description="Process model; none: the network gives the flow")
    nn: Network = Field(Lstm(), description="Network that gives the parameters (or the flow)")
    num_components: int = Field(16, ge=1, description="Parallel parameter sets per basin")
    routing: GammaUnitHydrograph | None = Field(
        GammaUnitHydrograph(), description="Routing of runoff to the gauge; none: unrouted"
    )
    dynamic_dropout: float = Field(
        0.0, ge=0, le=1, description="Chance that a dynamic parameter is static for a basin [1]"
    )

    @model_validator(mode="after")
    def _network_gives_what_is_needed(self) -> Model:
        name, gives = self.nn.name, self.nn.gives
        if self.phy is None and gives == "static":
            raise ValueError(f"nn: {name} sees no forcing and cannot give the flow; use nn: lstm")
        if self.phy is not None and gives == "flow":
            raise ValueError(f"nn: {name} gives the flow, no parameters; set phy: null")
        if self.phy is not None and self.phy.dynamic and gives == "static":
            raise ValueError(
                f"nn: {name} gives static parameters only, but phy.dynamic is"
                f" {list(self.phy.dynamic)}; use nn: lstm or leave dynamic empty"
            )
        return self
