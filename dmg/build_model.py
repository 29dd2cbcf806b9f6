"""From configuration to models."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from dmg import config as schema
from dmg.config import Experiment
from dmg.delta import DeltaModel, parameter_map
from dmg.handler import ModelHandler
from dmg.nn import EaLstm, Lstm, LstmMlp, McLstm, Mlp, Network, Table, Transformer
from dmg.normalizer import Normalizer
from dmg.parameters import ParameterMap
from dmg.phy import MODELS, ProcessModel
from dmg.routing import UnitHydrograph

Statistics = Mapping[str, Any]
"""Statistics of the training part of one fold, see `dmg.data.statistics`."""

NETWORKS: Mapping[str, Callable[..., Network]] = {
    "lstm": Lstm,
    "lstm_mlp": LstmMlp,
    "ea_lstm": EaLstm,
    "transformer": Transformer,
}
"""Networks that read forcings and attributes and give scores of both kinds."""


def build_handler(experiment: Experiment, statistics: Statistics) -> ModelHandler:
    """Build an untrained model from an experiment and the statistics of one fold."""
    model = experiment.model
    phy_model = build_phy(model.phy) if model.phy else None
    routing = UnitHydrograph(model.routing.length) if model.routing and phy_model else None
    dynamic = model.phy.dynamic if model.phy else ()
    parameters = parameter_map(phy_model, routing, dynamic, model.num_components)
    return ModelHandler(
        DeltaModel(
            build_network(experiment, statistics, parameters, phy_model),
            phy_model,
            routing,
            normalizer=build_normalizer(experiment, statistics),
            parameters=parameters,
            warmup_gradient=experiment.train.warmup_gradient,
            dynamic_dropout=model.dynamic_dropout,
            outputs=(experiment.data.target,),
        )
    )


def build_phy(settings: schema.Phy) -> ProcessModel:
    """Process model with its options.

    Raises
    ------
    ValueError
        If the model takes no such option, or not this value.
    """
    model: Callable[..., ProcessModel] = MODELS[settings.name]
    known = set(inspect.signature(model).parameters)
    unknown = sorted(set(settings.options) - known)
    if unknown:
        raise ValueError(
            f"model.phy.options: {settings.name} takes no {unknown}; choose from {sorted(known)}"
        )
    return model(**settings.options)


def build_network(
    experiment: Experiment,
    statistics: Statistics,
    parameters: ParameterMap,
    phy_model: ProcessModel | None,
) -> Network:
    """Network with as many scores as the parameters need; without physics, one: the flow."""
    num_dynamic, num_static = parameters.num_dynamic, parameters.num_static
    if phy_model is None:
        num_dynamic, num_static = 1, 0
    data, settings = experiment.data, experiment.model.nn
    num_basins, num_attributes = len(statistics["target_std"]), len(data.attributes)
    options = settings.model_dump(exclude={"name", "shared"})
    if "precision" in options:
        options["bfloat16"] = options.pop("precision") == "bfloat16"
    match settings:
        case schema.Table():
            return Table(None if settings.shared else num_basins, num_static)
        case schema.Mlp():
            return Mlp(num_attributes, num_static, **options)
        case schema.McLstm():
            return McLstm(len(data.forcings), num_attributes, **options)
    network = NETWORKS[settings.name]
    return network(len(data.forcings), num_attributes, num_dynamic, num_static, **options)


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
