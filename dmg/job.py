"""The training job as it runs where it was started: one call per process.

Each process leaves `end-<rank>.json` in the job's folder, which tells the launcher how it ended;
one that was killed leaves none.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import submitit
import torch

from dmg import distributed
from dmg.cores import num_cores
from dmg.denormals import flush_denormals
from dmg.errors import described, is_expected
from dmg.files import atomic, try_lock
from dmg.interrupt import INTERRUPTED, Interrupted, leave_on_signal
from dmg.run_files import DONE, LOCK

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5
STOP = "stop"
"""File in the folder of a job that a launcher leaves to end it for good."""


@dataclass(frozen=True)
class TrainJob:
    """A call of a training function, made of plain values so that it can be sent anywhere.

    Attributes
    ----------
    function
        What to call, as "module:name".
    arguments
        Its keyword arguments.
    run_dir
        Folder of the run; only one trainer at a time works in it.
    output
        What the training leaves. Where it and a `done.json` of the same digest are there, nothing
        is left to do.
    digest
        Digest of the configuration.
    processes
        Processes (ranks).
    threads
        Threads of each; none: cores / processes.
    cuda_devices
        `CUDA_VISIBLE_DEVICES` of the processes, which the local executor would blank.
    """

    function: str
    arguments: dict[str, Any]
    run_dir: Path
    output: Path
    digest: str = ""
    processes: int = 1
    threads: int | None = None
    cuda_devices: str | None = None

    def __call__(self) -> int:
        """Run the process that submitit has started; gives the exit status."""
        here = submitit.JobEnvironment()
        if here.cluster == "local":
            _set_variable("CUDA_VISIBLE_DEVICES", self.cuda_devices)
        folder = Path(os.environ["SUBMITIT_FOLDER"])
        _set_variable("LOCAL_RANK", str(here.local_rank))
        status = self.run(here.global_rank, folder)
        if status == INTERRUPTED and here.global_rank == 0 and not (folder / STOP).exists():
            _requeue(here)
        return status

    def checkpoint(self) -> submitit.helpers.DelayedSubmission:
        """Submit the same job again: it resumes from its own checkpoints."""
        return submitit.helpers.DelayedSubmission(self)

    def run(self, rank: int, folder: Path | None = None) -> int:
        """Run one process; gives 0, or 75 if it was asked to stop.

        Parameters
        ----------
        rank
            Number of this process.
        folder
            Folder of the job; none: it runs in the caller's process and writes to its standard
            error.
        """
        try:
            with ExitStack() as stack:
                if folder is not None:
                    stack.enter_context(_EndNote(folder, rank))
                stack.enter_context(flush_denormals())  # before any thread of PyTorch's starts
                stack.enter_context(leave_on_signal())
                stack.enter_context(_threads(self.threads, self.processes))
                if rank == 0:
                    stack.enter_context(_logging(folder and self.run_dir / "train.log"))
                rendezvous = folder and folder / _rendezvous_name()
                stack.enter_context(
                    distributed.process_group(rank, self.processes, rendezvous=rendezvous)
                )
                stack.enter_context(_only_trainer(self.run_dir))
                self._train()
        except Interrupted:
            return INTERRUPTED
        return 0

    def restore_output(self) -> None:
        """Put back what a finished training has left, if it was removed.

        Snakemake does so where it was killed before the training ended.
        """
        if self._kept.exists() and not self.output.exists():
            _copy(self._kept, self.output)

    def is_done(self) -> bool:
        """Whether a finished training of this configuration is there."""
        try:
            done = json.loads((self.run_dir / DONE).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return False
        return self.output.exists() and done.get("digest") == self.digest

    def _train(self) -> None:
        if distributed.broadcast(self.is_done()):
            if distributed.is_main():
                log.info("%s is already trained", self.output)
            return
        module, _, name = self.function.partition(":")
        function: Callable[..., object] = getattr(importlib.import_module(module), name)
        function(**self.arguments)
        if distributed.is_main() and self.output.exists():
            _copy(self.output, self._kept)

    @property
    def _kept(self) -> Path:
        return self.output.with_name(f".{self.output.name}.kept")


class _EndNote:
    """Notes how a process ended: its exit status, or its error in one line."""

    def __init__(self, folder: Path, rank: int) -> None:
        self._folder, self._rank = folder, rank

    def __enter__(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"end-{self._rank}.json").unlink(missing_ok=True)  # of an earlier start
        with atomic(self._folder / f"pid-{self._rank}") as temporary:
            temporary.write_text(str(os.getpid()))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        note: dict[str, Any] = {"status": 0, "time": time.time()}
        if isinstance(error, Interrupted):
            note["status"] = INTERRUPTED
        elif error is not None:
            note |= {"status": 1, "error": described(error), "expected": is_expected(error)}
        with atomic(self._folder / f"end-{self._rank}.json") as temporary:
            temporary.write_text(json.dumps(note), encoding="utf-8")


@contextmanager
def _only_trainer(run_dir: Path) -> Iterator[None]:
    """Hold the lock of a run folder; wait while another trainer holds it.

    That may be one whose launcher was killed. The system frees the lock of a process that dies.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / LOCK).open("w") as file:
        waiting = False
        while not distributed.broadcast(distributed.is_main() and try_lock(file)):
            if distributed.is_main() and not waiting:
                log.info("waiting for the trainer at work in %s", run_dir)
            waiting = True
            time.sleep(POLL_SECONDS)
        yield


@contextmanager
def _logging(path: Path | None) -> Iterator[None]:
    """Send messages and warnings to a file, or to standard error."""
    handler = logging.FileHandler(path) if path else logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    loggers = [logging.getLogger("dmg"), logging.getLogger("py.warnings")]
    level = loggers[0].level
    loggers[0].setLevel(logging.INFO)
    loggers[0].propagate = False  # the command's own handler would say everything twice
    for logger in loggers:
        logger.addHandler(handler)
    logging.captureWarnings(path is not None)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        for logger in loggers:
            logger.removeHandler(handler)
        loggers[0].setLevel(level)
        loggers[0].propagate = True
        handler.close()


@contextmanager
def _threads(threads: int | None, processes: int) -> Iterator[None]:
    """Set torch's threads for the length of a block."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or max(1, num_cores() // processes))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _requeue(here: submitit.JobEnvironment) -> None:
    """Put a job of Slurm that nears its time limit, or is preempted, back into the queue.

    A job that somebody cancels gets the same signal, but does not count as running any more.
    """
    if here.cluster != "slurm":
        return
    look = ["squeue", "-h", "-j", here.job_id, "-o", "%T"]
    state = subprocess.run(look, capture_output=True, text=True, check=False).stdout.strip()
    if state == "RUNNING":
        subprocess.run(["scontrol", "requeue", here.job_id], check=False)


def _copy(source: Path, target: Path) -> None:
    with atomic(target) as temporary:
        shutil.copyfile(source, temporary)


def _rendezvous_name() -> str:
    """Give a name that differs when Slurm starts the same job again."""
    return f"rendezvous-{os.environ.get('SLURM_RESTART_COUNT', '0')}"


def _set_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
