"""The two files of a user: which experiments to run, and what one experiment is."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator, model_validator

from dmg.config.base import Section
from dmg.config.data import Data
from dmg.config.evaluate import Evaluate, Metric
from dmg.config.model import GammaPaths, Model, MuskingumCunge
from dmg.config.simulate import Simulate
from dmg.config.train import Train


class Experiment(Section):
    """One experiment: data, model, training, evaluation."""

    data: Data = Field(description="Data and split")
    model: Model = Field(Model(), description="Model")
    train: Train = Field(Train(), description="Training")
    evaluate: Evaluate = Field(Evaluate(), description="Evaluation")
    simulate: Simulate = Field(Simulate(), description="Simulation of a whole river network")

    @model_validator(mode="after")
    def _networks_suit_the_data(self) -> Experiment:
        for network in self.model.all_networks:
            if network.name in ("mlp", "lstm_mlp", "ea_lstm") and not self.data.attributes:
                raise ValueError(
                    f"nn: {network.name} reads attributes, but data.attributes is empty; list some"
                )
            if network.name == "mc_lstm" and "precipitation" not in self.data.forcings:
                raise ValueError(
                    "nn: mc_lstm conserves precipitation, but data.forcings is"
                    f" {list(self.data.forcings)}; add precipitation"
                )
            if network.name == "table" and not network.shared and self.data.split.holds_out:
                raise ValueError(
                    "nn: table has parameters of trained basins only, but data.split holds basins"
                    " out; use a network that reads attributes, shared: true, or a split that"
                    " trains on all"
                )
        return self

    @model_validator(mode="after")
    def _target_per_has_no_physics(self) -> Experiment:
        if self.data.target_per is not None and self.model.phy is not None:
            raise ValueError(
                "data.target_per measures the flow that a network gives; leave it out, or set phy:"
                " null"
            )
        return self

    @model_validator(mode="after")
    def _window_has_no_stores(self) -> Experiment:
        if self.evaluate.memory == "window" and self.model.phy is not None:
            raise ValueError(
                "evaluate.memory: window simulates each day apart, which is for a network that"
                " gives the flow; use carried, or set phy: null"
            )
        return self

    @model_validator(mode="after")
    def _rivers_have_gauges(self) -> Experiment:
        routing = self.model.routing
        if isinstance(routing, GammaPaths | MuskingumCunge) and self.data.gauges is None:
            raise ValueError(
                f"model.routing: {routing.name} needs the gauges of a river network; set"
                " data.gauges, or use gamma"
            )
        return self

    @model_validator(mode="after")
    def _gauges_share_a_window(self) -> Experiment:
        found = [
            name
            for name, wrong in (
                ("train.draw: each_day", self.train.draw == "each_day"),
                ("evaluate.memory: window", self.evaluate.memory == "window"),
                ("model.weights", self.model.weights != "mean"),
            )
            if wrong
        ]
        if self.data.gauges is not None and found:
            raise ValueError(
                f"{found[0]}: expected none with data.gauges, whose units all have the same days;"
                " remove it"
            )
        return self


class Ensemble(Section):
    """The mean flow of several experiments, which test the same basins on the same days."""

    members: tuple[str, ...] = Field(
        min_length=2, description="Names in config/experiments/; each is the mean of its seeds"
    )
    basins: Path | None = Field(
        None, description="Text file of the basins to score, one id a line; none: all, if the same"
    )
    metrics: tuple[Metric, ...] = Field(
        Evaluate().metrics, description="Metrics of each basin, of members and ensemble"
    )

    @field_validator("members")
    @classmethod
    def _once(cls, members: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in members if members.count(name) > 1})
        if twice:
            raise ValueError(f"expected each experiment once, found {twice} more than once")
        return members


class Run(Section):
    """Which experiments to run, and where files lie."""

    experiments: tuple[str, ...] = Field(("demo",), description="Names in config/experiments/")
    ensembles: tuple[str, ...] = Field((), description="Names in config/ensembles/")
    data_root: Path = Field(
        Path("data/raw"), description="Folder of raw datasets (DMG_DATA_ROOT goes first)"
    )
    results_dir: Path = Field(Path("results"), description="Folder of everything produced")
    reduced: bool = Field(
        False, description="Benchmarks in their reduced form: what smaller machines or data allow"
    )
    extract_parts: int = Field(4, ge=1, description="Jobs that extract one dataset")
    simulate_parts: int = Field(4, ge=1, description="Jobs that simulate units of one network")
