import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from stubs import job_trains

from dmg.job import TrainJob
from dmg.launch import here as launch_here
from dmg.launch import launch
from dmg.launch import slurm as launch_slurm
from dmg.status import read_statuses

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _jobs_find_the_stubs(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE))


def make_job(run_dir, name="job_ok", processes=1, threads=1, **arguments):
    arguments = arguments or {"value": 7}
    return TrainJob(
        function=f"stubs:{name}",
        arguments={"run_dir": run_dir, **arguments},
        run_dir=run_dir,
        output=run_dir / "weights.pt",
        digest="stub",
        processes=processes,
        threads=threads,
    )


def training(run_dir, processes=1, **options):
    settings = {"steps": 10, "epochs": 3, "delay": 0.0} | options
    return make_job(run_dir, "job_trains", processes, **settings)


def wait_for(condition, seconds=60.0):
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited too long"
        time.sleep(0.02)


def test_local_and_inline_end_with_the_same_weights(tmp_path, capfd):
    for launcher in ("local", "inline"):
        assert launch(training(tmp_path / launcher), launcher) == 0
        error = capfd.readouterr().err
        assert [n for n in range(1, 4) if f"epoch {n}/3: loss" in error] == [1, 2, 3]
        assert "Traceback" not in error
    assert list((tmp_path / "local" / "jobs").glob("*")) == []
    one, two = (torch.load(tmp_path / n / "weights.pt") for n in ("local", "inline"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_threads_are_set_and_given_back(tmp_path):
    before = torch.get_num_threads()
    assert launch(make_job(tmp_path, threads=3), "inline") == 0
    assert (tmp_path / "done.txt").read_text() == "7 3"
    assert torch.get_num_threads() == before


def test_a_finished_training_is_left_alone(tmp_path, capfd):
    launch(training(tmp_path), "inline")
    assert launch(training(tmp_path), "inline") == 0
    assert "is already trained" in capfd.readouterr().err
    (status,) = read_statuses([tmp_path])
    assert (status.state, status.epoch) == ("done", 3)
    assert (tmp_path / "trainers.txt").read_text().count("start") == 1


@pytest.mark.parametrize("lost", ["output", "digest", "torn"])
def test_done_json_counts_only_with_output_and_digest(tmp_path, lost):
    job = training(tmp_path)
    job.output.touch()
    (tmp_path / "done.json").write_text('{"digest": "stub"}')
    assert job.is_done()
    if lost == "output":
        job.output.unlink()
    elif lost == "digest":
        (tmp_path / "done.json").write_text('{"digest": "other"}')
    else:
        (tmp_path / "done.json").write_text('{"dig')
    assert not job.is_done()


def test_failing_job_is_one_line(tmp_path, capfd):
    expected = r"^basins.txt:3: expected a basin id, found 'x'; correct the line$"
    with pytest.raises(ChildProcessError, match=expected):
        launch(make_job(tmp_path, "job_fails", value=3), "local")
    assert "Traceback" not in capfd.readouterr().err
    assert list((tmp_path / "jobs").glob("*")) == []


def test_bug_in_a_job_names_the_log(tmp_path):
    with pytest.raises(ChildProcessError, match=r"^KeyError: 3; see .*jobs") as error:
        launch(make_job(tmp_path, "job_bug", value=3), "local")
    folder = Path(str(error.value).partition("see ")[2])
    assert any("Traceback" in p.read_text() for p in folder.glob("*.err"))


def test_inline_error_is_the_job_s_own(tmp_path):
    with pytest.raises(ValueError, match=r"basins.txt:3: expected a basin id"):
        launch(make_job(tmp_path, "job_fails", value=3), "inline")


@pytest.mark.parametrize(
    ("name", "error"),
    [("job_fails", "basins.txt:3: expected a basin id"), ("job_bug", "KeyError: 3")],
)
def test_a_failure_is_noted_until_the_next_launch(tmp_path, name, error):
    with pytest.raises((ValueError, KeyError)):
        launch(make_job(tmp_path, name, value=3), "inline")
    (status,) = read_statuses([tmp_path])
    assert status.state == "failed"
    assert status.error.startswith(error)
    assert launch(make_job(tmp_path), "inline") == 0
    assert read_statuses([tmp_path])[0].error is None


@pytest.mark.distributed
@pytest.mark.parametrize("launcher", ["local", "inline"])
def test_two_processes_sum(tmp_path, launcher):
    assert launch(make_job(tmp_path, "job_sums", processes=2), launcher) == 0
    assert (tmp_path / "rank0.txt").read_text() == "3.0 2 1"
    assert (tmp_path / "rank1.txt").read_text() == "3.0 2 1"


@pytest.mark.distributed
def test_leftover_processes_of_a_failed_job_are_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(launch_here, "GRACE_SECONDS", 0.5)
    before = time.monotonic()
    with pytest.raises(ChildProcessError, match=r"^rank 1 found no data$"):
        launch(make_job(tmp_path, "job_rank_1_fails", processes=2), "local")
    assert time.monotonic() - before < 60


@pytest.mark.distributed
def test_killed_process_is_told(tmp_path):
    expected = r"process 1 of the training ended without a result .*run again to resume"
    with pytest.raises(ChildProcessError, match=expected):
        launch(make_job(tmp_path, "job_rank_1_dies", processes=2), "local")


def test_unknown_launcher_is_refused(tmp_path):
    with pytest.raises(ValueError, match="--launcher: expected one of local, inline, slurm, found"):
        launch(make_job(tmp_path), "cloud")


def test_slurm_without_slurm_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="--launcher slurm: expected the command 'sbatch'"):
        launch(make_job(tmp_path), "slurm")


def test_stop_saves_and_the_next_run_resumes(tmp_path, capfd):
    """SIGTERM to the launcher reaches the trainer; the end equals an uninterrupted training."""

    states = []

    def stop():
        wait_for((tmp_path / "run" / "metrics.jsonl").exists)
        states.append(read_statuses([tmp_path / "run"])[0].state)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop)
    thread.start()
    assert launch(training(tmp_path / "run", delay=0.05, epochs=4), "local") == 75
    thread.join()
    assert "asked to stop: a checkpoint is saved" in capfd.readouterr().err
    states.append(read_statuses([tmp_path / "run"])[0].state)
    assert states == ["running", "stopped"]
    assert launch(training(tmp_path / "run", epochs=4), "inline") == 0
    job_trains(tmp_path, steps=10, epochs=4, delay=0.0)
    one, two = (torch.load(p / "weights.pt") for p in (tmp_path, tmp_path / "run"))
    assert all(torch.equal(one[name], two[name]) for name in one)


LAUNCHER = """
import sys
from pathlib import Path
from test_launch import launch, training
sys.exit(launch(training(Path(sys.argv[1]), delay=0.05, epochs=6), "local"))
"""


def start_launcher(run_dir, error):
    command = [sys.executable, "-c", LAUNCHER, str(run_dir)]
    with error.open("w") as file:
        return subprocess.Popen(command, stderr=file)


@pytest.mark.slow
def test_killed_launcher_leaves_one_trainer(tmp_path):
    """The orphaned trainer goes on; the next launcher waits for it and finds the work done."""
    run_dir, error = tmp_path / "run", tmp_path / "error.txt"
    first = start_launcher(run_dir, error)
    wait_for((run_dir / "metrics.jsonl").exists)
    (run_dir / "hold").touch()
    first.kill()
    first.wait()
    second = start_launcher(run_dir, error)
    wait_for(lambda: "waiting for the trainer at work in" in error.read_text())
    (run_dir / "hold").unlink()
    assert second.wait(timeout=60) == 0
    assert "is already trained" in error.read_text()
    notes = (run_dir / "trainers.txt").read_text().splitlines()
    assert [line.split()[0] for line in notes] == ["start", "end"]
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [*range(1, 7)]


def test_slurm_that_does_not_answer_can_be_left(tmp_path, monkeypatch, capsys):
    for name in ("sbatch", "squeue"):
        (tmp_path / name).write_text("#!/bin/sh\necho Unable to contact the controller >&2; exit 1")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(launch_slurm, "AWAY_SECONDS", 0.1)
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    assert launch(make_job(tmp_path / "run"), "slurm") == 75
    said = "Slurm does not answer (squeue: Unable to contact the controller); asking again\n"
    assert capsys.readouterr().err == said


def test_output_that_snakemake_removed_is_put_back(tmp_path):
    run = tmp_path / "run"
    job = make_job(run, "job_trains", steps=1, epochs=1, delay=0.0)
    assert launch(job, "inline") == 0
    trained = (run / "weights.pt").read_bytes()
    (run / "weights.pt").unlink()
    assert launch(job, "inline") == 0
    assert (run / "weights.pt").read_bytes() == trained
    assert (run / "trainers.txt").read_text().count("start") == 1
