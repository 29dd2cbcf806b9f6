"""Curves of a training in MLflow."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from dmg.progress import Line
from dmg.trackers.base import curves, require


class MLflow:
    """A run of a file store of MLflow, or of the store that `MLFLOW_TRACKING_URI` names.

    Parameters
    ----------
    folder
        The file store; trainings of one experiment share it.
    experiment, run
        Names under which MLflow shows the training.
    parameters
        Settings to show beside the curves.
    key
        What makes it the same training when it goes on: its folder and digest.

    Raises
    ------
    ValueError
        If MLflow is not installed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        experiment: str,
        run: str,
        parameters: Mapping[str, Any],
        key: Sequence[str],
    ) -> None:
        self._package = require("mlflow", "mlflow")
        self._folder, self._experiment, self._name = folder.absolute(), experiment, run
        self._parameters = parameters
        self._key = hashlib.sha256("\n".join(key).encode()).hexdigest()[:16]
        self._client: Any = None
        self._run = ""
        self._known: dict[str, set[int]] = {}  # epochs that a curve has

    def __enter__(self) -> MLflow:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._client is None:
            return
        failed = isinstance(error, Exception)
        ended = "FAILED" if failed else "FINISHED" if error is None else "KILLED"
        self._client.set_terminated(self._run, ended)
        self._client = None

    def write(self, history: Sequence[Line]) -> None:
        """Add to each curve the epochs that it does not have."""
        if self._client is None:
            self._open()
        for line in history:
            epoch, milliseconds = line["epoch"], int(1000 * line["time"])
            for name, value in curves(line).items():
                if epoch not in self._epochs(name):
                    self._client.log_metric(self._run, name, value, milliseconds, epoch)
                    self._epochs(name).add(epoch)

    def _epochs(self, name: str) -> set[int]:
        if name not in self._known:
            points = self._client.get_metric_history(self._run, name)
            self._known[name] = {point.step for point in points}
        return self._known[name]

    def _open(self) -> None:
        """Find the run of this training, or begin one."""
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # else MLflow 3 refuses to write
        with _alone(self._folder):
            store = os.environ.get("MLFLOW_TRACKING_URI") or self._folder.as_uri()
            self._client = self._package.MlflowClient(store)
            known = self._client.get_experiment_by_name(self._experiment)
            where = (
                known.experiment_id if known else self._client.create_experiment(self._experiment)
            )
        mine = self._client.search_runs([where], f"tags.`dmg.key` = '{self._key}'")
        self._run = mine[0].info.run_id if mine else self._begin(where)
        self._client.update_run(self._run, status="RUNNING")

    def _begin(self, experiment: str) -> str:
        tags = {"dmg.key": self._key}
        run = self._client.create_run(experiment, run_name=self._name, tags=tags)
        for name, value in self._parameters.items():
            self._client.log_param(run.info.run_id, name, value)
        return str(run.info.run_id)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time open a store: the first makes its folders."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
