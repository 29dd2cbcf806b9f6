"""A training on this machine: in children of this process, or in processes of their own."""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path

import submitit

from dmg.interrupt import WITH_CTRL_C, StopRequest
from dmg.job import TrainJob
from dmg.launch.ends import failures, kill_leftovers, read_ends
from dmg.launch.log import Log, say

FOREVER_MINUTES = 10 * 365 * 24 * 60
POLL_SECONDS = 0.1
AGAIN_SECONDS = 5.0
GRACE_SECONDS = 30.0


def run_children(job: TrainJob, folder: Path) -> bool:
    """Run a child process for each rank; gives whether it was asked to stop."""
    spawn = multiprocessing.get_context("spawn")
    ranks = range(job.processes)
    children = [spawn.Process(target=_child, args=(rank, job, folder)) for rank in ranks]
    with StopRequest(WITH_CTRL_C) as request:
        with _without_interrupts():
            for child in children:
                child.start()
        follow = _Follow(job, folder, request)
        while any(child.is_alive() for child in children):
            follow.look(partial(_terminate, children))
        follow.log.copy()
    return bool(request.asked)


def run_local(job: TrainJob, folder: Path) -> bool:
    """Run the job in processes that outlive this one; gives whether it was asked to stop."""
    executor = submitit.LocalExecutor(folder=folder)
    executor.update_parameters(tasks_per_node=job.processes, timeout_min=FOREVER_MINUTES)
    with StopRequest(WITH_CTRL_C) as request:
        with _without_interrupts():
            running = executor.submit(job)
        follow = _Follow(job, folder, request)
        while not running.done():
            # the job's id is the process that passes signals on
            follow.look(partial(os.kill, int(running.job_id), signal.SIGTERM))
        follow.log.copy()
    return bool(request.asked)


def _terminate(children: Sequence[BaseProcess]) -> None:
    for child in children:
        child.terminate()


def _child(rank: int, job: TrainJob, folder: Path) -> None:
    os.environ["LOCAL_RANK"] = str(rank)
    raise SystemExit(job.run(rank, folder))


class _Follow:
    """Watches a running job: shows its log, passes on requests to stop, ends leftover processes."""

    def __init__(self, job: TrainJob, folder: Path, request: StopRequest) -> None:
        self.log = Log(job.run_dir / "train.log")
        self._job, self._folder, self._request = job, folder, request
        self._stopped_at = -math.inf
        self._failed_at = math.inf

    def look(self, stop: Callable[[], object]) -> None:
        """Look once, then wait a little; `stop` asks the job to save and leave."""
        self.log.copy()
        now = time.monotonic()
        if self._request.asked and now - self._stopped_at > AGAIN_SECONDS:
            if self._stopped_at == -math.inf:
                say("stopping: a checkpoint is saved (again: stop at once)")
            self._stopped_at = now  # asked again from time to time: a process may have just begun
            stop()
        if self._failed_at == math.inf and failures(read_ends(self._folder, self._job.processes)):
            self._failed_at = now
        if self._request.asked > 1 or now - self._failed_at > GRACE_SECONDS:
            kill_leftovers(self._folder, self._job.processes)
        time.sleep(POLL_SECONDS)


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
