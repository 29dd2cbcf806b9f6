"""Records of a training, an epoch a line or a point: `metrics.jsonl` always, others by choice."""

from dmg.trackers.base import Record, Tracker
from dmg.trackers.mlflow import MLflow
from dmg.trackers.tensorboard import TensorBoard

__all__ = ["MLflow", "Record", "TensorBoard", "Tracker"]
