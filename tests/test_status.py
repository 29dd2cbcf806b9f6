"""How runs stand, told from made-up folders and a stand-in for `squeue`."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dmg.status import RunStatus, as_json, as_lines, as_table, find_runs, read_statuses


@pytest.fixture(autouse=True)
def _no_slurm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def squeue(tmp_path: Path, script: str) -> None:
    """Put a stand-in for `squeue` on the path."""
    path = tmp_path / "bin" / "squeue"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def line(epoch: int, **values: Any) -> dict[str, Any]:
    return {
        "epoch": epoch, "loss": 1 / epoch, "validation": 2 / epoch, "best": 2 / epoch,
        "seconds": 60.0, "samples_per_second": 812.5, "peak_memory_mb": 900.0,
        "peak_gpu_memory_mb": None, "time": time.time() - 20,
    } | values  # fmt: skip


def make_run(tmp_path: Path, epochs: int = 3, name: str = "demo/all/seed0") -> Path:
    """Make the folder of a run that has trained some epochs of ten."""
    run = tmp_path / "results" / name
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yaml").write_text("train:\n  epochs: 10\n  seeds: [0, 1]\n")
    lines = [json.dumps(line(epoch)) for epoch in range(1, epochs + 1)]
    (run / "metrics.jsonl").write_text("".join(text + "\n" for text in lines))
    checkpoint = run / "checkpoints" / f"{epochs + 1:06d}-00000007.pt"
    checkpoint.touch()
    os.utime(checkpoint, (time.time() - 300,) * 2)
    return run


@contextmanager
def trainer_at_work(run: Path, lock: str = ".lock") -> Iterator[None]:
    with (run / lock).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def look(run: Path) -> RunStatus:
    return read_statuses([run])[0]


def test_a_run_at_work(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with trainer_at_work(run):
        status = look(run)
    assert (status.state, status.epoch, status.epochs) == ("running", 3, 10)
    assert (status.loss, status.validation, status.best) == (1 / 3, 2 / 3, 2 / 3)
    assert status.samples_per_second == 812.5
    assert status.eta_seconds == pytest.approx(7 * 60 - 20, abs=5)
    assert status.checkpoint == "epoch 4, step 7"
    assert status.checkpoint_age_seconds == pytest.approx(300, abs=5)
    assert (status.job_id, status.error) == (None, None)


def test_looking_does_not_take_the_lock(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (run / ".lock").touch()
    assert look(run).state == "stopped"
    with trainer_at_work(run):  # would block for ever if it were held
        pass


def test_a_killed_run_is_stopped(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run / ".lock")], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    assert look(run).state == "running"
    holder.kill()
    holder.communicate()
    status = look(run)
    assert (status.state, status.eta_seconds, status.error) == ("stopped", None, None)


HOLD = """
import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


def test_a_finished_run(tmp_path: Path) -> None:
    run = make_run(tmp_path, epochs=10)
    (run / "done.json").write_text('{"digest": "x"}')
    assert look(run).state == "stopped"  # its model was removed: it will be trained again
    (run / "model.pt").touch()
    assert look(run).state == "done"
    (run / "done.json").write_text('{"dig')
    assert look(run).state == "stopped"


def test_a_finished_run_that_is_trained_again_is_running(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (run / "done.json").write_text('{"digest": "x"}')
    (run / "model.pt").touch()
    with trainer_at_work(run):
        assert look(run).state == "running"


def test_a_failed_run_tells_why(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    note = {"error": "epoch 4, step 2: expected a finite loss", "time": 0.0}
    (run / "failure.json").write_text(json.dumps(note))
    status = look(run)
    assert (status.state, status.error) == ("failed", note["error"])


def test_a_failed_job_without_a_launcher_tells_why(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    folder = run / "jobs" / "dmg-1234"
    folder.mkdir(parents=True)
    later, now = {"error": "connection reset", "time": time.time() + 1}, time.time()
    (folder / "end-0.json").write_text(json.dumps({"status": 1} | later))
    (folder / "end-1.json").write_text(
        json.dumps({"status": 1, "error": "rank 1 found no data", "time": now})
    )
    assert look(run).error == "rank 1 found no data"
    for path in folder.glob("end-*.json"):
        path.write_text(json.dumps({"status": 1, "error": "long ago", "time": now - 600}))
    assert look(run).state == "stopped"  # it has trained since


def test_a_lost_job_shows_the_last_error_of_its_log(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    folder = run / "jobs" / "dmg-1234"
    folder.mkdir(parents=True)
    text = "x" * 20000 + "\nslurmstepd: error: Detected 1 oom_kill event\nbye\n"
    (folder / "12_0_log.err").write_text(text)
    assert look(run).error == "slurmstepd: error: Detected 1 oom_kill event"


def test_a_torn_line_is_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 4, "lo')
    assert look(run).epoch == 3
    (run / "metrics.jsonl").write_text('{"ep\nnull\n{"epoch": "four"}\n')
    assert look(run).epoch == 0
    (run / "metrics.jsonl").write_bytes(b"\xff\xfe\n")
    assert look(run).epoch == 0


def test_torn_files_are_as_good_as_none(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    for name in ("config.yaml", "slurm_job.json", "failure.json"):
        (run / name).write_text("{[")
    status = look(run)
    assert (status.state, status.epochs, status.job_id) == ("stopped", None, None)
    (run / "config.yaml").write_text("just text")
    assert look(run).epochs is None


def test_numbers_that_are_not_finite_are_none(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    (run / "metrics.jsonl").write_text(json.dumps(line(1, loss=float("nan"))) + "\n")
    status = look(run)
    assert (status.epoch, status.loss) == (1, None)
    assert json.loads(as_json([status]))[0]["loss"] is None


def test_a_run_before_its_first_epoch(tmp_path: Path) -> None:
    run = tmp_path / "results" / "demo" / "all" / "seed0"
    run.mkdir(parents=True)
    assert look(run).state == "waiting"
    with trainer_at_work(run):
        status = look(run)
    assert (status.state, status.epoch, status.eta_seconds) == ("running", 0, None)
    with trainer_at_work(run, ".launcher.lock"):
        assert look(run).state == "waiting"


def submitted(run: Path, job_id: str = "12") -> Path:
    (run / "slurm_job.json").write_text(json.dumps({"job_id": job_id, "name": "dmg-1"}))
    return run


def test_a_waiting_job_tells_why(tmp_path: Path) -> None:
    run = submitted(make_run(tmp_path))
    squeue(tmp_path, 'echo "12|PENDING|Priority|"')
    status = look(run)
    assert (status.state, status.job_id, status.job_state) == ("waiting", "12", "PENDING")
    assert (status.reason, status.nodes) == ("Priority", None)


def test_a_running_job_tells_its_nodes(tmp_path: Path) -> None:
    run = submitted(make_run(tmp_path))
    squeue(tmp_path, 'echo "12|RUNNING|None|node[1-2]"')
    status = look(run)  # on a file system without locks, too
    assert (status.state, status.nodes, status.reason) == ("running", "node[1-2]", None)
    assert status.eta_seconds is not None


def test_all_jobs_are_asked_for_at_once(tmp_path: Path) -> None:
    runs = [submitted(make_run(tmp_path, name=f"demo/all/seed{i}"), str(10 + i)) for i in range(3)]
    squeue(
        tmp_path,
        f'echo "$@" >> {tmp_path}/asked\necho "10|RUNNING|None|node1"\necho "12|NODE_FAIL|None|"',
    )
    statuses = read_statuses(runs)
    assert [s.state for s in statuses] == ["running", "stopped", "stopped"]
    assert [s.job_state for s in statuses] == ["RUNNING", None, "NODE_FAIL"]
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == ["-h -t all -j 10,11,12 -o %A|%T|%r|%N"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (None, "no Slurm on this machine"),
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", None),
        ("echo 'Unable to contact slurm controller' >&2; exit 1", "squeue: Unable to contact"),
        ("exec /bin/sleep 9", "Slurm does not answer"),
    ],
)
def test_files_tell_what_squeue_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, reason: str | None
) -> None:
    monkeypatch.setattr("dmg.status.queue.SECONDS", 0.3)
    run = submitted(make_run(tmp_path))
    if script:
        squeue(tmp_path, script)
    status = look(run)
    assert (status.state, status.job_id, status.job_state) == ("stopped", "12", None)
    assert (status.reason or "").startswith(reason or "")
    assert (status.reason is None) == (reason is None)


def test_an_experiment_has_a_row_for_each_fold_and_seed(tmp_path: Path) -> None:
    for name in ("demo/fold01/seed10", "demo/fold01/seed2", "demo/fold02/seed2", "other/all/seed0"):
        make_run(tmp_path, name=name)
    results = tmp_path / "results"
    (results / "demo" / "preprocess").mkdir()
    assert names(results / "demo") == ["fold01/seed2", "fold01/seed10", "fold02/seed2"]
    assert names(results / "demo" / "fold01") == ["fold01/seed2", "fold01/seed10"]
    assert len(names(results)) == 4
    assert names(results / "demo" / "fold02" / "seed2") == ["fold02/seed2"]


def test_runs_that_are_yet_to_come_have_rows_too(tmp_path: Path) -> None:
    make_run(tmp_path, name="demo/fold01/seed0")
    folder = tmp_path / "results" / "demo"
    (folder / "preprocess").mkdir()
    (folder / "preprocess" / "splits.csv").write_text("basin_id,fold\n1,fold01\n2,fold02\n")
    expected = ["fold01/seed0", "fold01/seed1", "fold02/seed0", "fold02/seed1"]
    assert names(folder) == expected
    assert [s.state for s in read_statuses(find_runs([folder]))] == ["stopped", *["waiting"] * 3]


def names(folder: Path) -> list[str]:
    return [f"{run.parent.name}/{run.name}" for run in find_runs([folder])]


def test_a_run_of_any_name_is_found_by_its_files(tmp_path: Path) -> None:
    run = make_run(tmp_path, name="trial")
    assert find_runs([run, run]) == [run]


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        find_runs([tmp_path / "absent"])
    with pytest.raises(ValueError, match=r"bin: expected a run folder, .* has its training start"):
        find_runs([tmp_path / "bin"])


WAITING = RunStatus(run="demo/all/seed1", state="waiting", job_id="7", reason="Priority")
FAILED = RunStatus(run="demo/all/seed2", state="failed", epochs=10, error="no [data]")
RUNNING = RunStatus(
    run="demo/all/seed0", state="running", epoch=3, epochs=10, loss=0.12345, validation=0.2,
    samples_per_second=812.5, eta_seconds=400.0, job_id="12", job_state="RUNNING",
    nodes="node[1-2]", checkpoint="epoch 4, step 7", checkpoint_age_seconds=7300.0,
)  # fmt: skip


def test_lines_for_a_pipe() -> None:
    first, second, third = as_lines([RUNNING, WAITING, FAILED]).splitlines()
    assert first == (
        "demo/all/seed0: running, epoch 3/10, loss 0.1235, validation 0.2, windows/s 812.5,"
        " left 7 min, checkpoint 2 h 02 min ago (epoch 4, step 7), job 12 running on node[1-2]"
    )
    assert second == "demo/all/seed1: waiting, job 7, reason: Priority"
    assert third == "demo/all/seed2: failed, epoch 0/10, error: no [data]"


def test_table_for_a_terminal() -> None:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(as_table([RUNNING, WAITING, FAILED]))
    shown = capture.get()
    for text in ("0.1235", "7 min", "12 running on node[1-2]", "seed1: Priority", "no [data]"):
        assert text in shown
    assert shown.startswith(str(Path("demo/all").absolute()))  # once, not in every row
    assert shown.count("demo/all") == 1


def test_a_table_of_one_run_names_it_whole() -> None:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(as_table([RUNNING]))
    assert "demo/all/seed0" in capture.get()


def test_a_table_of_runs_named_in_two_ways(tmp_path: Path) -> None:
    table = as_table([RUNNING, RunStatus(run=str(tmp_path / "seed1"), state="done")])
    assert table.row_count == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(89.0, "89 s"), (600.0, "10 min"), (7300.0, "2 h 02 min"), (200000.0, "2 d 7 h")],
)
def test_durations(seconds: float, text: str) -> None:
    status = RunStatus(run="x", state="running", eta_seconds=seconds)
    assert as_lines([status]) == f"x: running, left {text}"


def test_the_command_is_quick_and_loads_nothing_heavy(tmp_path: Path) -> None:
    run = submitted(make_run(tmp_path))
    code = (
        "import sys; from dmg.cli import main\n"
        "try: main()\n"
        "finally: print(*({'torch', 'numpy', 'pandas'} & set(sys.modules)), 'loaded')"
    )
    command = [sys.executable, "-c", code, "status", str(run), "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    text, _, loaded = result.stdout.rstrip().rpartition("\n")
    assert loaded == "loaded"
    assert json.loads(text)[0]["state"] == "stopped"
    plain = subprocess.run(
        [sys.executable, "-m", "dmg", "status", str(run)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert plain.startswith(f"{run}: stopped, epoch 3/10, loss 0.3333")
    gone = subprocess.run(
        [sys.executable, "-m", "dmg", "status", str(run / "absent")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (gone.returncode, gone.stderr.count("\n")) == (1, 1)
