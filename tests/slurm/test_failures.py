"""A training survives what happens on a cluster, with the weights of an undisturbed one."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from slurm.conftest import cluster
from slurm.jobs import (
    Launcher,
    asked,
    assert_as_undisturbed,
    daemon,
    job_id,
    jobs_of,
    processes_of,
    processes_on_its_node,
    skip_the_wait,
    slurm,
    state,
    wait_for,
)

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
SLOW = {"delay": 0.1, "epochs": 4}


@pytest.fixture
def running(tmp_path: Path) -> Launcher:
    """A launcher whose job has trained an epoch."""
    launcher = Launcher(tmp_path / "run", **SLOW)
    launcher.trains()
    return launcher


def ends_as_undisturbed(launcher: Launcher, jobs: int = 1) -> None:
    launcher.ends()
    assert len(jobs_of(launcher.run_dir)) == jobs
    assert "goes on at epoch" in (launcher.run_dir / "train.log").read_text()
    assert_as_undisturbed(launcher.run_dir, epochs=4)


@pytest.mark.smoke
def test_requeue(running: Launcher) -> None:
    job = job_id(running.run_dir)
    slurm("scontrol", "requeue", job)
    skip_the_wait(job)
    ends_as_undisturbed(running)


def test_requeue_while_a_checkpoint_is_written(tmp_path: Path) -> None:
    """Slurm kills the process, with half of a file on the disk."""
    run = tmp_path / "run"
    launcher = Launcher(run, name="job_stays_in_a_checkpoint", steps=10, epochs=2, delay=0.0)
    wait_for((run / "half").exists, "half a checkpoint", lambda: launcher.text)
    job = job_id(run)
    slurm("scontrol", "requeue", job)
    skip_the_wait(job)
    launcher.ends()
    assert jobs_of(run) == [job]
    assert "goes on at epoch" in (run / "train.log").read_text()
    assert not list(run.glob("checkpoints/.*"))
    assert_as_undisturbed(run, epochs=2)


def test_notice_before_the_time_limit(running: Launcher) -> None:
    job = job_id(running.run_dir)
    slurm("scancel", "--signal=USR2", job)
    wait_for(lambda: "asked to stop: a checkpoint" in running.text, "a checkpoint")
    skip_the_wait(job)
    ends_as_undisturbed(running)


def test_time_limit(tmp_path: Path) -> None:
    """With a limit of a minute, notice comes at the start: one attempt does some steps at least."""
    run = tmp_path / "run"
    launcher = Launcher(run, "runtime=1", delay=0.4, epochs=4)
    for _ in range(6):
        wait_for(
            lambda: (
                launcher.process.poll() is not None
                or ((run / "slurm_job.json").exists() and state(job_id(run)) == "PENDING")
            ),
            "the end or a requeue",
        )
        if launcher.process.poll() is None:
            slurm("scontrol", "update", f"JobId={job_id(run)}", "StartTime=now")
        time.sleep(2)
    launcher.ends()
    assert_as_undisturbed(run, epochs=4)


def test_preemption(tmp_path: Path) -> None:
    run = tmp_path / "run"
    launcher = Launcher(run, "partition=low", **SLOW)
    launcher.trains()
    job = job_id(run)
    subprocess.run(
        ["srun", "-p", "high", "-N", "4", "--exclusive", "--mem=0", "sleep", "2"], check=True
    )
    skip_the_wait(job)
    ends_as_undisturbed(launcher)


def test_lost_node(running: Launcher) -> None:
    """The node's daemon and its processes die together, as when it loses power."""
    run = running.run_dir
    job = job_id(run)
    node = slurm("squeue", "-h", "-j", job, "-o", "%N")
    for process in (daemon(node), *processes_on_its_node(job)):
        os.kill(process, signal.SIGKILL)
    slurm("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=lost")
    try:
        skip_the_wait(job)
        ends_as_undisturbed(running)
    finally:
        subprocess.run(["slurmd", "-N", node], check=True)
        slurm("scontrol", "update", f"NodeName={node}", "State=RESUME")


def test_killed_process(tmp_path: Path) -> None:
    run = tmp_path / "run"
    launcher = Launcher(run, processes=2, **SLOW)
    launcher.trains()
    os.kill(processes_of(run)[-1], signal.SIGKILL)
    launcher.says("before its work; submitting again")
    launcher.ends()
    assert len(jobs_of(run)) == 2
    assert_as_undisturbed(run, processes=2, epochs=4)


def test_too_little_memory_is_doubled(tmp_path: Path) -> None:
    run = tmp_path / "run"
    launcher = Launcher(run, "mem_mb=900", name="job_needs_memory", megabytes=1000)
    launcher.ends()
    assert [asked("ReqMem", job) for job in jobs_of(run)] == ["900M", "1800M"]


def test_lost_again_and_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    launcher = Launcher(run, name="job_dies")
    launcher.ends(1)
    assert "without a new checkpoint: give it more time or memory" in launcher.text
    # no node has twice the memory
    assert [asked("ReqMem", job) for job in jobs_of(run)] == ["4000M"] * 3


def test_job_that_somebody_cancels(running: Launcher) -> None:
    job = job_id(running.run_dir)
    slurm("scancel", job)
    running.ends(1)
    assert f"job {job} was cancelled; run again to resume" in running.text
    again = Launcher(running.run_dir, epochs=4)
    ends_as_undisturbed(again, jobs=2)


def test_fewer_processes_go_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    launcher = Launcher(run, "nodes=2", processes=4, **SLOW)
    launcher.trains()
    launcher.signal(signal.SIGINT)
    launcher.ends(75)
    Launcher(run, processes=2, epochs=4).ends()
    assert "goes on at epoch" in (run / "train.log").read_text()
    assert_as_undisturbed(run, tolerance=1e-10, epochs=4)


def test_controller_away_for_a_while(running: Launcher) -> None:
    os.kill(daemon("slurmctld"), signal.SIGKILL)
    running.says("Slurm does not answer")
    subprocess.run(["slurmctld"], check=True)
    running.ends()
    assert_as_undisturbed(running.run_dir, epochs=4)


def test_controller_away_at_submission(tmp_path: Path) -> None:
    run = tmp_path / "run"
    os.kill(daemon("slurmctld"), signal.SIGKILL)
    launcher = Launcher(run, epochs=1)
    launcher.says("Slurm does not answer")
    subprocess.run(["slurmctld"], check=True)
    launcher.ends()
    assert len(jobs_of(run)) == 1


def test_without_accounting(tmp_path: Path) -> None:
    cluster("stop")
    cluster("start", ACCOUNTING="0")
    try:
        launcher = Launcher(tmp_path / "run", epochs=1)
        launcher.ends()
    finally:
        cluster("stop")
        cluster("start")
