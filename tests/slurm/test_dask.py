"""Dask's workers as jobs of the cluster."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import dask
import distributed  # noqa: F401 (its settings must be there before one is changed)
import pytest
import xarray as xr
import yaml
from slurm.jobs import slurm, wait_for

from dmg.config import resolved
from dmg.data import workers as module
from dmg.data.workers import SlurmWorkers, compute_all
from tests.small import IDS, experiment, write_preprocessed, write_store

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
ITEMS = ["account=root", "partition=cpu", "mem_mb=1000", "runtime=5", "interface=lo"]


def note(number: int, folder: Path) -> int:
    """Leave the number of the job; work for a while."""
    (folder / os.environ["SLURM_JOB_ID"]).touch()
    time.sleep(0.5)
    return number**2


def cancel_first(folder: Path) -> None:
    """Cancel the first job that works."""
    wait_for(lambda: any(folder.iterdir()), "a worker")
    slurm("scancel", next(folder.iterdir()).name)


def test_a_lost_job_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is only one job, so that nothing but its successor can end the work."""
    monkeypatch.setattr(module, "LOOK_SECONDS", 1.0)
    monkeypatch.setenv("SLURM_JOB_ID", "1")  # as within a job
    folder = tmp_path / "jobs"
    folder.mkdir()
    killer = threading.Thread(target=cancel_first, args=[folder])
    killer.start()
    calls = [(number, folder) for number in range(10)]
    with dask.config.set({"distributed.deploy.lost-worker-timeout": "2s"}):
        found = compute_all(note, calls, SlurmWorkers.parse(["jobs=1", *ITEMS]), tmp_path / "logs")
    killer.join()
    assert found == [number**2 for number in range(10)]
    assert len(list(folder.iterdir())) == 2


def test_preprocessing_by_jobs_gives_what_one_process_does(tmp_path: Path) -> None:
    store = write_store(tmp_path / "x.zarr")
    settings = experiment()
    settings = experiment(data=resolved(settings)["data"] | {"basins": IDS})
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(resolved(settings)))
    write_preprocessed(settings, store, tmp_path / "here")
    command = [sys.executable, "-m", "dmg", "preprocess", "--dask", "slurm", "--config",
               "small.yaml", "--store", "x.zarr", "--out", "there"]  # fmt: skip
    items = [word for item in ["jobs=2", *ITEMS] for word in ("--slurm", item)]
    subprocess.run([*command, *items], cwd=tmp_path, check=True)
    for name in ("splits.csv", "statistics.json"):
        assert (tmp_path / "there" / name).read_text() == (tmp_path / "here" / name).read_text()
    one, two = (xr.open_zarr(tmp_path / side / "derived.zarr") for side in ("here", "there"))
    xr.testing.assert_identical(one.load(), two.load())
