"""Launchers that tests start, stop and kill, and what Slurm says of their jobs.

As a program: `jobs.py RUN_DIR '{"processes": 2, ...}' KEY=VALUE ...` launches a stub training.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import torch

from dmg.job import TrainJob
from dmg.launch import SlurmOptions, launch

SECONDS = 240.0


def stub_job(
    run_dir: Path,
    name: str = "job_trains",
    processes: int = 1,
    digest: str = "stub",
    **arguments: Any,
) -> TrainJob:
    """A training of the stub model, or another stub."""
    if name == "job_trains":
        arguments = {"steps": 10, "epochs": 4, "delay": 0.0} | arguments
    return TrainJob(
        function=f"stubs:{name}",
        arguments={"run_dir": run_dir, **arguments},
        run_dir=run_dir,
        output=run_dir / "weights.pt",
        digest=digest,
        processes=processes,
        threads=1,
    )


class Launcher:
    """A launcher in a process of its own."""

    started: ClassVar[list["Launcher"]] = []

    def __init__(self, run_dir: Path, *options: str, **arguments: Any) -> None:
        self.run_dir = run_dir
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self.output = run_dir.parent / f"{run_dir.name}-{time.monotonic_ns()}.txt"
        command = [sys.executable, __file__, str(run_dir), json.dumps(arguments), *options]
        with self.output.open("w") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=file)
        self.started.append(self)

    @property
    def text(self) -> str:
        """What it has said."""
        return self.output.read_text()

    def says(self, text: str) -> None:
        """Wait until it has said something."""
        wait_for(lambda: text in self.text, f"{text!r} in {self.output}", lambda: self.text)

    def trains(self) -> None:
        """Wait until a first epoch is done."""
        path = self.run_dir / "metrics.jsonl"
        wait_for(path.exists, f"{path}", lambda: self.text)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the launcher alone."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """End it without a warning."""
        self.process.kill()
        self.process.wait()

    def ends(self, status: int = 0) -> None:
        """Wait for the end."""
        found = self.process.wait(timeout=SECONDS)
        assert found == status, self.text


def wait_for(
    condition: Callable[[], object],
    what: str,
    context: Callable[[], str] = lambda: "",
    seconds: float = SECONDS,
) -> None:
    """Wait, and say for what if it never comes."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"waited {seconds} s for {what}\n{context()}"
        time.sleep(0.1)


def slurm(*command: str) -> str:
    """Run a command of Slurm."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def job_id(run_dir: Path) -> str:
    """Job that a run folder remembers."""
    found: str = json.loads((run_dir / "slurm_job.json").read_text())["job_id"]
    return found


def state(job: str) -> str:
    return slurm("squeue", "-h", "-t", "all", "-j", job, "-o", "%T")


def jobs_of(run_dir: Path) -> list[str]:
    """Jobs that ever ran for a run folder, from the accounting."""
    from dmg.launch.submission import fingerprint

    name = fingerprint(stub_job(run_dir))
    jobs = slurm("sacct", "-X", "-n", "-P", "--name", name, "-o", "JobID,AllocTRES").split()
    return [job.removesuffix(f"|{nodes}") for job in jobs if (nodes := job.partition("|")[2])]


def asked(field: str, job: str) -> str:
    """What the accounting says of a job."""
    return slurm("sacct", "-X", "-n", "-P", "-j", job, "-o", field)


def skip_the_wait(job: str) -> None:
    """A requeued job may start after two minutes only; here, at once."""
    wait_for(lambda: state(job) == "PENDING", f"job {job} to be pending", lambda: state(job))
    slurm("scontrol", "update", f"JobId={job}", "StartTime=now")


def clear() -> None:
    """End what a test has left behind, so that the next one does not meet it."""
    for launcher in Launcher.started:
        launcher.kill()
    Launcher.started.clear()
    slurm("scancel", "--me")
    # where the controller was away, a node clears up a minute later
    alive = ("squeue", "-h", "--me", "-t", "PENDING,RUNNING")
    wait_for(lambda: not slurm(*alive), "an empty queue")


def daemon(name: str) -> int:
    """Process of a daemon of the emulation: slurmctld, or the slurmd of a node."""
    root = Path(os.environ.get("SLURM_EMULATION", "/tmp/dmg-slurm"))
    return int((root / "pid" / name).read_text())


def processes_on_its_node(job: str) -> list[int]:
    """All processes of a job: Slurm's that watch over its steps, and what they have started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it may have ended
            if path.read_bytes().startswith(f"slurmstepd: [{job}.".encode()):
                found.append(int(path.parent.name))
    for pid in found:  # grows
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, path.read_text().split())
    return found


def processes_of(run_dir: Path) -> list[int]:
    """Trainers of a run that are alive on this machine."""
    found = [int(p.read_text()) for p in (run_dir / "jobs").glob("*/pid-*")]
    return [pid for pid in found if Path(f"/proc/{pid}").exists()]


def assert_as_undisturbed(
    run_dir: Path, processes: int = 1, tolerance: float = 0.0, **arguments: Any
) -> None:
    """The weights are those of a training that nothing disturbed, without tolerance bit by bit."""
    other = run_dir.parent / f"{run_dir.name}-undisturbed"
    assert launch(stub_job(other, processes=processes, **arguments), "inline") == 0
    one, two = (torch.load(folder / "weights.pt") for folder in (run_dir, other))
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=0.0, atol=tolerance)


if __name__ == "__main__":
    folder, arguments, *options = sys.argv[1:]
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        job = stub_job(Path(folder), **json.loads(arguments))
        sys.exit(launch(job, "slurm", SlurmOptions.parse(options)))
    except (ValueError, OSError) as error:
        print(f"dmg: error: {error}", file=sys.stderr)
        sys.exit(1)
