"""The training of an experiment: loss, optimiser, schedule, validation, trainer."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd
import torch
import yaml

from dmg import config as schema
from dmg.build.data import build_loader, build_sampler, spans
from dmg.build.model import Statistics, build_handler
from dmg.checkpoint import save_model
from dmg.config import Experiment, digest, load_experiment, resolved
from dmg.data.loader import DataLoader
from dmg.data.sampler import tile
from dmg.data.splits import read_splits
from dmg.data.statistics import read_statistics
from dmg.distributed import device, is_main
from dmg.files import atomic
from dmg.handler import ModelHandler
from dmg.losses import LOSSES, Loss
from dmg.train import Trainer
from dmg.validation import Validation


def run_training(
    config: Path, store: Path, preprocessed: Path, fold: str, seed: str, model: Path
) -> None:
    """Train one fold and seed to the end, and leave `model.pt` and, last, `done.json`.

    Parameters
    ----------
    config
        Experiment file.
    store, preprocessed
        Extracted store and the folder that `preprocess` wrote.
    fold, seed
        For example "all" or "fold01", and "seed0".
    model
        File of the trained model; its folder is the run's.
    """
    experiment = load_experiment(config)
    statistics = read_statistics(preprocessed / "statistics.json")
    if fold not in statistics:
        raise ValueError(f"--fold: expected one of {sorted(statistics)}, found '{fold}'")
    loader = build_loader(experiment, store, preprocessed, statistics[fold])
    run_dir = model.parent
    trainer = build_trainer(experiment, loader, preprocessed, fold, seed_number(seed), run_dir)
    if is_main():
        write_config(experiment, run_dir / "config.yaml")
    history = trainer.fit()
    if is_main():
        about = {"digest": trainer.digest, "fold": fold, "seed": seed, "epochs": len(history)}
        save_model(
            model, trainer.handler, config=resolved(experiment), digest=trainer.digest,
            statistics=statistics[fold], fold=fold, seed=seed,
        )  # fmt: skip
        with atomic(run_dir / "done.json") as temporary:
            temporary.write_text(json.dumps(about) + "\n", encoding="utf-8")


def seed_number(seed: str) -> int:
    """Read the number of a seed's name, "seed0" or plainly "0"."""
    digits = seed.removeprefix("seed")
    if not digits.isdigit():
        raise ValueError(f"--seed: expected seed<integer>, for example seed0, found '{seed}'")
    return int(digits)


def build_trainer(
    experiment: Experiment,
    loader: DataLoader,
    preprocessed: Path,
    fold: str,
    seed: int,
    run_dir: Path,
) -> Trainer:
    """Trainer of one fold and seed; `seed` sets the first weights and all draws."""
    statistics = read_statistics(preprocessed / "statistics.json")[fold]
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
            return torch.optim.Adam(weights, lr=settings.learning_rate)
        case schema.AdamW():
            return torch.optim.AdamW(
                weights, lr=settings.learning_rate, weight_decay=settings.weight_decay
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
    first = [max(day, train.warmup) for day in first]
    windows = tile(rows, first, last, window=train.window, batch_size=train.batch_size)
    return Validation(
        handler=handler, loss=loss, loader=loader, windows=windows,
        warmup=train.warmup, target=experiment.data.target,
    )  # fmt: skip


def write_config(experiment: Experiment, path: Path) -> None:
    """Write all settings, defaults included, as YAML."""
    with atomic(path) as temporary:
        text = yaml.safe_dump(resolved(experiment), sort_keys=False)
        temporary.write_text(text, encoding="utf-8")
