"""The whole workflow on the cluster: `snakemake --profile slurm`."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch
import yaml
from slurm.jobs import processes_of, slurm, wait_for

from dmg.config import load_experiment
from dmg.launch import train
from dmg.runs import load_handler

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.workflow]
ROOT = Path(__file__).parent.parent.parent
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
LONG = 420.0


def project(folder: Path, epochs: int) -> Path:
    """The demo with few basins, on the shipped profile with shorter waits."""
    for name in ("config", "profiles"):
        shutil.copytree(ROOT / name, folder / name)
    (folder / "slurm").symlink_to("profiles/slurm")
    path = folder / "config/experiments/demo.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["data"]["synthetic"] |= {"num_basins": 6}
    settings["train"] |= {"epochs": epochs, "steps_per_epoch": 5, "batch_size": 4}
    path.write_text(yaml.safe_dump(settings))
    load_experiment(path)
    profile = yaml.safe_load((folder / "slurm/config.yaml").read_text())
    profile |= {
        "slurm-init-seconds-before-status-checks": 10,  # a job's length: the next is 20 s later
        "seconds-between-status-checks": 2,
        "latency-wait": 10,
        "default-resources": {"slurm_account": "root", "slurm_partition": "cpu",
                              "mem_mb": 1500, "runtime": 10},
    }  # fmt: skip
    profile["set-resources"]["train"] |= {
        "nodes": 2, "processes": 2, "slurm_partition": "gpu", "gpus_per_node": 2, "mem_mb": 2000,
    }  # fmt: skip
    for rule in ("extract", "preprocess", "predict"):
        profile["set-resources"][rule] = {"mem_mb": 2000, "cpus_per_task": 1}
    (folder / "slurm/config.yaml").write_text(yaml.safe_dump(profile))
    return folder


class Workflow:
    """`snakemake --profile slurm` in a project's folder, in processes of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.output = folder / "output.txt"
        self._folder = folder
        with self.output.open("a") as file:
            self.process = subprocess.Popen(
                [*SNAKEMAKE, "--profile", "slurm", *options],
                cwd=folder, stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip

    def reaches(self, path: Path) -> None:
        """Wait until it has made a file."""
        over = self.process.poll
        wait_for(
            lambda: path.exists() or over() is not None, f"{path}", self.output.read_text, LONG
        )
        assert path.exists(), self.output.read_text()

    def ends(self) -> None:
        """Wait for a good end."""
        assert self.process.wait(timeout=LONG) == 0, self.output.read_text()

    def kill(self) -> None:
        """Kill Snakemake and the launchers that it has started, all at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        subprocess.run([*SNAKEMAKE, "--unlock"], cwd=self._folder, check=True, capture_output=True)


@pytest.fixture
def started() -> Iterator[list[Workflow]]:
    """Workflows that end with the test."""
    workflows: list[Workflow] = []
    yield workflows
    for workflow in workflows:
        with suppress(ProcessLookupError):
            os.killpg(workflow.process.pid, signal.SIGKILL)
        workflow.process.wait()


def send(number: signal.Signals, processes: list[int]) -> None:
    for process in processes:
        os.kill(process, number)


def weights(model: Path) -> dict[str, torch.Tensor]:
    return load_handler(model)[0].state_dict()


@pytest.mark.smoke
def test_from_raw_files_to_the_report_with_a_killed_head(
    tmp_path: Path, started: list[Workflow]
) -> None:
    """Snakemake and the launcher are killed while the training runs; the next run follows it."""
    folder = project(tmp_path, epochs=40)
    run = folder / "results/demo/all/seed0"
    started.append(Workflow(folder, "--config", "extract_parts=2"))
    started[0].reaches(run / "metrics.jsonl")
    known = json.loads((run / "slurm_job.json").read_text())
    trainers = processes_of(run)
    send(signal.SIGSTOP, trainers)  # it shall not end before the next run begins
    started[0].kill()
    started.append(Workflow(folder, "--config", "extract_parts=2"))
    log = folder / "logs/train/demo/all/seed0.log"
    following = f"following job {known['job_id']}"
    wait_for(lambda: log.exists() and following in log.read_text(), following, seconds=LONG)
    send(signal.SIGCONT, trainers)
    started[1].ends()
    assert (folder / "results/demo/report.html").exists()
    assert "waiting for the launcher" not in log.read_text()  # it was killed
    jobs = slurm("sacct", "-X", "-n", "-P", "--name", known["name"], "-o", "JobID,AllocNodes")
    assert jobs == f"{known['job_id']}|2"
    other = folder / "undisturbed/model.pt"
    experiment, results = folder / "config/experiments/demo.yaml", folder / "results"
    train(
        experiment, results / "stores/demo.zarr", results / "demo/preprocess", other,
        fold="all", seed="seed0", launcher="inline", processes=2,
    )  # fmt: skip
    one, two = weights(run / "model.pt"), weights(other)
    assert all(torch.equal(one[name], two[name]) for name in two)


def test_parts_of_an_extraction_are_one_array_job(tmp_path: Path, started: list[Workflow]) -> None:
    folder = project(tmp_path, epochs=1)
    started.append(Workflow(folder, "results/stores/demo.zarr", "--config", "extract_parts=4"))
    started[0].ends()
    jobs = slurm("sacct", "-X", "-n", "-P", "-o", "JobID,State,WorkDir").splitlines()
    here = [job.split("|") for job in jobs if job.endswith(f"|{folder}")]
    parts = [job for job in here if "_" in job[0]]
    assert len({number.partition("_")[0] for number, _, _ in parts}) == 1
    assert [(n.partition("_")[2], state) for n, state, _ in parts] == [
        (str(part), "COMPLETED") for part in range(1, 5)
    ]
