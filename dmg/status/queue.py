"""One question to `squeue` for all jobs, which is not asked again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from typing import NamedTuple

SECONDS = 5.0
ALIVE = frozenset({
    "PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING",
    "RESIZING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "STAGE_OUT",
    "RESV_DEL_HOLD", "REVOKED",
})  # fmt: skip
"""States of a job that has not ended for good."""
AT_WORK = frozenset({"RUNNING", "COMPLETING", "SIGNALING", "RESIZING"})


class Job(NamedTuple):
    """A job of Slurm: its state, why it waits, and its nodes; empty where there is nothing."""

    state: str = ""
    reason: str = ""
    nodes: str = ""


def ask(job_ids: Iterable[str]) -> tuple[dict[str, Job], str]:
    """Jobs that Slurm knows, by their numbers, and why it could not be asked, if so."""
    numbers = ",".join(sorted(set(job_ids)))
    if not numbers:
        return {}, ""
    command = ["squeue", "-h", "-t", "all", "-j", numbers, "-o", "%A|%T|%r|%N"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=SECONDS
        )
    except FileNotFoundError:
        return {}, "no Slurm on this machine"
    except subprocess.TimeoutExpired:
        return {}, "Slurm does not answer"
    if answer.returncode and "Invalid job id" not in answer.stderr:
        return {}, f"squeue: {' '.join(answer.stderr.split())}"
    return dict(map(_read, answer.stdout.splitlines())), ""


def _read(line: str) -> tuple[str, Job]:
    number, state, reason, nodes = line.split("|", 3)
    return number, Job(state, "" if reason == "None" else reason, nodes)
