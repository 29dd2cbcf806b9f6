"""Work on blocks, by processes that may be lost."""

import os
import signal
import sys
from pathlib import Path

import pytest

from dmg.data.workers import SlurmWorkers, cluster_options, compute_all
from dmg.sbatch import without_slurm_variables


def square(number: int, folder: Path) -> int:
    """Square; whoever gets the number 3 first is killed at once."""
    if number == 3 and not (folder / "killed").exists():
        (folder / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


@pytest.mark.distributed
def test_the_work_of_a_lost_worker_is_done_again(tmp_path: Path) -> None:
    calls = [(number, tmp_path) for number in range(8)]
    assert compute_all(square, calls, 2, tmp_path) == [n**2 for n in range(8)]
    assert (tmp_path / "killed").exists()


def test_without_workers_this_process_works(tmp_path: Path) -> None:
    (tmp_path / "killed").touch()
    assert compute_all(square, [(2, tmp_path), (3, tmp_path)], 0, tmp_path) == [4, 9]


def test_options_of_jobs(tmp_path: Path) -> None:
    items = ["jobs=8", "partition=cpu", "runtime=90", "qos=low", "setup=module load x", "jobs=9"]
    workers = SlurmWorkers.parse(items)
    assert workers == SlurmWorkers(
        jobs=9, partition="cpu", runtime=90, qos="low", setup="module load x"
    )
    options = cluster_options(workers, tmp_path)
    expected = {"queue": "cpu", "walltime": "01:30:00", "memory": "4000MB", "processes": 1}
    assert expected.items() <= options.items()
    assert options["job_extra_directives"] == ["--qos=low"]
    assert options["job_script_prologue"] == ["module load x"]
    assert not {"account", "interface", "python"} & options.keys()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("nodes=2", "--slurm: expected KEY=VALUE with a key of .*'jobs'.* found 'nodes=2'"),
        ("jobs=many", "--slurm jobs: expected a whole number, found 'many'"),
        ("jobs=0", "--slurm jobs: expected at least 1, found 0"),
    ],
)
def test_bad_options(item: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SlurmWorkers.parse([item])


def test_missing_package_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(ValueError, match=r"dask-jobqueue, .* pip install 'dmg-hpc\[slurm\]'"):
        compute_all(square, [(2, tmp_path)], SlurmWorkers(), tmp_path)


def test_variables_of_a_job_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with without_slurm_variables():
        assert "SLURM_JOB_ID" not in os.environ
    assert os.environ["SLURM_JOB_ID"] == "7"
