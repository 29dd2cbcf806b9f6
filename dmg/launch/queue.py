"""Questions to Slurm's controller; `AwayError` where it does not answer."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence

UNKNOWN = "UNKNOWN"
OVER = ("Invalid job id", "already completing or completed")
"""What the commands say of a job that has ended."""


class AwayError(ConnectionError):
    """Slurm does not answer; the job goes on without."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Slurm does not answer ({reason})")


def require(command: str) -> None:
    """Refuse a machine without Slurm."""
    if not shutil.which(command):
        raise ValueError(
            f"--launcher slurm: expected the command '{command}', found none on this machine; use"
            " --launcher local or a login node"
        )


def state(job_id: str) -> tuple[str, str]:
    """State of a job, and why it waits if it does and Slurm says why.

    A job that the controller has forgotten is looked up in the accounting; without accounting
    its state is `UNKNOWN`.
    """
    answer = _ask(["squeue", "-h", "-t", "all", "-j", job_id, "-o", "%T|%r"])
    if answer:
        name, _, reason = answer.splitlines()[0].partition("|")
        return name, reason if name == "PENDING" and reason != "None" else ""
    return _accounted(job_id), ""


def find(name: str) -> str | None:
    """Job of this user and name that has not ended, or none."""
    answer = _ask(["squeue", "-h", "--me", "--name", name, "-o", "%A"])
    return answer.split()[0] if answer.split() else None


def stop(job_id: str) -> None:
    """Ask a running job to save and leave; a waiting one just leaves the queue."""
    if state(job_id)[0] == "RUNNING":
        _ask(["scancel", "--signal=TERM", job_id])
    else:
        cancel(job_id)


def cancel(job_id: str) -> None:
    """End a job."""
    _ask(["scancel", job_id])


def _accounted(job_id: str) -> str:
    """Last state in the accounting; `UNKNOWN` where there is none."""
    command = ["sacct", "-X", "-n", "-P", "-j", job_id, "-o", "State"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    states = answer.stdout.split("\n") if answer.returncode == 0 else []
    return next((s.split()[0] for s in reversed(states) if s.strip()), UNKNOWN)


def _ask(command: Sequence[str]) -> str:
    """Give the output of a command; nothing if the job is over."""
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode and not any(text in answer.stderr for text in OVER):
        raise AwayError(f"{command[0]}: {' '.join(answer.stderr.split())}")
    return answer.stdout
