"""Launchers by name.

`local` runs a training with submitit on this machine, in processes of its own; `inline` in this
process (or, for several, its children); `slurm` as a job of the cluster.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from pathlib import Path

from dmg.build import training_digest
from dmg.config import load_experiment
from dmg.files import remove
from dmg.job import TrainJob
from dmg.launch.ends import FailureNote, exit_status
from dmg.launch.here import run_children, run_local
from dmg.launch.options import SlurmOptions
from dmg.launch.slurm import run_slurm
from dmg.run_files import FAILURE, JOBS

LAUNCHERS = ("local", "inline", "slurm")


def train(
    config: Path,
    store: Path,
    preprocess: Path,
    out: Path,
    *,
    fold: str,
    seed: str,
    launcher: str = "local",
    processes: int | None = None,
    threads: int | None = None,
    slurm: SlurmOptions | None = None,
) -> None:
    """Train one fold and seed of an experiment.

    Parameters
    ----------
    config
        Experiment file.
    store, preprocess
        Store, and folder that `preprocess` wrote.
    out
        File of the trained model; its folder is the run's.
    fold, seed
        For example "all" and "seed0".
    launcher
        One of `LAUNCHERS`.
    processes, threads
        Processes, and threads of each; none: those of the experiment.
    slurm
        What launcher "slurm" asks of the cluster.

    Raises
    ------
    ChildProcessError
        If the job failed; the message is its error in one line.
    SystemExit
        With status 75 if the training was asked to stop and can be resumed.
    """
    experiment = load_experiment(config)
    settings = experiment.train
    arguments = {"config": config, "store": store, "preprocessed": preprocess, "model": out}
    job = TrainJob(
        function="dmg.runs:train",
        arguments={**arguments, "fold": fold, "seed": seed},
        run_dir=out.parent.absolute(),
        output=out.absolute(),
        digest=training_digest(experiment, preprocess),
        processes=processes or settings.processes,
        threads=threads or settings.threads,
    )
    status = launch(job, launcher, slurm)
    if status:
        raise SystemExit(status)


def launch(job: TrainJob, launcher: str = "local", slurm: SlurmOptions | None = None) -> int:
    """Run a job to its end.

    Returns
    -------
    int
        0 when the work is done, 75 if it was asked to stop and can be resumed.

    Raises
    ------
    ChildProcessError
        If the job failed; the message is its error in one line.
    """
    if launcher not in LAUNCHERS:
        raise ValueError(f"--launcher: expected one of {', '.join(LAUNCHERS)}, found '{launcher}'")
    job.run_dir.mkdir(parents=True, exist_ok=True)
    with FailureNote(job.run_dir / FAILURE):
        return _run(job, launcher, slurm)


def _run(job: TrainJob, launcher: str, slurm: SlurmOptions | None) -> int:
    job.restore_output()
    if launcher == "slurm":
        return run_slurm(job, slurm or SlurmOptions())
    if launcher == "inline" and job.processes == 1:
        return job.run(0)
    folder = job.run_dir / JOBS / uuid.uuid4().hex[:8]
    job = replace(job, cuda_devices=os.environ.get("CUDA_VISIBLE_DEVICES"))
    stopped = (run_children if launcher == "inline" else run_local)(job, folder)
    status = exit_status(folder, job.processes, stopped)
    remove(folder)
    return status
