"""Prediction with a trained model, built again from its file alone."""

from __future__ import annotations

from pathlib import Path

from dmg.build.data import build_loader
from dmg.build.model import Statistics, build_handler
from dmg.checkpoint import load_model
from dmg.config import Experiment, digest, parse
from dmg.distributed import device
from dmg.handler import ModelHandler
from dmg.phy import MODELS
from dmg.predict import predict as predict_all


def predict(
    experiment: Experiment, model: Path, store: Path, preprocessed: Path, out: Path
) -> None:
    """Simulate all basins and days of an experiment with a trained model."""
    handler, trained, statistics = load_handler(model)
    loader = build_loader(trained, store, preprocessed, statistics, target=False)
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
        attrs={"model": str(model), "digest": digest(trained)},
    )


def load_handler(model: Path) -> tuple[ModelHandler, Experiment, Statistics]:
    """Trained model, its experiment and the statistics it was trained with, from `model.pt`."""
    content = load_model(model)
    experiment = parse(Experiment, content["config"], str(model))
    handler = build_handler(experiment, content["statistics"])
    handler.load_state_dict(content["state"])
    return handler.eval(), experiment, content["statistics"]


def flux_names(experiment: Experiment, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Check that the model gives the fluxes that are asked for."""
    phy = experiment.model.phy
    known = MODELS[phy.name].Flux._fields if phy else (experiment.data.target,)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise ValueError(f"evaluate.outputs: unknown {unknown}; choose from {list(known)}")
    return wanted
