"""The model of an experiment: network, process model, routing and normaliser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dmg import config as schema
from dmg.config import Experiment
from dmg.delta import DeltaModel, parameter_map
from dmg.handler import ModelHandler
from dmg.nn import Lstm, Mlp, Network
from dmg.normalizer import Normalizer
from dmg.parameters import ParameterMap
from dmg.phy import MODELS, ProcessModel
from dmg.routing import UnitHydrograph

Statistics = Mapping[str, Any]
"""Statistics of the training part of one fold, see `dmg.data.statistics`."""


def build_handler(experiment: Experiment, statistics: Statistics) -> ModelHandler:
    """Build an untrained model from an experiment and the statistics of one fold."""
    model = experiment.model
    phy_model = MODELS[model.phy.name]() if model.phy else None
    routing = UnitHydrograph(model.routing.length) if model.routing and phy_model else None
    dynamic = model.phy.dynamic if model.phy else ()
    parameters = parameter_map(phy_model, routing, dynamic, model.num_components)
    return ModelHandler(
        DeltaModel(
            build_network(experiment, parameters, phy_model),
            phy_model,
            routing,
            normalizer=build_normalizer(experiment, statistics),
            parameters=parameters,
            warmup_gradient=experiment.train.warmup_gradient,
            dynamic_dropout=model.dynamic_dropout,
            outputs=(experiment.data.target,),
        )
    )


def build_network(
    experiment: Experiment, parameters: ParameterMap, phy_model: ProcessModel | None
) -> Network:
    """Network with as many scores as the parameters need; without physics, one: the flow."""
    data, settings = experiment.data, experiment.model.nn
    num_dynamic, num_static = parameters.num_dynamic, parameters.num_static
    if phy_model is None:
        num_dynamic, num_static = 1, 0
    if isinstance(settings, schema.Mlp):
        return Mlp(
            len(data.attributes), num_static,
            hidden_sizes=settings.hidden_sizes, dropout=settings.dropout,
        )  # fmt: skip
    return Lstm(
        len(data.forcings), len(data.attributes), num_dynamic, num_static,
        hidden_size=settings.hidden_size, dropout=settings.dropout,
    )  # fmt: skip


def build_normalizer(experiment: Experiment, statistics: Statistics) -> Normalizer:
    """Normaliser with the statistics of the training part of one fold."""

    def moments(entry: Mapping[str, float]) -> tuple[float, float]:
        return entry["mean"], entry["std"]

    data = experiment.data
    return Normalizer(
        {name: moments(statistics["forcings"][name]) for name in data.forcings},
        {name: moments(statistics["attributes"][name]) for name in data.attributes},
        moments(statistics["target"]),
        data.log_forcings,
    )
