"""From configuration to models."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from dmg import config as schema
from dmg.config import Experiment
from dmg.correction import Correction
from dmg.delta import DeltaModel, parameter_map
from dmg.ensemble import Ensemble
from dmg.handler import ModelHandler
from dmg.nn import (
    EaLstm,
    Encoder,
    Lstm,
    LstmMlp,
    McLstm,
    Mlp,
    NamedNetworks,
    Network,
    PlainLstm,
    Table,
    Transformer,
    divide,
)
from dmg.normalizer import Normalizer
from dmg.parameters import ParameterMap
from dmg.phy import MODELS, ProcessModel
from dmg.routing import Aggregate, MuskingumCunge, Paths, Rivers, UnitHydrograph

Statistics = Mapping[str, Any]
"""Statistics of the training part of one fold, see `dmg.data.statistics`."""

NETWORKS: Mapping[str, Callable[..., Network]] = {
    "lstm": Lstm,
    "plain_lstm": PlainLstm,
    "lstm_mlp": LstmMlp,
    "ea_lstm": EaLstm,
    "transformer": Transformer,
    "encoder": Encoder,
}
"""Networks that read forcings and attributes and give scores of both kinds."""


def build_handler(experiment: Experiment, statistics: Statistics) -> ModelHandler:
    """Build an untrained model from an experiment and the statistics of one fold."""
    settings = experiment.model
    models = {
        phy.label: build_delta(experiment, statistics, phy) for phy in settings.process_models
    }
    if not models:
        return ModelHandler(build_delta(experiment, statistics, None))
    if len(models) == 1:
        return ModelHandler(*models.values())
    weights = None
    if settings.weights != "mean":
        static = settings.weights.gives == "static"
        sizes = (0, len(models)) if static else (len(models), 0)
        weights = build_network(experiment, statistics, settings.weights, *sizes)
    return ModelHandler(Ensemble(models, weights, build_normalizer(experiment, statistics)))


def build_delta(
    experiment: Experiment, statistics: Statistics, phy: schema.Phy | None
) -> DeltaModel:
    """Couple one process model (none: the network gives the flow) with its networks."""
    model = experiment.model
    phy_model = build_phy(phy) if phy else None
    routing, aggregate = build_routing(model.routing) if phy else (None, None)
    dynamic, fixed = (phy.dynamic, phy.fixed) if phy else ((), {})
    parameters = parameter_map(phy_model, routing, dynamic, model.num_components, fixed, aggregate)
    delta = DeltaModel(
        build_networks(experiment, statistics, parameters),
        phy_model,
        routing,
        aggregate,
        normalizer=build_normalizer(experiment, statistics),
        parameters=parameters,
        warmup_gradient=experiment.train.warmup_gradient,
        dynamic_dropout=model.dynamic_dropout,
        outputs=(experiment.data.target,),
        correction=build_correction(experiment, statistics),
    )
    delta.recompute_days = experiment.train.recompute_days
    return delta


def build_routing(
    settings: schema.Routing | None,
) -> tuple[UnitHydrograph | None, Aggregate | None]:
    """Routing of each basin or unit, and from units to gauges; none: their mean by area."""
    match settings:
        case schema.GammaUnitHydrograph():
            return UnitHydrograph(settings.length), None
        case schema.GammaPaths():
            return None, Paths(settings.length, settings.max_lag)
        case schema.MuskingumCunge():
            hillslope = UnitHydrograph(settings.hillslope) if settings.hillslope else None
            routing = MuskingumCunge(settings.substeps, shift=settings.shift)
            return hillslope, Rivers(routing, settings.learned)
    return None, None


def build_phy(settings: schema.Phy) -> ProcessModel:
    """Process model with its options.

    Raises
    ------
    ValueError
        If the model takes no such option, or not this value, or runs in steps shorter than the
        days of the stores.
    """
    model: Callable[..., ProcessModel] = MODELS[settings.label]
    known = set(inspect.signature(model).parameters)
    unknown = sorted(set(settings.options) - known)
    if unknown:
        raise ValueError(
            f"model.phy.options: {settings.label} takes no {unknown}; choose from {sorted(known)}"
        )
    phy_model = model(**settings.options)
    if phy_model.dt != 1:
        raise ValueError(
            f"model.phy: {settings.label} runs in steps of {phy_model.dt * 24:g} h, but stores are"
            " daily; choose a daily model, or run this one from Python"
        )
    return phy_model


def build_networks(
    experiment: Experiment, statistics: Statistics, parameters: ParameterMap
) -> Network | None:
    """Networks that give the parameters, as one; without physics, the one that gives the flow."""
    settings = experiment.model.networks
    if experiment.model.phy is None:
        (only,) = settings.values()
        return build_network(experiment, statistics, only, 1, 0)
    parts = divide(parameters, {name: network.parameters for name, network in settings.items()})
    networks = {
        name: build_network(experiment, statistics, network, part.num_dynamic, part.num_static)
        for (name, network), part in zip(settings.items(), parts.values(), strict=True)
    }
    if len(networks) > 1:
        return NamedNetworks(parameters, networks, parts)
    return next(iter(networks.values()), None)


def build_correction(experiment: Experiment, statistics: Statistics) -> Correction | None:
    """Network after the physics, which sees the simulated flow as a further forcing."""
    settings = experiment.model.correction
    if settings is None:
        return None
    return Correction(build_network(experiment, statistics, settings, 1, 0, extra_forcings=1))


def build_network(
    experiment: Experiment,
    statistics: Statistics,
    settings: schema.Network,
    num_dynamic: int,
    num_static: int,
    extra_forcings: int = 0,
) -> Network:
    """One network with the given numbers of scores."""
    data = experiment.data
    num_forcings, num_attributes = len(data.forcings) + extra_forcings, len(data.attributes)
    options = settings.model_dump(exclude={"name", "parameters", "shared"})
    if "precision" in options:
        options["bfloat16"] = options.pop("precision") == "bfloat16"
    match settings:
        case schema.Table():
            return Table(None if settings.shared else len(statistics["target_std"]), num_static)
        case schema.Mlp():
            return Mlp(num_attributes, num_static, **options)
        case schema.McLstm():
            return McLstm(num_forcings, num_attributes, **options)
    network = NETWORKS[settings.name]
    return network(num_forcings, num_attributes, num_dynamic, num_static, **options)


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
        data.target_per,
    )
