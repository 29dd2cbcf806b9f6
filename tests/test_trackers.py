"""Records of a training: each epoch once, whatever happened in between."""

import json
import os
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest
from stubs import StubLoader, make_trainer

from dmg import distributed
from dmg.build import build_trackers, training_digest
from dmg.config import Experiment, Train
from dmg.interrupt import Interrupted
from dmg.trackers import MLflow, Record, TensorBoard
from dmg.trackers.base import require
from tests.small import experiment

Points = dict[str, list[tuple[int, float]]]


def lines(*epochs: int) -> list[dict[str, Any]]:
    return [
        {"epoch": n, "loss": 1 / n, "validation": None if n % 2 else 2 / n, "time": 1000.0 + n}
        for n in epochs
    ]


def points(folder: Path) -> Points:
    """Read all points of all event files, with TensorBoard's own reader."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found: Points = defaultdict(list)
    for path in sorted(folder.glob("events.*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                found[value.tag].append((event.step, value.tensor.float_val[0]))
                assert event.wall_time == 1000.0 + event.step
    return dict(found)


def test_tensorboard_has_each_epoch_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    with TensorBoard(tmp_path) as tracker:
        tracker.write([])
        tracker.write(lines(1))
        tracker.write(lines(1, 2))
        tracker.write(lines(1, 2))
    with TensorBoard(tmp_path) as tracker:  # the kill came before the checkpoint of epoch 2
        tracker.write(lines(1))
        tracker.write(lines(1, 2))
        tracker.write(lines(1, 2, 3))
    found = points(tmp_path / "tensorboard")
    assert found["loss"] == [(n, pytest.approx(1 / n)) for n in (1, 2, 3)]
    assert found["validation"] == [(2, 1.0)]
    assert found.keys() == {"loss", "validation"}


class FileStore:
    """The part of `MlflowClient` that is used, in memory; a store lives as long as its folder."""

    stores: ClassVar[dict[str, dict[str, Any]]] = {}

    def __init__(self, address: str) -> None:
        assert os.environ["MLFLOW_ALLOW_FILE_STORE"] == "true"
        self.runs = self.stores.setdefault(address, {})

    def get_experiment_by_name(self, name: str) -> Any:
        known = any(run.experiment == name for run in self.runs.values())
        return SimpleNamespace(experiment_id=name) if known else None

    def create_experiment(self, name: str) -> str:
        return name

    def search_runs(self, experiments: list[str], query: str) -> list[Any]:
        runs = [r for r in self.runs.values() if r.experiment in experiments]
        return [r for r in runs if query == f"tags.`dmg.key` = '{r.tags['dmg.key']}'"]

    def create_run(self, experiment: str, run_name: str, tags: dict[str, str]) -> Any:
        info = SimpleNamespace(run_id=f"run{len(self.runs)}")
        self.runs[info.run_id] = run = SimpleNamespace(
            info=info, experiment=experiment, name=run_name, tags=tags, parameters={},
            points=defaultdict(list), status="RUNNING",
        )  # fmt: skip
        return run

    def log_param(self, run: str, name: str, value: Any) -> None:
        self.runs[run].parameters[name] = value

    def log_metric(self, run: str, name: str, value: float, time: int, step: int) -> None:
        assert time == 1000 * (1000 + step)
        self.runs[run].points[name].append((step, value))

    def get_metric_history(self, run: str, name: str) -> list[Any]:
        return [SimpleNamespace(step=step) for step, _ in self.runs[run].points[name]]

    def update_run(self, run: str, status: str) -> None:
        self.runs[run].status = status

    set_terminated = update_run


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> type[FileStore]:
    package = ModuleType("mlflow")
    package.MlflowClient = FileStore  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", package)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # removed again after the test
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(FileStore, "stores", {})
    return FileStore


def in_mlflow(folder: Path, key: str = "digest") -> MLflow:
    return MLflow(
        folder / "mlruns", experiment="demo", run="all/seed0", parameters={"train.epochs": 3},
        key=(str(folder), key),
    )  # fmt: skip


def test_mlflow_has_each_epoch_once(tmp_path: Path, mlflow: type[FileStore]) -> None:
    with pytest.raises(Interrupted), in_mlflow(tmp_path) as tracker:
        tracker.write(lines(1, 2))
        raise Interrupted
    (store,) = mlflow.stores.values()
    assert store["run0"].status == "KILLED"
    with in_mlflow(tmp_path) as tracker:
        tracker.write(lines(1))
        assert store["run0"].status == "RUNNING"
        tracker.write(lines(1, 2, 3))
    assert list(store) == ["run0"]
    run = store["run0"]
    assert (run.name, run.experiment, run.status) == ("all/seed0", "demo", "FINISHED")
    assert run.points["loss"] == [(1, 1.0), (2, 0.5), (3, 1 / 3)]
    assert run.points["validation"] == [(2, 1.0)]
    assert run.parameters == {"train.epochs": 3}


def test_another_training_is_another_run_of_mlflow(tmp_path: Path, mlflow: type[FileStore]) -> None:
    for key in ("one", "two"):
        with in_mlflow(tmp_path, key) as tracker:
            tracker.write(lines(1))
    assert [list(store) for store in mlflow.stores.values()] == [["run0", "run1"]]


def test_a_failed_training_is_told_to_mlflow(tmp_path: Path, mlflow: type[FileStore]) -> None:
    with pytest.raises(ValueError, match="loss"), in_mlflow(tmp_path) as tracker:
        tracker.write([])
        raise ValueError("loss")
    (store,) = mlflow.stores.values()
    assert store["run0"].status == "FAILED"


def test_a_store_elsewhere(
    tmp_path: Path, mlflow: type[FileStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "file:///shared/mlruns")
    with in_mlflow(tmp_path) as tracker:
        tracker.write(lines(1))
    assert list(mlflow.stores) == ["file:///shared/mlruns"]


def test_a_missing_package_names_its_extra() -> None:
    expected = (
        "train.trackers: expected the package of 'mlflow', found none; install it with pip install"
        " 'dmg-hpc[mlflow]' or leave 'mlflow' out"
    )
    with pytest.raises(ValueError, match="^" + expected.replace("[", r"\[") + "$"):
        require("mlflow", "no_such_package")


class Noting:
    """A tracker that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[list[int]] = []
        self.within = False

    def __enter__(self) -> "Noting":
        self.within = True
        return self

    def __exit__(self, *_: object) -> None:
        self.within = False

    def write(self, history: Any) -> None:
        assert self.within
        self.told.append([line["epoch"] for line in history])


def test_a_training_tells_its_trackers(tmp_path: Path) -> None:
    tracker = Noting()
    make_trainer(tmp_path, trackers=[tracker]).fit()
    assert tracker.told == [[], [1], [1, 2]]
    assert not tracker.within
    again = Noting()
    make_trainer(tmp_path, trackers=[again]).fit()
    assert again.told == [[1, 2]]  # the kill may have come before the last epoch was written


def test_only_rank_0_keeps_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "is_main", lambda: False)
    tracker = Noting()
    make_trainer(tmp_path, validate=False, trackers=[tracker]).fit()
    assert tracker.told == []
    assert not (tmp_path / "metrics.jsonl").exists()


def test_a_killed_training_goes_on_in_the_same_record(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")

    class Killed(StubLoader):
        def batch(self, *arguments: Any) -> Any:
            if (tmp_path / "checkpoints" / "000003-00000000.pt").exists():
                raise KeyboardInterrupt
            return super().batch(*arguments)

    def train(loader: StubLoader) -> None:
        trackers = [TensorBoard(tmp_path)]
        make_trainer(tmp_path, epochs=4, loader=loader, trackers=trackers).fit()

    with pytest.raises(KeyboardInterrupt):
        train(Killed())
    train(StubLoader())
    folder = tmp_path / "tensorboard"
    text = (tmp_path / "metrics.jsonl").read_text()
    losses = [(row["epoch"], row["loss"]) for row in map(json.loads, text.splitlines())]
    assert [epoch for epoch, _ in losses] == [1, 2, 3, 4]
    assert loss_points(folder) == [(n, pytest.approx(loss)) for n, loss in losses]


def loss_points(folder: Path) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    events = [e for path in sorted(folder.iterdir()) for e in EventFileLoader(str(path)).Load()]
    values = [(event.step, value) for event in events for value in event.summary.value]
    return [(step, value.tensor.float_val[0]) for step, value in values if value.tag == "loss"]


def test_a_new_training_leaves_nothing_of_an_earlier(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("old\n")
    Record(path).begin([])
    assert not path.exists()


def with_trackers(*names: str) -> Experiment:
    return experiment(train={"trackers": list(names)})


def test_trackers_of_an_experiment(tmp_path: Path, mlflow: type[FileStore]) -> None:
    pytest.importorskip("tensorboard")
    run = tmp_path / "demo" / "fold01" / "seed2"
    found = build_trackers(with_trackers("tensorboard", "mlflow"), run, "fold01", 2, "digest")
    assert [type(each) for each in found] == [TensorBoard, MLflow]
    with found[1] as tracker:
        tracker.write(lines(1))
    ((address, store),) = mlflow.stores.items()
    assert address == (tmp_path / "demo" / "mlruns").as_uri()
    assert (store["run0"].experiment, store["run0"].name) == ("demo", "fold01/seed2")
    assert store["run0"].parameters["train.trackers"] == ["tensorboard", "mlflow"]


def test_trackers_do_not_change_the_digest_of_a_training(tmp_path: Path) -> None:
    for name in ("splits.csv", "statistics.json"):
        (tmp_path / name).touch()
    plain, tracked = with_trackers(), with_trackers("mlflow")
    assert training_digest(plain, tmp_path) == training_digest(tracked, tmp_path)
    assert Train().trackers == ()
