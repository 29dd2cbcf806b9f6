"""Start a training where it shall run, follow it, and tell the truth about how it ended.

`local` runs it with submitit on this machine, in processes of its own; `inline` in this process
(or, for several, its children); `slurm` as a job of the cluster.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import submitit

from dmg.build import training_digest
from dmg.config import load_experiment
from dmg.files import remove
from dmg.interrupt import INTERRUPTED, StopRequest
from dmg.job import TrainJob

LAUNCHERS = ("local", "inline", "slurm")
FOREVER_MINUTES = 10 * 365 * 24 * 60
SLURM_MINUTES = 24 * 60
POLL_SECONDS = 0.1
AGAIN_SECONDS = 5.0
GRACE_SECONDS = 30.0


def train(
    config: Path,
    store: Path,
    preprocess: Path,
    out: Path,
    *,
    fold: str,
    seed: str,
    launcher: str = "local",
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
        processes=settings.processes,
        threads=settings.threads,
    )
    status = launch(job, launcher)
    if status:
        raise SystemExit(status)


def launch(job: TrainJob, launcher: str = "local") -> int:
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
    if launcher == "inline" and job.processes == 1:
        return job.run(0)
    folder = job.run_dir / "jobs" / uuid.uuid4().hex[:8]
    job = replace(job, cuda_devices=os.environ.get("CUDA_VISIBLE_DEVICES"))
    run = _run_children if launcher == "inline" else _run_submitted
    stopped = run(job, folder, launcher)
    status = _status(job, folder, stopped)
    remove(folder)
    return status


def _run_children(job: TrainJob, folder: Path, launcher: str) -> bool:
    """Run a process for each rank; gives whether it was asked to stop."""
    spawn = multiprocessing.get_context("spawn")
    ranks = range(job.processes)
    children = [spawn.Process(target=_child, args=(rank, job, folder)) for rank in ranks]
    with StopRequest((signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)) as request:
        with _without_interrupts():
            for child in children:
                child.start()
        follow = _Follow(job, folder, request)
        while any(child.is_alive() for child in children):
            follow.look(partial(_terminate, children))
        follow.log.copy()
    return bool(request.asked)


def _terminate(children: Sequence[BaseProcess]) -> None:
    for child in children:
        child.terminate()


def _child(rank: int, job: TrainJob, folder: Path) -> None:
    os.environ["LOCAL_RANK"] = str(rank)
    raise SystemExit(job.run(rank, folder))


def _run_submitted(job: TrainJob, folder: Path, launcher: str) -> bool:
    """Submit and follow a job; gives whether it was asked to stop."""
    executor = _executor(job, folder, launcher)
    with StopRequest((signal.SIGINT, signal.SIGTERM, signal.SIGUSR2)) as request:
        with _without_interrupts():
            running = executor.submit(job)
        follow = _Follow(job, folder, request)
        while not running.done():
            follow.look(partial(_stop, running, launcher))
        follow.log.copy()
    return bool(request.asked)


def _executor(job: TrainJob, folder: Path, launcher: str) -> submitit.AutoExecutor:
    if launcher == "slurm" and not shutil.which("sbatch"):
        raise ValueError(
            "--launcher slurm: expected the command 'sbatch', found none on this machine; use"
            " --launcher local or a login node"
        )
    executor = submitit.AutoExecutor(folder=folder, cluster=launcher)
    minutes = SLURM_MINUTES if launcher == "slurm" else FOREVER_MINUTES
    executor.update_parameters(tasks_per_node=job.processes, timeout_min=minutes)
    if launcher == "slurm":
        executor.update_parameters(
            cpus_per_task=job.threads or 1, slurm_srun_args=["--kill-on-bad-exit=1"]
        )
    return executor


def _stop(running: Any, launcher: str) -> None:
    """Ask a job to save and leave; the local job's id is the process that passes signals on."""
    if launcher == "local":
        os.kill(int(running.job_id), signal.SIGTERM)
    else:
        running.cancel()


class _Follow:
    """Watches a running job: shows its log, passes on requests to stop, ends leftover processes."""

    def __init__(self, job: TrainJob, folder: Path, request: StopRequest) -> None:
        self.log = _Log(job.run_dir / "train.log")
        self._job, self._folder, self._request = job, folder, request
        self._stopped_at = -math.inf
        self._failed_at = math.inf

    def look(self, stop: Callable[[], object]) -> None:
        """Look once, then wait a little; `stop` asks the job to save and leave."""
        self.log.copy()
        now = time.monotonic()
        if self._request.asked and now - self._stopped_at > AGAIN_SECONDS:
            if self._stopped_at == -math.inf:
                print("stopping: a checkpoint is saved (again: stop at once)", file=sys.stderr)
            self._stopped_at = now  # asked again from time to time: a process may have just begun
            stop()
        if self._failed_at == math.inf and _failed(_ends(self._folder, self._job.processes)):
            self._failed_at = now
        if self._request.asked > 1 or now - self._failed_at > GRACE_SECONDS:
            self._kill()
        time.sleep(POLL_SECONDS)

    def _kill(self) -> None:
        """Kill the processes of the job that run on this machine and have not ended."""
        for rank, end in _ends(self._folder, self._job.processes).items():
            path = self._folder / f"pid-{rank}"
            if end is None and path.exists():
                with suppress(ProcessLookupError):
                    os.kill(int(path.read_text()), signal.SIGKILL)


class _Log:
    """Copies what is added to a file to standard error."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = path.stat().st_size if path.exists() else 0

    def copy(self) -> None:
        if not self._path.exists():
            return
        with self._path.open(encoding="utf-8", errors="replace") as file:
            file.seek(self._position)
            sys.stderr.write(file.read())
            self._position = file.tell()
        sys.stderr.flush()


def _ends(folder: Path, processes: int) -> dict[int, dict[str, Any] | None]:
    """How each process ended; none for one that has not, or was killed."""
    paths = {rank: folder / f"end-{rank}.json" for rank in range(processes)}
    return {rank: json.loads(p.read_text()) if p.exists() else None for rank, p in paths.items()}


def _failed(ends: dict[int, dict[str, Any] | None]) -> list[dict[str, Any]]:
    """Errors, those that explain most first: a user's before a program's, early before late."""
    errors = [end for end in ends.values() if end is not None and end["status"] == 1]
    return sorted(errors, key=lambda end: (not end["expected"], end["time"]))


def _status(job: TrainJob, folder: Path, stopped: bool) -> int:
    """Exit status of a job that is over, or its error."""
    ends = _ends(folder, job.processes)
    errors, lost = _failed(ends), [rank for rank, end in ends.items() if end is None]
    if errors and errors[0]["expected"]:
        remove(folder)  # the message says all
        raise ChildProcessError(errors[0]["error"])
    if stopped and (errors or lost):
        return INTERRUPTED
    if lost:
        raise ChildProcessError(
            f"process {lost[0]} of the training ended without a result (killed, or out of"
            f" memory?); run again to resume; see {folder}"
        )
    if errors:
        raise ChildProcessError(f"{errors[0]['error']}; see {folder}")
    return max(int(end["status"]) for end in ends.values() if end is not None)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Let processes that are started here ignore ctrl-C: the launcher stops them in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
