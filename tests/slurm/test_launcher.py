"""One job for one run, whoever asks for it, whatever happens to those who asked."""

import json
import re
import shlex
import signal
import sys
from pathlib import Path

import pytest
from slurm.jobs import (
    Launcher,
    asked,
    assert_as_undisturbed,
    job_id,
    jobs_of,
    slurm,
    state,
    wait_for,
)

from slurm import jobs

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
SLOW = {"delay": 0.1, "epochs": 4}


@pytest.mark.smoke
def test_two_nodes_with_two_processes_each(tmp_path: Path) -> None:
    run = tmp_path / "run"
    launcher = Launcher(run, "nodes=2", "partition=gpu", "gpus_per_node=2", processes=4, **SLOW)
    launcher.trains()
    assert slurm("squeue", "-h", "-j", job_id(run), "-o", "%D %N") == "2 node[1-2]"
    launcher.ends()
    assert "epoch 4/4: loss" in launcher.text
    assert not (run / "slurm_job.json").exists()
    assert_as_undisturbed(run, processes=4, epochs=4)


@pytest.mark.smoke
def test_killed_launcher_finds_its_job_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = Launcher(run, **SLOW)
    first.trains()
    (run / "hold").touch()
    first.kill()
    second = Launcher(run, **SLOW)
    second.says(f"following job {job_id(run)}")
    (run / "hold").unlink()
    second.ends()
    assert len(jobs_of(run)) == 1
    assert_as_undisturbed(run, epochs=4)


def test_a_job_is_found_by_its_name(tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = Launcher(run, **SLOW)
    first.trains()
    (run / "hold").touch()
    first.kill()
    job = job_id(run)
    (run / "slurm_job.json").unlink()
    second = Launcher(run, **SLOW)
    second.says(f"following job {job}")
    (run / "hold").unlink()
    second.ends()
    assert jobs_of(run) == [job]


def test_two_launchers_race_for_one_job(tmp_path: Path) -> None:
    run = tmp_path / "run"
    launchers = [Launcher(run, **SLOW) for _ in range(2)]
    for launcher in launchers:
        launcher.ends()
    assert len(jobs_of(run)) == 1
    assert sum("waiting for the launcher at work" in launcher.text for launcher in launchers) == 1


def test_launcher_within_a_job(tmp_path: Path) -> None:
    """Where the head node may not run anything: what the outer job was given is not inherited."""
    run, log = tmp_path / "run", tmp_path / "outer.txt"
    run.mkdir()
    command = [sys.executable, jobs.__file__, str(run), json.dumps({"processes": 2, "epochs": 2})]
    wrapped = f"--wrap={shlex.join([*command, 'nodes=2'])}"
    outer = slurm("sbatch", "--parsable", "-n1", "--mem=1000", f"--output={log}", wrapped)
    wait_for(lambda: state(outer) not in ("PENDING", "RUNNING"), "the outer job", log.read_text)
    assert state(outer) == "COMPLETED", log.read_text()
    (inner,) = jobs_of(run)
    assert asked("AllocNodes", inner) == "2"
    assert_as_undisturbed(run, processes=2, epochs=2)


def test_a_finished_run_submits_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    for _ in range(2):
        Launcher(run, epochs=1).ends()
    assert len(jobs_of(run)) == 1


def test_interrupted_launcher_lets_the_job_save_and_leave(tmp_path: Path) -> None:
    run = tmp_path / "run"
    launcher = Launcher(run, **SLOW)
    launcher.trains()
    job = job_id(run)
    launcher.signal(signal.SIGINT)
    launcher.ends(75)
    assert state(job) == "COMPLETED"
    assert "a checkpoint is saved, the next run goes on" in (run / "train.log").read_text()
    Launcher(run, epochs=4).ends()
    assert len(jobs_of(run)) == 2
    assert_as_undisturbed(run, epochs=4)


def test_detached_job_goes_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    launcher = Launcher(run, "on_interrupt=detach", **SLOW)
    launcher.trains()
    job = job_id(run)
    launcher.signal(signal.SIGINT)
    launcher.ends(75)
    assert f"job {job} goes on; run again to follow it" in launcher.text
    wait_for((run / "done.json").exists, "the job to end")
    assert jobs_of(run) == [job]


def test_waiting_job_is_explained_and_can_be_stopped(tmp_path: Path) -> None:
    run = tmp_path / "run"
    slurm("scontrol", "update", "PartitionName=high", "State=DOWN")
    try:
        launcher = Launcher(run, "partition=high")
        launcher.says("pending (PartitionDown)")
        launcher.signal(signal.SIGTERM)
        launcher.ends(75)
    finally:
        slurm("scontrol", "update", "PartitionName=high", "State=UP")
    assert slurm("squeue", "-h", "--me", "-t", "PENDING,RUNNING") == ""


def test_job_that_waits_for_long_says_for_what(tmp_path: Path) -> None:
    everything = ("-N4", "--exclusive", "--mem=0", "--output=/dev/null", "--wrap=sleep 600")
    blocker = slurm("sbatch", "--parsable", *everything)
    wait_for(lambda: state(blocker) == "RUNNING", "no free node")
    launcher = Launcher(tmp_path / "run", epochs=1)
    launcher.says("pending (Resources)")
    slurm("scancel", blocker)
    launcher.ends()


def test_job_of_an_earlier_configuration_is_ended(tmp_path: Path) -> None:
    run = tmp_path / "run"
    slurm("scontrol", "update", "PartitionName=high", "State=DOWN")
    try:
        first = Launcher(run, "partition=high")
        first.says("pending")
        old = job_id(run)
        first.kill()
        second = Launcher(run, digest="other", **SLOW)
        second.says(f"job {old} trains an earlier configuration: it is ended")
        wait_for(lambda: state(old) == "CANCELLED", "the old job to end")
        second.says("submitted")
        second.signal(signal.SIGINT)
        second.ends(75)
    finally:
        slurm("scontrol", "update", "PartitionName=high", "State=UP")


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["partition=moon"], "dmg: error: sbatch: .*invalid partition"),
        (["nodes=2"], r"dmg: error: --slurm nodes=2: expected a divisor of the processes .* 1;"),
    ],
)
def test_what_slurm_refuses_is_one_line(tmp_path: Path, options: list[str], message: str) -> None:
    launcher = Launcher(tmp_path / "run", *options)
    launcher.ends(1)
    assert re.fullmatch(f"{message}.*\n", launcher.text)


def test_failing_training_is_one_line_and_not_repeated(tmp_path: Path) -> None:
    run = tmp_path / "run"
    launcher = Launcher(run, name="job_fails", value=3)
    launcher.ends(1)
    assert "dmg: error: basins.txt:3: expected a basin id, found 'x'" in launcher.text
    assert len(jobs_of(run)) == 1


def test_eight_launchers_at_once(tmp_path: Path) -> None:
    launchers = [Launcher(tmp_path / f"run{i}", epochs=1) for i in range(8)]
    for launcher in launchers:
        launcher.ends()
