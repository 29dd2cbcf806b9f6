"""Prediction with a trained model, built again from its file alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dmg.build.data import build_loader
from dmg.build.model import build_handler
from dmg.checkpoint import load_model
from dmg.config import Experiment, parse
from dmg.distributed import device
from dmg.handler import ModelHandler
from dmg.phy import MODELS
from dmg.predict import predict as predict_all

PROVENANCE = ("digest", "fold", "seed", "version", "commit")
"""What the prediction repeats of the trained model's file."""


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
    phy = experiment.model.phy
    known = MODELS[phy.name].Flux._fields if phy else (experiment.data.target,)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f"evaluate.outputs: unknown {unknown}; choose from {list(known)}")
    return wanted
