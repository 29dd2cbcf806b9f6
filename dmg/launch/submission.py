"""Submit the job of a run, remember it, and find it again."""

from __future__ import annotations

import hashlib
import json
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import submitit
from submitit.core.utils import FailedJobError

from dmg.files import atomic, remove
from dmg.job import TrainJob
from dmg.launch import queue
from dmg.launch.log import say
from dmg.launch.options import SlurmOptions
from dmg.run_files import JOBS, SLURM_JOB
from dmg.sbatch import without_slurm_variables
from dmg.status.queue import ALIVE

MANY = 10_000  # requeues that submitit would count
NOTICE_SECONDS = 120
"""Time before the limit at which a job is told to save; Slurm may tell it up to 60 s early."""


class RefusedError(ChildProcessError):
    """Slurm does not take the job; the message is its own, in one line."""


class Submitted(NamedTuple):
    """A job in the queue."""

    job_id: str
    folder: Path  # where its processes leave their notes


def fingerprint(job: TrainJob) -> str:
    """Name of the job in the queue: the same for the same folder and configuration."""
    return "dmg-" + hashlib.sha256(f"{job.run_dir}\n{job.digest}".encode()).hexdigest()[:16]


def submit(job: TrainJob, options: SlurmOptions) -> Submitted:
    """Submit a job, and remember it in its run folder.

    Raises
    ------
    RefusedError
        If Slurm does not take it.
    AwayError
        If Slurm does not answer; the job may be in the queue all the same, where `find` finds it.
    """
    name = fingerprint(job)
    folder = job.run_dir / JOBS / name
    remove(folder)  # notes of an earlier job
    executor = _executor(job, options, folder, name)
    try:
        with without_slurm_variables(), redirect_stderr(StringIO()):  # the error says it
            job_id = str(executor.submit(job).job_id)
    except FailedJobError as error:
        raise _reason(str(error)) from None
    _remember(job, job_id)
    say(f"job {job_id} submitted ({name})")
    return Submitted(job_id, folder)


def _reason(error: str) -> RefusedError | queue.AwayError:
    line = " ".join(error.partition("sbatch: error:")[2].split()) or " ".join(error.split())
    if "Unable to contact" in error or "timed out" in error.lower():
        return queue.AwayError(f"sbatch: {line}")
    return RefusedError(f"sbatch: {line}; see --slurm")


def _executor(
    job: TrainJob, options: SlurmOptions, folder: Path, name: str
) -> submitit.SlurmExecutor:
    if job.processes % options.nodes:
        raise ValueError(
            f"--slurm nodes={options.nodes}: expected a divisor of the processes of the training,"
            f" which are {job.processes}; set train.processes or --processes"
        )
    executor = submitit.SlurmExecutor(folder, max_num_timeout=MANY, python=options.python)
    chosen = {n: getattr(options, n) for n in ("account", "partition", "qos", "constraint")}
    if options.gpus_per_node:
        chosen["gpus_per_node"] = options.gpus_per_node
    executor.update_parameters(
        **{key: value for key, value in chosen.items() if value is not None},
        job_name=name,
        nodes=options.nodes,
        ntasks_per_node=job.processes // options.nodes,
        cpus_per_task=job.threads or 1,
        mem=f"{options.mem_mb}MB",
        time=options.runtime,
        signal_delay_s=NOTICE_SECONDS,
        setup=options.setup.split(";") if options.setup else None,
        srun_args=["--kill-on-bad-exit=1", "--mpi=none"],
        additional_parameters={"requeue": True, "dependency": "singleton"},
    )
    return executor


def find(job: TrainJob) -> Submitted | None:
    """Job of this run that is in the queue, or none.

    One of another configuration is ended first: it would write into the same folder.
    """
    name, folder = fingerprint(job), job.run_dir / JOBS / fingerprint(job)
    known = _remembered(job)
    job_id = known.get("job_id") or queue.find(name)
    if job_id is None or queue.state(job_id)[0] not in ALIVE:
        job_id = queue.find(name)
    elif known.get("name", name) != name:
        say(f"job {job_id} trains an earlier configuration: it is ended")
        queue.cancel(job_id)
        job_id = queue.find(name)
    if job_id is None:
        return None
    _remember(job, job_id)
    say(f"following job {job_id}")
    return Submitted(job_id, folder)


def _remember(job: TrainJob, job_id: str) -> None:
    with atomic(job.run_dir / SLURM_JOB) as temporary:
        temporary.write_text(json.dumps({"job_id": job_id, "name": fingerprint(job)}))


def _remembered(job: TrainJob) -> dict[str, str]:
    try:
        known: dict[str, str] = json.loads((job.run_dir / SLURM_JOB).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return known


def forget(job: TrainJob) -> None:
    """Clear what a job that is over has left."""
    remove(job.run_dir / SLURM_JOB)
    remove(job.run_dir / JOBS / fingerprint(job))
