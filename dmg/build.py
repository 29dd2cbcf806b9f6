"""From configuration to data, training and, with `build_model`, to models.

Only these two modules know both configuration and objects: everything below takes plain
arguments; `runs`, above, takes file names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import torch

from dmg import config as schema
from dmg.build_gauges import at_gauges, build_gauge_sampler, gauge_windows
from dmg.build_model import Statistics, build_handler
from dmg.config import Experiment, digest, flat, resolved
from dmg.data.day_sampler import DaySampler
from dmg.data.gauge_loader import GaugeLoader
from dmg.data.loader import DataLoader, open_loader
from dmg.data.network import Network
from dmg.data.sampler import DataSampler, Sampler, tile
from dmg.data.splits import read_splits, select
from dmg.distributed import device
from dmg.handler import ModelHandler
from dmg.losses import LOSSES, Loss
from dmg.masked import MaskedLoader
from dmg.phy import MODELS
from dmg.trackers import MLflow, TensorBoard, Tracker
from dmg.train import Trainer
from dmg.validation import Validation


def build_loader(
    experiment: Experiment,
    store: Path,
    preprocessed: Path,
    statistics: Statistics,
    target: bool = True,
) -> DataLoader | GaugeLoader:
    """Loader of all that the experiment's network and process model read."""
    data, model = experiment.data, experiment.model
    network = Network.read(preprocessed / "network.zarr") if data.gauges else None
    stores = [store, preprocessed / "derived.zarr"]
    if network is not None:
        stores = [preprocessed / "units.zarr", store]  # its climate goes first
    physical = [name for phy in model.process_models for name in MODELS[phy.label].forcings]
    loader = open_loader(
        stores,
        forcings=[*data.forcings, *physical],
        attributes=data.attributes,
        target=data.target if target and network is None else None,
        categories=statistics["categories"],
        cache_mb=experiment.train.cache_mb,
        basin_ids=None if network is None else network.unit_id.tolist(),
    )
    if network is not None:
        return at_gauges(experiment, loader, network, preprocessed, target)
    if any(isinstance(n, schema.Table) and not n.shared for n in model.all_networks):
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
    loader: DataLoader | GaugeLoader, splits: pd.DataFrame, fold: str, role: str
) -> tuple[list[int], list[int], list[int]]:
    """Rows, and first and last day (indices, both included), of each period of a role."""
    rows = select(splits, fold, role)
    order = {basin: row for row, basin in enumerate(loader.basin_ids)}
    return (
        [order[basin] for basin in rows["basin_id"]],
        [loader.index(day) for day in rows["start"]],
        [loader.index(day) for day in rows["end"]],
    )


def whole_spans(
    rows: Sequence[int], first: Sequence[int], last: Sequence[int]
) -> tuple[list[int], list[int], list[int]]:
    """Join the periods of each basin: each row once, its first and its last day."""
    begin: dict[int, int] = {}
    end: dict[int, int] = {}
    for row, start, stop in zip(rows, first, last, strict=True):
        begin[row] = min(begin.get(row, start), start)
        end[row] = max(end.get(row, stop), stop)
    return list(begin), list(begin.values()), list(end.values())


def build_trainer(
    experiment: Experiment,
    loader: DataLoader | GaugeLoader,
    statistics: Statistics,
    preprocessed: Path,
    fold: str,
    seed: int,
    run_dir: Path,
) -> Trainer:
    """Trainer of one fold and seed; `seed` sets the first weights and all draws."""
    splits = read_splits(preprocessed / "splits.csv")
    train, identity = experiment.train, training_digest(experiment, preprocessed)
    torch.manual_seed(seed)
    handler = build_handler(experiment, statistics).to(device())
    loss = build_loss(experiment, loader, statistics)
    optimizer = build_optimizer(experiment, handler)
    return Trainer(
        handler=handler,
        loss=loss,
        loader=MaskedLoader(loader, *spans(loader, splits, fold, "train")),
        sampler=build_sampler(experiment, loader, splits, fold, seed),
        optimizer=optimizer,
        schedule=build_schedule(experiment, optimizer),
        run_dir=run_dir,
        epochs=train.epochs if any(True for _ in handler.parameters()) else 1,
        target=experiment.data.target,
        clip_norm=train.clip_norm,
        accumulate=train.accumulate,
        compress_gradients=torch.bfloat16 if train.compress_gradients else None,
        validation=build_validation(experiment, handler, loss, loader, splits, fold),
        validate_every=train.validate_every,
        patience=train.patience,
        checkpoint_minutes=train.checkpoint_minutes,
        digest=identity,
        trackers=build_trackers(experiment, run_dir, fold, seed, identity),
    )


def build_trackers(
    experiment: Experiment, run_dir: Path, fold: str, seed: int, identity: str
) -> list[Tracker]:
    """Build the records of a training besides `metrics.jsonl`."""
    run, folder = f"{fold}/seed{seed}", run_dir.absolute()
    builders: dict[str, Callable[[], Tracker]] = {
        "tensorboard": lambda: TensorBoard(run_dir),
        "mlflow": lambda: _mlflow(experiment, folder, run, identity),
    }
    return [builders[name]() for name in experiment.train.trackers]


def _mlflow(experiment: Experiment, run_dir: Path, run: str, identity: str) -> MLflow:
    """Run in the store of its experiment, where the run folder is `<experiment>/<fold>/<seed>`."""
    fold, _, _ = run.partition("/")
    folder = run_dir.parent.parent if run_dir.parent.name == fold else run_dir
    return MLflow(
        folder / "mlruns",
        experiment=folder.name,
        run=run,
        parameters=dict(flat(resolved(experiment))),
        key=(str(run_dir), identity),
    )


def build_sampler(
    experiment: Experiment,
    loader: DataLoader | GaugeLoader,
    splits: pd.DataFrame,
    fold: str,
    seed: int,
) -> Sampler:
    """Sampler of the windows of a fold's training basins.

    Random windows may reach over days between two training periods, which `MaskedLoader` hides;
    each day's own window is one of a training day.
    """
    train, periods = experiment.train, spans(loader, splits, fold, "train")
    if isinstance(loader, GaugeLoader):
        return build_gauge_sampler(train, loader, *whole_spans(*periods), seed)
    each_day = train.draw == "each_day"
    sampler = DaySampler if each_day else DataSampler
    return sampler(
        *(periods if each_day else whole_spans(*periods)),
        batch_size=train.batch_size,
        window=train.window,
        warmup=train.warmup,
        seed=seed,
        steps_per_epoch=train.steps_per_epoch,
    )


def build_loss(
    experiment: Experiment, loader: DataLoader | GaugeLoader, statistics: Statistics
) -> Loss:
    """Loss function, with the standard deviation of each basin's target where it needs one."""
    settings = experiment.train.loss
    options = settings.model_dump(exclude={"name"})
    if options.pop("standardized", False):
        options["unit"] = statistics["target"]["std"]
    if LOSSES[settings.name].needs_target_std:
        known = statistics["target_std"]
        std = [known.get(basin, float("nan")) for basin in loader.basin_ids]
        options["target_std"] = torch.tensor(std)
    return LOSSES[settings.name](**options)


def build_optimizer(experiment: Experiment, handler: ModelHandler) -> torch.optim.Optimizer:
    """Optimiser of all weights; of nothing where every parameter is fixed."""
    settings = experiment.train.optimizer
    weights = list(handler.parameters()) or [torch.nn.Parameter(torch.zeros(0))]
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
        case schema.ListedSchedule(learning_rates=rates):
            start = experiment.train.optimizer.learning_rate

            def factor(done: int) -> float:
                begun = [epoch for epoch in rates if epoch <= done + 1]
                return rates[max(begun)] / start if begun else 1.0

            return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def build_validation(
    experiment: Experiment,
    handler: ModelHandler,
    loss: Loss,
    loader: DataLoader | GaugeLoader,
    splits: pd.DataFrame,
    fold: str,
) -> Validation | None:
    """Loss over the whole validation period in consecutive windows; none without a period."""
    rows, first, last = spans(loader, splits, fold, "validate")
    if not rows:
        return None
    train = experiment.train
    if isinstance(loader, GaugeLoader):
        windows = gauge_windows(train, loader, rows, first, last)
    else:
        windows = tile(
            rows, first, last, batch_size=train.batch_size, window=train.window, warmup=train.warmup
        )
    return Validation(
        handler=handler, loss=loss, loader=loader, windows=windows,
        warmup=train.warmup, target=experiment.data.target,
    )  # fmt: skip


def training_digest(experiment: Experiment, preprocessed: Path) -> str:
    """Digest of all that the weights depend on: settings, split and statistics of the data.

    Resources (processes, threads, pieces, time between checkpoints) and the other seeds do not
    count: a run may go on with others.
    """
    train = experiment.train.model_copy(update=dict.fromkeys(schema.RESOURCES))
    content = hashlib.sha256(digest(experiment.data, experiment.model, train).encode())
    for name in ("splits.csv", "statistics.json"):
        content.update((preprocessed / name).read_bytes())
    return content.hexdigest()[:16]
