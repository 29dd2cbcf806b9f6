"""From configuration to objects: the only module that knows both.

Everything below takes plain arguments; `runs`, above, takes file names.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from dmg import config as schema
from dmg.config import Experiment, digest
from dmg.data.loader import DataLoader, open_loader
from dmg.data.sampler import DataSampler, tile
from dmg.data.splits import read_splits, select
from dmg.delta import DeltaModel, parameter_map
from dmg.distributed import device
from dmg.handler import ModelHandler
from dmg.losses import LOSSES, Loss
from dmg.nn import Lstm, Mlp, Network, Table
from dmg.normalizer import Normalizer
from dmg.parameters import ParameterMap
from dmg.phy import MODELS, ProcessModel
from dmg.routing import UnitHydrograph
from dmg.train import Trainer
from dmg.validation import Validation

Statistics = Mapping[str, Any]
"""Statistics of the training part of one fold, see `dmg.data.statistics`."""


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
    data, settings = experiment.data, experiment.model.nn
    num_dynamic, num_static = parameters.num_dynamic, parameters.num_static
    if phy_model is None:
        num_dynamic, num_static = 1, 0
    if isinstance(settings, schema.Table):
        return Table(None if settings.shared else len(statistics["target_std"]), num_static)
    if isinstance(settings, schema.Mlp):
        return Mlp(
            len(data.attributes), num_static,
            hidden_sizes=settings.hidden_sizes, dropout=settings.dropout,
        )  # fmt: skip
    return Lstm(
        len(data.forcings), len(data.attributes), num_dynamic, num_static,
        hidden_size=settings.hidden_size, dropout=settings.dropout,
        bfloat16=settings.precision == "bfloat16",
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


def build_loader(
    experiment: Experiment,
    store: Path,
    preprocessed: Path,
    statistics: Statistics,
    target: bool = True,
) -> DataLoader:
    """Loader of all that the experiment's network and process model read."""
    data, phy = experiment.data, experiment.model.phy
    physical = MODELS[phy.name].forcings if phy else ()
    loader = open_loader(
        [store, preprocessed / "derived.zarr"],
        forcings=[*data.forcings, *physical],
        attributes=data.attributes,
        target=data.target if target else None,
        categories=statistics["categories"],
    )
    if isinstance(experiment.model.nn, schema.Table) and not experiment.model.nn.shared:
        _check_rows(loader.basin_ids, list(statistics["target_std"]))
    return loader


def _check_rows(basins: Sequence[str], trained: Sequence[str]) -> None:
    """Refuse other basins, or another order, than the rows of a trained table stand for."""
    if list(basins) == list(trained):
        return
    unseen = sorted(set(basins) - set(trained))
    found = f"{unseen[0]}, which has none" if unseen else f"{len(basins)} of them"
    raise ValueError(
        f"nn: table has parameters of the {len(trained)} basins it was trained on, found {found};"
        " predict the same data.basins, or use a network that reads attributes"
    )


def spans(
    loader: DataLoader, splits: pd.DataFrame, fold: str, role: str
) -> tuple[list[int], list[int], list[int]]:
    """Rows, and first and last day (indices, both included), of the basins of a role."""
    rows = select(splits, fold, role)
    order = {basin: row for row, basin in enumerate(loader.basin_ids)}
    return (
        [order[basin] for basin in rows["basin_id"]],
        [loader.index(day) for day in rows["start"]],
        [loader.index(day) for day in rows["end"]],
    )


def build_trainer(
    experiment: Experiment,
    loader: DataLoader,
    statistics: Statistics,
    preprocessed: Path,
    fold: str,
    seed: int,
    run_dir: Path,
) -> Trainer:
    """Trainer of one fold and seed; `seed` sets the first weights and all draws."""
    splits = read_splits(preprocessed / "splits.csv")
    train = experiment.train
    torch.manual_seed(seed)
    handler = build_handler(experiment, statistics).to(device())
    loss = build_loss(experiment, loader, statistics)
    optimizer = build_optimizer(experiment, handler)
    return Trainer(
        handler=handler,
        loss=loss,
        loader=loader,
        sampler=build_sampler(experiment, loader, splits, fold, seed),
        optimizer=optimizer,
        schedule=build_schedule(experiment, optimizer),
        run_dir=run_dir,
        epochs=train.epochs,
        target=experiment.data.target,
        clip_norm=train.clip_norm,
        validation=build_validation(experiment, handler, loss, loader, splits, fold),
        validate_every=train.validate_every,
        patience=train.patience,
        checkpoint_minutes=train.checkpoint_minutes,
        digest=training_digest(experiment, preprocessed),
    )


def build_sampler(
    experiment: Experiment, loader: DataLoader, splits: pd.DataFrame, fold: str, seed: int
) -> DataSampler:
    """Sampler of the windows of a fold's training basins."""
    train = experiment.train
    return DataSampler(
        *spans(loader, splits, fold, "train"),
        batch_size=train.batch_size,
        window=train.window,
        warmup=train.warmup,
        seed=seed,
        steps_per_epoch=train.steps_per_epoch,
    )


def build_loss(experiment: Experiment, loader: DataLoader, statistics: Statistics) -> Loss:
    """Loss function, with the standard deviation of each basin's target where it needs one."""
    settings = experiment.train.loss
    options = settings.model_dump(exclude={"name"})
    if LOSSES[settings.name].needs_target_std:
        known = statistics["target_std"]
        std = [known.get(basin, float("nan")) for basin in loader.basin_ids]
        options["target_std"] = torch.tensor(std)
    return LOSSES[settings.name](**options)


def build_optimizer(experiment: Experiment, handler: ModelHandler) -> torch.optim.Optimizer:
    """Optimiser of all weights."""
    settings = experiment.train.optimizer
    weights = handler.parameters()
    match settings:
        case schema.Adam():
            return torch.optim.Adam(weights, lr=settings.learning_rate, fused=True)
        case schema.AdamW():
            return torch.optim.AdamW(
                weights,
                lr=settings.learning_rate,
                weight_decay=settings.weight_decay,
                fused=True,
            )
        case schema.Adadelta():
            return torch.optim.Adadelta(weights, lr=settings.learning_rate)


def build_schedule(
    experiment: Experiment, optimizer: torch.optim.Optimizer
) -> torch.optim.lr_scheduler.LRScheduler | None:
    """Learning rate by epoch; none: constant."""
    settings, epochs = experiment.train.schedule, experiment.train.epochs
    match settings:
        case None:
            return None
        case schema.StepSchedule():
            return torch.optim.lr_scheduler.StepLR(optimizer, settings.every, settings.factor)
        case schema.CosineSchedule():
            start = experiment.train.optimizer.learning_rate
            return torch.optim.lr_scheduler.CosineAnnealingLR(
                optimizer, max(1, epochs - 1), eta_min=settings.final * start
            )


def build_validation(
    experiment: Experiment,
    handler: ModelHandler,
    loss: Loss,
    loader: DataLoader,
    splits: pd.DataFrame,
    fold: str,
) -> Validation | None:
    """Loss over the whole validation period in consecutive windows; none without a period."""
    rows, first, last = spans(loader, splits, fold, "validate")
    if not rows:
        return None
    train = experiment.train
    windows = tile(
        rows, first, last, batch_size=train.batch_size, window=train.window, warmup=train.warmup
    )
    return Validation(
        handler=handler, loss=loss, loader=loader, windows=windows,
        warmup=train.warmup, target=experiment.data.target,
    )  # fmt: skip


def training_digest(experiment: Experiment, preprocessed: Path) -> str:
    """Digest of all that the weights depend on: settings, split and statistics of the data.

    Resources (processes, threads, time between checkpoints) and the other seeds do not count: a
    run may go on with others.
    """
    train = experiment.train.model_copy(update=dict.fromkeys(schema.RESOURCES))
    content = hashlib.sha256(digest(experiment.data, experiment.model, train).encode())
    for name in ("splits.csv", "statistics.json"):
        content.update((preprocessed / name).read_bytes())
    return content.hexdigest()[:16]
