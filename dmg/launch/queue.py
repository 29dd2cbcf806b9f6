"""Questions to Slurm's controller, which may be away for a while."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence

from dmg.launch.log import say

AGAIN_SECONDS = 5.0
UNKNOWN = "UNKNOWN"


def require(command: str) -> None:
    """Refuse a machine without Slurm."""
    if not shutil.which(command):
        raise ValueError(
            f"--launcher slurm: expected the command '{command}', found none on this machine; use"
            " --launcher local or a login node"
        )


def state(job_id: str) -> tuple[str, str]:
    """State of a job, and why it waits.

    A job that the controller has forgotten is looked up in the accounting; without accounting
    its state is `UNKNOWN`.
    """
    answer = _patiently(["squeue", "-h", "-t", "all", "-j", job_id, "-o", "%T|%r"])
    if answer:
        name, _, reason = answer.splitlines()[0].partition("|")
        return name, reason
    return _accounted(job_id), ""


def find(name: str) -> str | None:
    """Job of this user and name that has not ended, or none."""
    answer = _patiently(["squeue", "-h", "--me", "--name", name, "-o", "%A"])
    return answer.split()[0] if answer.split() else None


def stop(job_id: str) -> None:
    """Ask a running job to save and leave; a waiting one just leaves the queue."""
    if state(job_id)[0] == "RUNNING":
        _patiently(["scancel", "--signal=TERM", job_id])
    else:
        cancel(job_id)


def cancel(job_id: str) -> None:
    """End a job."""
    _patiently(["scancel", job_id])


def _accounted(job_id: str) -> str:
    """Last state in the accounting; `UNKNOWN` where there is none."""
    command = ["sacct", "-X", "-n", "-P", "-j", job_id, "-o", "State"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    states = answer.stdout.split("\n") if answer.returncode == 0 else []
    return next((s.split()[0] for s in reversed(states) if s.strip()), UNKNOWN)


def _patiently(command: Sequence[str]) -> str:
    """Give the output of a command; nothing if Slurm does not know the job.

    Where the controller does not answer, it is asked again until it does: the job goes on without.
    """
    told = False
    while True:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            return answer.stdout
        if "Invalid job id" in answer.stderr:
            return ""
        if not told:
            told = True
            reason = " ".join(answer.stderr.split())
            say(f"Slurm does not answer ({command[0]}: {reason}); asking again")
        time.sleep(AGAIN_SECONDS)
