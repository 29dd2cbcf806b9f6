"""Model: networks, process models, components and routing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from dmg.config.base import Section
from dmg.config.networks import Lstm, Network, NetworkSection
from dmg.config.registry import process_models

SnowModule = Literal["snow17", "degree_day"]
"""Process models that can feed another one."""


class Phy(Section):
    """Process model; `dmg models list` names them, `dmg models show NAME` tells all about one."""

    name: str = Field("hbv_1_0", description="Name of the model", examples=list(process_models()))
    snow: SnowModule | None = Field(
        None, description="Snow module that feeds a model without snow, such as gr4j"
    )
    dynamic: tuple[str, ...] = Field((), description="Parameters that change in time")
    fixed: dict[str, float] = Field(
        {}, description="Values of parameters that no network gives, in their unit"
    )
    options: dict[str, bool | int | float | str] = Field(
        {}, description="Arguments of the model's class, such as `capillary` of hbv_implicit"
    )

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in process_models():
            raise ValueError(f"no process model '{name}'; choose from {list(process_models())}")
        return name

    @property
    def label(self) -> str:
        """Name in `dmg.phy.MODELS`, with that of the snow module: `gr4j+degree_day`."""
        return f"{self.name}+{self.snow}" if self.snow else self.name


class GammaUnitHydrograph(Section):
    """Gamma-shaped unit hydrograph per basin."""

    name: Literal["gamma"] = "gamma"
    length: int = Field(15, ge=1, description="Ordinates of the unit hydrograph [d]")


class GammaPaths(Section):
    """Gamma-shaped unit hydrograph for each pair of a gauge and a unit, later by their distance."""

    name: Literal["gamma_paths"] = "gamma_paths"
    length: int = Field(15, ge=1, description="Ordinates of a unit hydrograph without its lag [d]")
    max_lag: float = Field(10.0, gt=0, description="Longest lag [d]")


class MuskingumCunge(Section):
    """Unit runoff through the reaches of the river network upstream of each gauge."""

    name: Literal["muskingum_cunge"] = "muskingum_cunge"
    learned: tuple[Literal["n", "q_spatial", "p_spatial"], ...] = Field(
        ("n", "q_spatial"),
        description="Parameters of the reaches that networks give, each the mean of its units': n"
        " must be among them, q_spatial too",
    )
    substeps: int = Field(24, ge=1, description="Steps of routing a day")
    shift: int = Field(
        0, ge=0, description="Substeps by which a gauge's day begins before that of the forcing"
    )
    hillslope: int | None = Field(
        5,
        ge=1,
        description="Ordinates of a gamma unit hydrograph before the reaches [d]; none: runoff"
        " enters its reach on the day that it forms",
    )


def _is_list(value: Any) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


def _is_named(value: Any) -> str:
    named = isinstance(value, dict) and value and "name" not in value
    sections = (dict, NetworkSection)
    return "several" if named and all(isinstance(v, sections) for v in value.values()) else "one"


def _is_text(value: Any) -> str:
    return "text" if isinstance(value, str) else "one"


Routing = Annotated[GammaUnitHydrograph | GammaPaths | MuskingumCunge, Field(discriminator="name")]
OneOrMorePhy = Annotated[
    Annotated[Phy, Tag("one")] | Annotated[tuple[Phy, ...], Tag("several")],
    Discriminator(_is_list),
]
OneOrMoreNetworks = Annotated[
    Annotated[Network, Tag("one")] | Annotated[dict[str, Network], Tag("several")],
    Discriminator(_is_named),
]
Weights = Annotated[
    Annotated[Literal["mean"], Tag("text")] | Annotated[Network, Tag("one")],
    Discriminator(_is_text),
]


class Model(Section):
    """Networks, process models, components and routing."""

    phy: OneOrMorePhy | None = Field(
        Phy(),
        description="Process model, or several side by side; none: the network gives the flow",
    )
    nn: OneOrMoreNetworks | None = Field(
        Lstm(),
        description="Network that gives the parameters (or the flow), or several by names of your"
        " own; none: all parameters are fixed",
    )
    num_components: int = Field(16, ge=1, description="Parallel parameter sets per basin")
    routing: Routing | None = Field(
        GammaUnitHydrograph(), description="Routing of runoff to the gauge; none: unrouted"
    )
    dynamic_dropout: float = Field(
        0.0, ge=0, le=1, description="Chance that a dynamic parameter is static for a basin [1]"
    )
    correction: Network | None = Field(
        None, description="Network that corrects the routed flow; it sees the flow as a forcing"
    )
    weights: Weights = Field(
        "mean", description="Weights of several process models: equal, or a network's"
    )

    @property
    def process_models(self) -> tuple[Phy, ...]:
        """Process models, side by side."""
        if self.phy is None:
            return ()
        return self.phy if isinstance(self.phy, tuple) else (self.phy,)

    @property
    def networks(self) -> dict[str, Network]:
        """Networks before the physics, by name."""
        if self.nn is None:
            return {}
        return self.nn if isinstance(self.nn, dict) else {self.nn.name: self.nn}

    @property
    def all_networks(self) -> tuple[Network, ...]:
        """Networks before, beside and after the physics."""
        others = (self.correction, None if self.weights == "mean" else self.weights)
        return (*self.networks.values(), *(n for n in others if n is not None))

    @property
    def label(self) -> str:
        """A name for tables: the process models, or the network without physics."""
        return "+".join(phy.label for phy in self.process_models) or next(iter(self.networks))

    @model_validator(mode="after")
    def _fits_together(self) -> Model:
        for problem in (*_of_phy(self), *_of_networks(self), *_of_others(self)):
            raise ValueError(problem)
        return self


def _of_phy(model: Model) -> Iterator[str]:
    names = [phy.label for phy in model.process_models]
    if model.phy is not None and not names:
        yield "phy: expected one process model or more, found an empty list"
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        yield f"phy: expected each process model once, found {sorted(twice)} more than once"
    for phy in model.process_models:
        both = sorted(set(phy.dynamic) & set(phy.fixed))
        if both:
            yield f"phy: {both} are both dynamic and fixed; choose one"


def _of_networks(model: Model) -> Iterator[str]:
    owner: dict[str, str] = {}
    for label, network in model.networks.items():
        for name in network.parameters or ():
            if owner.setdefault(name, label) != label:
                yield (
                    f"nn: parameter '{name}' is given by two networks, '{owner[name]}' and"
                    f" '{label}'; name it in one of them"
                )
    for network in model.networks.values():
        yield from _of_network(model, network, set(owner) - set(network.parameters or ()))
    if model.phy is None and len(model.networks) != 1:
        yield f"phy: null needs one network, which gives the flow, found {len(model.networks)}"


def _of_network(model: Model, network: Network, of_others: set[str]) -> Iterator[str]:
    name, gives = network.name, network.gives
    if model.phy is None and gives == "static":
        yield f"nn: {name} sees no forcing and cannot give the flow; use nn: lstm"
    if model.phy is not None and gives == "flow":
        yield f"nn: {name} gives the flow, no parameters; set phy: null"
    dynamic = {n for phy in model.process_models for n in phy.dynamic} - of_others
    if network.parameters is not None:
        dynamic &= set(network.parameters)
    if dynamic and gives == "static":
        yield (
            f"nn: {name} gives static parameters only, but phy.dynamic has {sorted(dynamic)};"
            " use nn: lstm or leave dynamic empty"
        )


def _of_others(model: Model) -> Iterator[str]:
    correction, weights = model.correction, model.weights
    if correction is not None and correction.gives != "parameters":
        yield f"correction: {correction.name} cannot correct a flow; use lstm"
    if correction is not None and model.phy is None:
        yield "correction: there is no process model to correct; leave it out"
    if isinstance(model.routing, GammaPaths | MuskingumCunge) and model.phy is None:
        yield f"routing: {model.routing.name} needs a process model; leave it out"
    if weights == "mean":
        return
    if weights.gives == "flow":
        yield f"weights: {weights.name} gives the flow, no weights; use mlp or lstm"
    if len(model.process_models) < 2:
        yield "weights: expected several process models, found one; make phy a list"
