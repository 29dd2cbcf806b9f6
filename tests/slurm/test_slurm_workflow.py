"""The whole workflow on the cluster: `snakemake --profile slurm`."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from slurm.jobs import slurm, wait_for

from dmg.config import load_experiment

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.workflow]
ROOT = Path(__file__).parent.parent.parent


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
        "slurm-init-seconds-before-status-checks": 2,
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


def start(folder: Path) -> subprocess.Popen[str]:
    """Start the workflow as a user would."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"),
               "--profile", "slurm", "--config", "extract_parts=2"]  # fmt: skip
    with (folder / "output.txt").open("a") as file:
        return subprocess.Popen(
            command, cwd=folder, stdout=file, stderr=file, text=True, start_new_session=True
        )


@pytest.mark.smoke
def test_from_raw_files_to_the_report_with_a_killed_head(tmp_path: Path) -> None:
    """Snakemake and the launcher are killed while the training runs; the next run follows it."""
    folder = project(tmp_path, epochs=40)
    run = folder / "results/demo/all/seed0"
    first = start(folder)
    wait_for(
        lambda: (run / "metrics.jsonl").exists() or first.poll() is not None,
        "the training to begin", (folder / "output.txt").read_text, seconds=420,
    )  # fmt: skip
    assert first.poll() is None, (folder / "output.txt").read_text()
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    subprocess.run(["pkill", "-KILL", "-f", f"dmg train .*{folder}"], check=False)
    unlock = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--unlock"]
    subprocess.run(unlock, cwd=folder, check=True, capture_output=True)
    second = start(folder)
    assert second.wait(timeout=420) == 0, (folder / "output.txt").read_text()
    assert (folder / "results/demo/report.html").exists()
    names = slurm("sacct", "-X", "-n", "-P", "-o", "JobName").split()
    assert len([name for name in names if name.startswith("dmg-")]) >= 1
    log = (folder / "logs/train/demo/all/seed0.log").read_text()
    assert "following job" in log
    assert "submitted" not in log
