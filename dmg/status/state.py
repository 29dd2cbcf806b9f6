"""Files and queue together: how a run stands."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dmg.run_files import LAUNCHER_LOCK, LOCK, SLURM_JOB
from dmg.status.evidence import (
    Checkpoint,
    failure,
    is_done,
    is_locked,
    last_epochs,
    last_words,
    newest_checkpoint,
    read_json,
    read_train_settings,
)
from dmg.status.queue import ALIVE, AT_WORK, Job, ask


@dataclass(frozen=True, kw_only=True)
class RunStatus:
    """How a run stands; none where it is not known.

    Attributes
    ----------
    run
        Its folder.
    state
        "waiting", "running", "done", "stopped" (it can be resumed) or "failed".
    epoch, epochs
        Epochs done, and those to do.
    loss, validation, best
        Of the last epoch; lowest validation so far.
    samples_per_second, peak_memory_mb, peak_gpu_memory_mb
        Of the last epoch: windows a second; memory of rank 0 [MB].
    eta_seconds
        Time to the last epoch at the speed of the last ones [s].
    job_id, job_state, nodes
        Its job of Slurm.
    reason
        Why it waits, or why Slurm could not be asked.
    checkpoint, checkpoint_age_seconds
        Epoch and step of the newest one, and its age [s].
    error
        Last error.
    """

    run: str
    state: str
    epoch: int = 0
    epochs: int | None = None
    loss: float | None = None
    validation: float | None = None
    best: float | None = None
    samples_per_second: float | None = None
    peak_memory_mb: float | None = None
    peak_gpu_memory_mb: float | None = None
    eta_seconds: float | None = None
    job_id: str | None = None
    job_state: str | None = None
    nodes: str | None = None
    reason: str | None = None
    checkpoint: str | None = None
    checkpoint_age_seconds: float | None = None
    error: str | None = None


COPIED = (
    "epoch", "loss", "validation", "best", "samples_per_second", "peak_memory_mb",
    "peak_gpu_memory_mb",
)  # fmt: skip


def read_statuses(runs: Sequence[Path]) -> list[RunStatus]:
    """Look at all runs; Slurm is asked once."""
    numbers = {run: read_json(run / SLURM_JOB).get("job_id") for run in runs}
    jobs, silence = ask(number for number in numbers.values() if number)
    return [_read(run, numbers[run], jobs.get(str(numbers[run])), silence) for run in runs]


def _read(run: Path, job_id: str | None, job: Job | None, silence: str) -> RunStatus:
    epochs = read_train_settings(run).get("epochs")
    lines, checkpoint = last_epochs(run), newest_checkpoint(run)
    state = _state(run, job)
    known: dict[str, Any] = {name: lines[-1].get(name) for name in COPIED} if lines else {}
    if state == "running" and lines and isinstance(epochs, int):
        known["eta_seconds"] = _eta(lines, epochs)
    if checkpoint is not None:
        known |= _about(checkpoint)
    if job_id and state != "done":
        reason = job.reason if job and state == "waiting" else silence
        known |= {"job_id": job_id, "reason": reason or None}
        known |= {"job_state": job.state, "nodes": job.nodes or None} if job else {}
    return RunStatus(run=str(run), state=state, epochs=epochs, error=_error(run, state), **known)


def _state(run: Path, job: Job | None) -> str:
    """Give what is certain first: a living trainer, then the queue, then what was left behind."""
    if is_locked(run / LOCK) or (job and job.state in AT_WORK):
        return "running"
    if (job and job.state in ALIVE) or is_locked(run / LAUNCHER_LOCK):
        return "waiting"
    if is_done(run):
        return "done"
    if failure(run):
        return "failed"
    return "stopped" if last_epochs(run) or newest_checkpoint(run) else "waiting"


def _error(run: Path, state: str) -> str | None:
    if state not in ("failed", "stopped"):
        return None
    return failure(run) or last_words(run)


def _eta(lines: list[dict[str, Any]], epochs: int) -> float | None:
    """Time left [s], less what has passed of the running epoch."""
    seconds = [line["seconds"] for line in lines if line.get("seconds") is not None]
    if not seconds:
        return None
    each, left = statistics.median(seconds), epochs - lines[-1]["epoch"]
    now = time.time()
    passed = min(now - lines[-1].get("time", now), each)
    return max(0.0, round(float(left * each - passed), 1))


def _about(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "checkpoint": f"epoch {checkpoint.epoch}, step {checkpoint.step}",
        "checkpoint_age_seconds": round(max(0.0, time.time() - checkpoint.time), 1),
    }
