"""Train and predict: the stages of one fold and seed, from file names to files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dmg.build import build_loader, build_trainer
from dmg.build_model import build_handler
from dmg.checkpoint import load_model, save_model
from dmg.config import Experiment, load_experiment, parse, resolved
from dmg.data.statistics import read_statistics
from dmg.denormals import flush_denormals
from dmg.distributed import device, is_main
from dmg.files import atomic
from dmg.handler import ModelHandler
from dmg.phy import MODELS
from dmg.predict import predict as predict_all
from dmg.run_files import CONFIG, DONE

PROVENANCE = ("digest", "fold", "seed", "version", "commit")
"""What the prediction repeats of the trained model's file."""


def train(config: Path, store: Path, preprocessed: Path, fold: str, seed: str, model: Path) -> None:
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
    mine, run_dir = statistics[fold], model.parent
    loader = build_loader(experiment, store, preprocessed, mine)
    trainer = build_trainer(
        experiment, loader, mine, preprocessed, fold, seed_number(seed), run_dir
    )
    if is_main():
        (run_dir / DONE).unlink(missing_ok=True)  # of an earlier configuration
        write_config(experiment, run_dir / CONFIG)
    history = trainer.fit()
    if is_main():
        about = {"digest": trainer.digest, "fold": fold, "seed": seed, "epochs": len(history)}
        save_model(
            model, trainer.handler, config=resolved(experiment), digest=trainer.digest,
            statistics=mine, fold=fold, seed=seed,
        )  # fmt: skip
        with atomic(run_dir / DONE) as temporary:
            temporary.write_text(json.dumps(about) + "\n", encoding="utf-8")


@flush_denormals()
def predict(
    experiment: Experiment, model: Path, store: Path, preprocessed: Path, out: Path
) -> None:
    """Simulate all basins and days of an experiment with a trained model.

    The model, its inputs and its statistics are those of `model`; `experiment.evaluate` says what
    is written.
    """
    content = load_model(model)
    handler, trained = restore(content, str(model))
    loader = build_loader(trained, store, preprocessed, content["statistics"], target=False)
    evaluate = experiment.evaluate
    handler.model.outputs = flux_names(trained, evaluate.outputs)
    reference = evaluate.reference or trained.data.split.train
    predict_all(
        handler.to(device()),
        loader,
        out,
        reference=(reference.start, reference.end),
        outputs=dict.fromkeys(handler.model.outputs, "mm d-1"),
        chunk_days=evaluate.chunk_days,
        block_basins=evaluate.block_basins,
        period=(evaluate.period.start, evaluate.period.end) if evaluate.period else None,
        memory=trained.train.warmup if evaluate.memory == "window" else None,
        attrs={name: content[name] for name in PROVENANCE if content[name] is not None},
    )


def load_handler(model: Path) -> tuple[ModelHandler, Experiment]:
    """Trained model and its experiment, from `model.pt` alone."""
    return restore(load_model(model), str(model))


def restore(content: Mapping[str, Any], origin: str) -> tuple[ModelHandler, Experiment]:
    """Build the model that the content of `origin` describes, with its trained weights."""
    experiment = parse(Experiment, content["config"], origin)
    handler = build_handler(experiment, content["statistics"])
    handler.load_state_dict(content["state"])
    return handler.eval(), experiment


def flux_names(experiment: Experiment, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Check that the model gives the fluxes that are asked for."""
    fluxes = [MODELS[phy.label].Flux._fields for phy in experiment.model.process_models]
    first, *others = fluxes or [(experiment.data.target,)]
    known = [name for name in first if all(name in other for other in others)]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f"evaluate.outputs: unknown {unknown}; choose from {known}")
    return wanted


def seed_number(seed: str) -> int:
    """Read the number of a seed's name, "seed0" or plainly "0"."""
    digits = seed.removeprefix("seed")
    if not digits.isdigit():
        raise ValueError(f"--seed: expected seed<integer>, for example seed0, found '{seed}'")
    return int(digits)


def write_config(experiment: Experiment, path: Path) -> None:
    """Write all settings, defaults included, as YAML."""
    with atomic(path) as temporary:
        text = yaml.safe_dump(resolved(experiment), sort_keys=False)
        temporary.write_text(text, encoding="utf-8")
