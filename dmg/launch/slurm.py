"""A training as a job of a Slurm cluster: submitted once, and found again by whoever asks next.

What makes it survive: the run folder remembers its job (`slurm_job.json`); where that file is
lost, the job is found by its name, a fingerprint of folder and configuration; one launcher at a
time follows a run; two jobs of one name never run at once (`--dependency=singleton`); a job that
nears its time limit, or is preempted, saves and goes back into the queue under its own number; and
what was lost (a node, a process, memory) is submitted again, while there is progress.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from dmg.files import try_lock
from dmg.interrupt import INTERRUPTED, WITH_CTRL_C, StopRequest
from dmg.job import STOP, TrainJob
from dmg.launch import queue
from dmg.launch.ends import failures, lost, raise_failure, read_ends
from dmg.launch.log import Log, say
from dmg.launch.options import SlurmOptions
from dmg.launch.submission import RefusedError, Submitted, find, forget, submit
from dmg.run_files import CHECKPOINTS, LAUNCHER_LOCK
from dmg.status.queue import ALIVE

T = TypeVar("T")

ASK_SECONDS = (1.0, 15.0)
"""Shortest and longest time between two questions for the state of a job."""
AWAY_SECONDS = 5.0
"""Time before Slurm is asked again where it did not answer."""
LOG_SECONDS = 0.25
ATTEMPTS = 3
"""Submissions that may be lost in a row without a new checkpoint."""
MORE_MEMORY = 2
FOR_MEMORY = frozenset({"FAILED", "OUT_OF_MEMORY", queue.UNKNOWN})
"""Ends of a job that may have come from too little memory."""


def run_slurm(job: TrainJob, options: SlurmOptions) -> int:
    """Train on the cluster, or follow the job that does so already.

    Parameters
    ----------
    job
        The training.
    options
        What it asks of the cluster.

    Returns
    -------
    int
        0 when the work is done, 75 if it was stopped or left alone and can be resumed.

    Raises
    ------
    ChildProcessError
        If the job failed; the message is its error in one line.
    AwayError
        If Slurm does not answer where a job is to be ended at once.
    """
    queue.require("sbatch")
    with StopRequest(WITH_CTRL_C) as request, _only_launcher(job.run_dir, request) as alone:
        return _run(job, options, request) if alone else INTERRUPTED


def _run(job: TrainJob, options: SlurmOptions, request: StopRequest) -> int:
    losses, growth = 0, 1
    while not job.is_done():
        before = _progress(job)
        submitted = _patiently(partial(_find_or_submit, job, options, growth), request)
        if submitted is None:
            return INTERRUPTED
        end = _follow(job, submitted, request)
        if request.asked and end is None:
            return _leave(job, submitted, options.on_interrupt == "detach")
        if job.is_done():
            break
        _explain(job, submitted, end or queue.UNKNOWN)
        losses = 0 if _progress(job) != before else losses + 1
        if losses >= ATTEMPTS:
            raise ChildProcessError(
                f"job {submitted.job_id} was lost ({end}), as were the {ATTEMPTS - 1} before it,"
                f" without a new checkpoint: give it more time or memory; see {submitted.folder}"
            )
        if end in FOR_MEMORY and lost(read_ends(submitted.folder, job.processes)):
            growth *= MORE_MEMORY
        say(f"job {submitted.job_id} ended ({end}) before its work; submitting again")
    forget(job)
    return 0


def _patiently(ask: Callable[[], T], request: StopRequest) -> T | None:
    """Ask Slurm until it answers; gives none if asked to stop before."""
    told = False
    while True:
        try:
            return ask()
        except queue.AwayError as error:
            if request.asked:
                return None
            if not told:
                say(f"{error}; asking again")
            told = True
            time.sleep(AWAY_SECONDS)


def _find_or_submit(job: TrainJob, options: SlurmOptions, growth: int) -> Submitted:
    """Submit with so many times the memory, or with what there is on a node."""
    known = find(job)
    if known:
        return known
    while growth > 1:
        try:
            return submit(job, replace(options, mem_mb=growth * options.mem_mb))
        except RefusedError:
            growth //= MORE_MEMORY
    return submit(job, options)


def _explain(job: TrainJob, submitted: Submitted, end: str) -> None:
    """Raise why a job ended, if a new one would end in the same way.

    The others of a process that was lost fail too, as they find it gone: that is no reason.
    """
    ends = read_ends(submitted.folder, job.processes)
    errors = failures(ends)
    if not lost(ends) or (errors and errors[0]["expected"]):
        raise_failure(ends, submitted.folder)
    if end == "CANCELLED":
        raise ChildProcessError(f"job {submitted.job_id} was cancelled; run again to resume")


def _follow(job: TrainJob, submitted: Submitted, request: StopRequest) -> str | None:
    """Show the log of a job until it has ended; gives its last state, none if asked to stop."""
    log = Log(job.run_dir / "train.log")
    watch = _Watch(submitted.job_id)
    while not request.asked:
        log.copy()
        if watch.ended() or (watch.state == "COMPLETING" and job.is_done()):
            log.copy()
            return watch.state
        time.sleep(LOG_SECONDS)
    return None


class _Watch:
    """Asks for the state of a job, ever less often while nothing happens."""

    def __init__(self, job_id: str) -> None:
        self.state = ""
        self._reason = ""
        self._away = False
        self._job_id = job_id
        self._next, self._wait = 0.0, ASK_SECONDS[0]

    def ended(self) -> bool:
        """Whether the job has ended, seen twice: a requeued one looks so for a moment."""
        if time.monotonic() < self._next:
            return False
        before = self.state, self._reason
        try:
            self.state, self._reason = queue.state(self._job_id)
        except queue.AwayError as error:
            self._next = time.monotonic() + AWAY_SECONDS
            if not self._away:
                say(f"{error}; asking again")
            self._away = True
            return False
        self._away = False
        changed = (self.state, self._reason) != before
        if changed:
            why = f" ({self._reason})" if self._reason else ""
            say(f"job {self._job_id}: {self.state.lower()}{why}")
        over = self.state not in ALIVE
        self._wait = ASK_SECONDS[0] if changed or over else min(1.5 * self._wait, ASK_SECONDS[1])
        self._next = time.monotonic() + self._wait
        return over and not changed


def _leave(job: TrainJob, submitted: Submitted, detach: bool) -> int:
    """Leave a job alone, or ask it to save and wait for it; a second request ends it at once."""
    if detach:
        say(f"job {submitted.job_id} goes on; run again to follow it")
        return INTERRUPTED
    say(f"stopping job {submitted.job_id}: a checkpoint is saved (again: stop at once)")
    (submitted.folder / STOP).touch()
    with StopRequest(WITH_CTRL_C) as again:
        _patiently(partial(queue.stop, submitted.job_id), again)
        if _follow(job, submitted, again) is None:
            queue.cancel(submitted.job_id)
    forget(job)
    return INTERRUPTED


def _progress(job: TrainJob) -> list[str]:
    """Names of the checkpoints, which tell how far a training is."""
    return sorted(path.name for path in (job.run_dir / CHECKPOINTS).glob("*"))


@contextmanager
def _only_launcher(run_dir: Path, request: StopRequest) -> Iterator[bool]:
    """Wait until no other launcher follows the run; gives false if asked to stop before."""
    with (run_dir / LAUNCHER_LOCK).open("w") as file:
        locked = try_lock(file)
        if not locked and not request.asked:
            say(f"waiting for the launcher at work in {run_dir}")
        while not locked and not request.asked:
            time.sleep(LOG_SECONDS)
            locked = try_lock(file)
        yield locked
