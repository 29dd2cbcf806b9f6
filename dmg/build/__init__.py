"""From configuration to objects: the only package that knows both.

Everything below takes plain arguments; everything above passes file names.
"""

from dmg.build.data import build_loader, build_sampler
from dmg.build.model import build_handler
from dmg.build.prediction import load_handler, predict
from dmg.build.training import build_trainer, run_training, training_digest

__all__ = [
    "build_handler",
    "build_loader",
    "build_sampler",
    "build_trainer",
    "load_handler",
    "predict",
    "run_training",
    "training_digest",
]
