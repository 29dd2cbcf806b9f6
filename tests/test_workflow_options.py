"""The workflow: folds, seeds and ensembles, profiles, the command line, mistakes in one line."""

import re
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from workflows import ROOT, edit, planned, refused, snakemake, tiny_project, write_project

from dmg.data.workers import SlurmWorkers
from dmg.launch import SlurmOptions

pytestmark = pytest.mark.workflow


def test_folds_and_seeds_are_trained_one_by_one(tmp_path: Path) -> None:
    tiny = tiny_project(tmp_path) / "config/experiments/tiny.yaml"
    period = {"start": "2001-10-01", "end": "2002-09-30"}
    edit(
        tiny,
        "data",
        "split",
        value={"kind": "pub", "train": period, "test": period, "num_folds": 3},
    )
    edit(tiny, "train", "seeds", value=[0, 7])
    result = snakemake(tmp_path, "-n")
    assert planned(result)["train"] == 6
    assert "results/tiny/fold03/seed7/model.pt" in result.stdout
    edit(tiny, "data", "split", "only", value=[3])
    result = snakemake(tmp_path, "-n")
    assert planned(result)["train"] == 2
    assert "results/tiny/fold03/seed7/model.pt" in result.stdout


def test_an_ensemble_scores_all_runs_of_its_members(tmp_path: Path) -> None:
    folder = tiny_project(tmp_path)
    experiments = folder / "config/experiments"
    shutil.copy(experiments / "tiny.yaml", experiments / "other.yaml")
    edit(experiments / "other.yaml", "train", "seeds", value=[0, 1])
    (folder / "config/ensembles").mkdir()
    edit(folder / "config/ensembles/both.yaml", "members", value=["tiny", "other"])
    jobs = planned(snakemake(folder, "-n", "--config", "ensembles=[both]", "experiments=[]"))
    assert jobs["train"] == jobs["predict"] == 3
    assert jobs["ensemble"] == 1
    assert "report" not in jobs
    result = snakemake(folder, "-n", "--config", "ensembles=[non]")
    assert "ensembles: no file config/ensembles/non.yaml; there are: both" in result.stderr


def test_part_count_and_folders_come_from_the_command_line(tmp_path: Path) -> None:
    changes = ["extract_parts=3", "results_dir=elsewhere"]
    result = snakemake(tiny_project(tmp_path), "-n", "--config", *changes)
    assert planned(result)["extract"] == 3
    assert "elsewhere/stores/tiny.parts/3-of-3.json" in result.stdout


def test_the_slurm_profile_plans_by_its_name_at_the_root(tmp_path: Path) -> None:
    (tiny_project(tmp_path) / "slurm").symlink_to(ROOT / "profiles/slurm")
    result = snakemake(tmp_path, "-n", "--profile", "slurm")
    assert planned(result)["train"] == 1
    assert "launcher=slurm" in result.stdout


def test_a_training_asks_the_cluster_for_what_the_profile_says(tmp_path: Path) -> None:
    (tiny_project(tmp_path) / "slurm").symlink_to(ROOT / "profiles/slurm")
    asked = {"launcher": "slurm", "slurm_account": "me", "slurm_partition": "gpu", "nodes": 2,
             "gpus_per_node": 4, "processes": 8, "runtime": 30}  # fmt: skip
    resources = [f"train:{key}={value}" for key, value in asked.items()]
    result = snakemake(tmp_path, "-n", "-p", "--profile", "slurm", "--set-resources", *resources)
    assert planned(result)["train"] == 1
    line = next(line for line in result.stdout.splitlines() if "dmg train" in line)
    given = set(re.findall(r"--(?:slurm|processes) (\S+)", line))
    assert {"account=me", "partition=gpu", "nodes=2", "gpus_per_node=4", "8"} <= given
    assert "runtime=30" in given


def test_preprocessing_asks_the_cluster_for_what_the_profile_says(tmp_path: Path) -> None:
    (tiny_project(tmp_path) / "slurm").symlink_to(ROOT / "profiles/slurm")
    asked = {"dask": "slurm", "slurm_partition": "cpu", "dask_jobs": 8, "dask_interface": "ib0"}
    resources = [f"preprocess:{key}={value}" for key, value in asked.items()]
    result = snakemake(tmp_path, "-n", "-p", "--profile", "slurm", "--set-resources", *resources)
    assert planned(result)["preprocess"] == 1
    line = next(line for line in result.stdout.splitlines() if "dmg preprocess" in line)
    given = set(re.findall(r"--(?:slurm|dask) (\S+)", line))
    assert given == {"slurm", "partition=cpu", "jobs=8", "interface=ib0"}


def test_preprocessing_keeps_to_the_memory_of_its_job(tmp_path: Path) -> None:
    """Of a job with four cores each of four processes, and what starts them, has a fifth."""
    (tiny_project(tmp_path) / "slurm").symlink_to(ROOT / "profiles/slurm")
    plans = {
        "2000": snakemake(tmp_path, "-n", "-p"),
        "1600": snakemake(tmp_path, "-n", "-p", "--profile", "slurm"),
    }
    for memory, result in plans.items():
        line = next(line for line in result.stdout.splitlines() if "dmg preprocess" in line)
        assert f"--memory-mb {memory} " in line


def test_the_profile_names_every_option_of_its_jobs() -> None:
    text = (ROOT / "workflow/common.smk").read_text()
    for name, options in {"SLURM": SlurmOptions, "DASK": SlurmWorkers}.items():
        table = text.partition(f"{name}_RESOURCES = {{")[2].partition("}")[0]
        named = set(re.findall(r'"(\w+)": ', table))
        assert named == {field.name for field in fields(options)} - {"on_interrupt"}
    assert (ROOT / "slurm").resolve() == ROOT / "profiles/slurm"


def test_planning_loads_no_heavy_module(tmp_path: Path) -> None:
    """Of ours: Snakemake's Slurm plugin itself imports pandas."""
    for name in ("torch", "xarray", "dask", "zarr"):
        (tmp_path / f"{name}.py").write_text(f"raise RuntimeError('{name} was imported')\n")
    planned(snakemake(tiny_project(tmp_path), "-n", PYTHONPATH=str(tmp_path)))


def test_lint_complains_of_nothing_but_missing_environments(tmp_path: Path) -> None:
    """Software comes from the environment that runs snakemake, not from conda or containers."""
    result = snakemake(tiny_project(tmp_path), "--lint")
    titles = set(re.findall(r"^ +\* (.+):$", result.stderr, flags=re.MULTILINE))
    assert titles == {"Specify a conda environment or container for each rule."}


def test_a_folder_is_unlocked_without_a_profile(tmp_path: Path) -> None:
    """No rule needs to know the number of cores before it runs."""
    result = snakemake(tiny_project(tmp_path), "--unlock", "--profile", "none")
    assert result.returncode == 0, result.stderr


def test_an_unknown_key_stops_the_workflow(tmp_path: Path) -> None:
    edit(tiny_project(tmp_path) / "config/experiments/tiny.yaml", "train", "epoch", value=3)
    line = refused(snakemake(tmp_path, "-n"))
    assert "config/experiments/tiny.yaml: train.epoch: unknown key; did you mean 'epochs'?" in line


def test_an_unknown_key_on_the_command_line_stops_the_workflow(tmp_path: Path) -> None:
    result = snakemake(tiny_project(tmp_path), "-n", "--config", "experimnts=[tiny]")
    assert "experimnts: unknown key; did you mean 'experiments'?" in refused(result)


def test_an_unknown_experiment_names_the_known_ones(tmp_path: Path) -> None:
    result = snakemake(tiny_project(tmp_path), "-n", "--config", "experiments=[tyny]")
    assert "no file config/experiments/tyny.yaml; there are: tiny" in refused(result)


def test_a_missing_dataset_says_where_it_was_looked_for(tmp_path: Path) -> None:
    write_project(tmp_path)
    arguments = ["--config", "experiments=[camels_sample]", "data_root=nowhere"]
    line = refused(snakemake(tmp_path, "-n", *arguments))
    assert "expected nowhere/camels_us_sample or nowhere/camels_us_sample.zip or" in line
    assert "dmg data list" in line


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["product"], "maurer_extended", "differ in data.product; set data.store in one of them"),
        (["basins"], ["01000001"], "differ in data.basins; set data.store in one of them"),
        (["synthetic", "seed"], 9, "share dataset 'tiny' but differ in data.synthetic"),
    ],
)
def test_experiments_that_share_data_must_agree_on_it(
    tmp_path: Path, keys: list[str], value: Any, message: str
) -> None:
    folder = tiny_project(tmp_path) / "config/experiments"
    shutil.copy(folder / "tiny.yaml", folder / "other.yaml")
    edit(folder / "other.yaml", "data", *keys, value=value)
    if keys == ["synthetic", "seed"]:
        edit(folder / "other.yaml", "data", "store", value="other")
    line = refused(snakemake(tmp_path, "-n", "--config", "experiments=[tiny,other]"))
    assert "experiments tiny and other" in line
    assert message in line
