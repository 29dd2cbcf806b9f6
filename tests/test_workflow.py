"""The workflow: the DAG of every shipped experiment, mistakes in one line, reruns by content."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import river_layouts
import yaml

from dmg.config import RESOURCES, Experiment, load_experiment
from dmg.data.network import Network
from dmg.data.workers import SlurmWorkers
from dmg.launch import SlurmOptions

ROOT = Path(__file__).parent.parent
SHIPPED = sorted(p.stem for p in (ROOT / "config/experiments").glob("*.yaml"))
Result = subprocess.CompletedProcess[str]

pytestmark = pytest.mark.workflow


def snakemake(folder: Path, *arguments: str, **environment: str) -> Result:
    """Run snakemake in `folder`, which has a `config/` of its own."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    profile = [] if "--profile" in arguments else ["--profile", str(ROOT / "profiles/local")]
    kept = {k: v for k, v in os.environ.items() if k != "DMG_DATA_ROOT"}
    return subprocess.run(
        [*command, *profile, *arguments],
        cwd=folder, env=kept | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def planned(result: Result) -> dict[str, int]:
    """Jobs by rule of a dry run."""
    assert result.returncode == 0, result.stderr
    lines = (result.stdout + result.stderr).splitlines()
    if not any(line.startswith("job  ") for line in lines):
        return {}
    first = next(i for i, line in enumerate(lines) if line.startswith("job  ")) + 2
    last = next(i for i in range(first, len(lines)) if lines[i].startswith("total"))
    return {rule: int(count) for rule, count in (line.split() for line in lines[first:last])}


def edit(path: Path, *keys: str, value: Any) -> None:
    """Set one key of a YAML file."""
    content = yaml.safe_load(path.read_text()) if path.exists() else {}
    section = content
    for key in keys[:-1]:
        section = section.setdefault(key, {})
    section[keys[-1]] = value
    path.write_text(yaml.safe_dump(content))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the shipped configuration and empty archives of all datasets."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    for name in SHIPPED:
        dataset = load_experiment(ROOT / f"config/experiments/{name}.yaml").data.dataset
        archive = tmp_path / f"data/raw/{dataset}.tar.xz"
        archive.parent.mkdir(parents=True, exist_ok=True)
        archive.touch()
    return tmp_path


def tiny_project(folder: Path) -> Path:
    return Path(shutil.copytree(ROOT / "tests/workflow", folder, dirs_exist_ok=True))


# ------------------------------------------------------------------------------------------ plans


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_experiment_has_a_plan(project: Path, name: str) -> None:
    jobs = planned(snakemake(project, "-n", "--config", f"experiments=[{name}]"))
    experiment = load_experiment(ROOT / f"config/experiments/{name}.yaml")
    assert jobs["train"] == jobs["predict"] == len(experiment.train.seeds)
    assert jobs.get("synthetic", 0) == experiment.data.is_generated
    own = "preprocess_gauges" if experiment.data.gauges else "preprocess"
    assert jobs["report"] == jobs[own] == 1
    beside = len(beside_own(experiment))
    assert jobs["merge"] == 1 + beside


def beside_own(experiment: Experiment) -> set[str]:
    """Stores that an experiment reads beside its own: of its gauges, or for another's folder."""
    if experiment.data.gauges:
        return {experiment.data.gauges.store}
    if str(experiment.data.basins).startswith("results/"):
        other = load_experiment(ROOT / f"config/experiments/{experiment.data.basins.parts[1]}.yaml")
        return {other.data.store_name} | beside_own(other)
    return set()


def write_river(project: Path) -> None:
    """An experiment on the units of the network whose gauges another experiment reads."""
    folder = project / "config/experiments"
    content = yaml.safe_load((folder / "network_demo_gauges.yaml").read_text())
    content["data"] |= {
        "source": "synthetic_network",
        "store": "network_demo_units",
        "forcing": {"name": "spatial_interpolation", "store": "network_demo_gauges"},
    }
    (folder / "river.yaml").write_text(yaml.safe_dump(content))


def test_units_wait_for_the_store_of_their_weather(project: Path) -> None:
    write_river(project)
    result = snakemake(project, "-n", "--config", "experiments=[network_demo_gauges,river]")
    jobs = planned(result)
    assert (jobs["synthetic"], jobs["extract_init"], jobs["merge"]) == (1, 2, 2)
    alone = snakemake(project, "-n", "--config", "experiments=[river]")
    assert planned(alone)["merge"] == 2 and planned(alone)["train"] == 1
    edit(project / "config/experiments/river.yaml", "data", "forcing", "store", value="unknown")
    line = refused(snakemake(project, "-n", "--config", "experiments=[river]"))
    assert "data.forcing.store: expected a store that an experiment makes" in line
    assert "found 'unknown' in none of river; add one" in line


def test_all_shipped_experiments_run_together_and_share_stores(project: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    jobs = planned(snakemake(project, "-n", "--config", f"experiments={json.dumps(SHIPPED)}"))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 5
    stores = {
        load_experiment(ROOT / f"config/experiments/{name}.yaml").data.store_name
        for name in SHIPPED
    }
    assert jobs["report"] == len(SHIPPED)
    assert jobs["merge"] == len(stores) < len(SHIPPED)


def test_a_river_network_from_generated_data_to_a_report(project: Path) -> None:
    """Units, gauges and network are made, trained at, predicted, scored; nothing is done twice."""
    folder = project / "config/experiments"
    sizes = {"num_reaches": 24, "num_gauges": 6, "start": "2000-10-01", "years": 3}
    for name in ("network_demo_gauges", "network_demo"):
        path = folder / f"{name}.yaml"
        edit(path, "data", "synthetic_network", value=sizes)
        for role, year in (("train", 2001), ("test", 2002)):
            period = {"start": f"{year}-10-01", "end": f"{year + 1}-09-30"}
            edit(path, "data", "split", role, value=period)
        short = {"epochs": 1, "steps_per_epoch": 2, "window": 60, "warmup": 60, "threads": 1}
        edit(path, "train", value={**short, "batch_size": 3, "units_per_batch": 24})
    command = ["--config", "experiments=[network_demo]", "extract_parts=1"]
    result = snakemake(project, *command)
    assert result.returncode == 0, result.stderr
    results = project / "results/network_demo"
    assert (results / "report.html").is_file() and (results / "summary.csv").is_file()
    gauges = (results / "preprocess/gauges.txt").read_text().split()
    assert {row.split(",")[0] for row in (results / "scores.csv").read_text().splitlines()[1:]} == {
        *gauges
    }
    assert not planned(snakemake(project, "-n", *command))


def test_a_river_network_is_a_rule(tmp_path: Path) -> None:
    tiny = tiny_project(tmp_path) / "config/experiments/tiny.yaml"
    content = yaml.safe_load(tiny.read_text())
    content["data"].pop("synthetic")
    content["data"] |= {"source": "nhm", "dataset": "rivers", "store": "rivers",
                        "forcing": {"name": "spatial_interpolation", "store": "tiny"}}  # fmt: skip
    tiny.write_text(yaml.safe_dump(content))
    (tmp_path / "data/raw").mkdir(parents=True)
    river_layouts.write_nhm(tmp_path / "data/raw/rivers")
    result = snakemake(tmp_path, "results/stores/rivers_network.zarr")
    assert result.returncode == 0, result.stderr
    assert Network.read(tmp_path / "results/stores/rivers_network.zarr").num_units == 7
    assert planned(snakemake(tmp_path, "-n", "results/stores/rivers_network.zarr")) == {}


def test_a_simulation_of_a_network_is_shared_by_jobs(project: Path) -> None:
    edit(project / "config/config.yaml", "simulate_parts", value=3)
    target = "results/nhm_mc/simulation/map.png"
    experiments = f"experiments={json.dumps(SHIPPED)}"
    jobs = planned(snakemake(project, "-n", target, "--config", experiments))
    assert (jobs["simulate_init"], jobs["simulate"], jobs["simulate_rivers"]) == (1, 3, 1)
    assert jobs["network"] == jobs["train"] == 1
    assert jobs["score_simulation"] == jobs["map_simulation"] == 1


def test_all_benchmarks_are_planned_quickly_without_heavy_modules(project: Path) -> None:
    (project / "data/raw/camels_us.tar.xz").touch()
    for name in ("torch", "xarray", "dask", "zarr"):
        (project / f"{name}.py").write_text(f"raise RuntimeError('{name} was imported')\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    options = ["-n", "all_benchmarks", "--quiet", "rules", "reason"]
    jobs = planned(snakemake(project, *options, PYTHONPATH=str(project)))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 8  # 1,057 jobs; below 5 on a machine that is idle
    assert jobs["benchmark"] == len(list((ROOT / "config/benchmarks").glob("*.yaml")))
    assert jobs["train"] == jobs["predict"] > 40
    assert jobs["benchmark_page"] == 1


def test_a_reduced_benchmark_takes_what_is_at_hand(project: Path) -> None:
    full = planned(snakemake(project, "-n", "B12"))
    assert full == {"benchmark": 1, "B12": 1}
    result = snakemake(project, "-n", "B12", "--config", "reduced=true")
    jobs = planned(result)
    assert jobs["train"] == jobs["derive"] == jobs["benchmark"] == 1
    assert "results/benchmarks/experiments/B12_dhbv11p_reduced.yaml" in result.stdout


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


# --------------------------------------------------------------------------------------- mistakes


def refused(result: Result) -> str:
    """The one line with which the workflow stopped."""
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("dmg: error: ")]
    return line


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


def test_a_missing_dataset_says_where_it_was_looked_for(project: Path) -> None:
    arguments = ["--config", "experiments=[camels_sample]", "data_root=nowhere"]
    line = refused(snakemake(project, "-n", *arguments))
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


# ------------------------------------------------------------------------------- a complete run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tiny experiment ran from nothing to its report."""
    folder = tiny_project(tmp_path_factory.mktemp("finished"))
    result = snakemake(folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@contextmanager
def changed(folder: Path, *keys: str, value: Any) -> Iterator[None]:
    path = folder / "config/experiments/tiny.yaml"
    before = path.read_text()
    edit(path, *keys, value=value)
    yield
    path.write_text(before)


def test_a_complete_run_leaves_its_files(finished: Path) -> None:
    results = finished / "results/tiny"
    run = results / "all/seed0"
    for name in ("model.pt", "config.yaml", "metrics.jsonl", "done.json", "predictions.zarr"):
        assert (run / name).exists(), name
    for name in ("scores.csv", "summary.csv", "report.html", "preprocess/splits.csv"):
        assert (results / name).stat().st_size > 0, name
    assert (finished / "results/stores/tiny.zarr").is_dir()


def test_a_finished_run_has_nothing_to_do_even_after_a_touch(finished: Path) -> None:
    (finished / "config/experiments/tiny.yaml").touch()
    assert planned(snakemake(finished, "-n")) == {}


def test_changed_metrics_rerun_scores_and_report_only(finished: Path) -> None:
    with changed(finished, "evaluate", "metrics", value=["nse"]):
        assert set(planned(snakemake(finished, "-n"))) == {"score", "baselines", "report", "all"}


def test_changed_baselines_rerun_no_score(finished: Path) -> None:
    with changed(finished, "evaluate", "baselines", value=["climatology_median"]):
        assert set(planned(snakemake(finished, "-n"))) == {"baselines", "report", "all"}
    with changed(finished, "evaluate", "baselines", value=[]):
        assert set(planned(snakemake(finished, "-n"))) == {"report", "all"}


def test_changed_training_reruns_what_follows_it(finished: Path) -> None:
    with changed(finished, "train", "epochs", value=3):
        jobs = set(planned(snakemake(finished, "-n")))
    assert jobs == {"train", "predict", "score", "report", "all"}


def test_another_seed_trains_that_seed_only(finished: Path) -> None:
    with changed(finished, "train", "seeds", value=[0, 1]):
        jobs = planned(snakemake(finished, "-n"))
    assert jobs == {"train": 1, "predict": 1, "score": 1, "report": 1, "all": 1}


@pytest.mark.parametrize("key", sorted(set(RESOURCES) - {"seeds"}))
def test_changed_resources_rerun_no_training(finished: Path, key: str) -> None:
    value = ["tensorboard"] if key == "trackers" else 2
    with changed(finished, "train", key, value=value):
        assert set(planned(snakemake(finished, "-n"))) == {"report", "all"}


def test_changed_outputs_rerun_the_prediction(finished: Path) -> None:
    with changed(finished, "evaluate", "outputs", value=["streamflow", "aet"]):
        jobs = set(planned(snakemake(finished, "-n")))
    assert jobs == {"predict", "score", "report", "all"}


def test_changed_extraction_rebuilds_the_store(finished: Path) -> None:
    with changed(finished, "data", "product", value="maurer_extended"):
        jobs = set(planned(snakemake(finished, "-n")))
    assert {"extract_init", "extract", "merge", "preprocess", "train"} <= jobs


def test_a_benchmark_compares_what_was_run(finished: Path) -> None:
    content = {
        "title": "T", "reference": "R", "protocol": "P", "expected_basins": 4,
        "series": {"hbv": {"label": "HBV", "experiment": "tiny"}},
        "published": [{"series": "hbv", "value": 0.9, "source": "nobody", "tag": "T"}],
    }  # fmt: skip
    path = finished / "config/benchmarks/B99.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(content))
    try:
        result = snakemake(finished, "all_benchmarks", "B99")
        assert result.returncode == 0, result.stdout + result.stderr
        assert set(planned(result)) == {"benchmark", "benchmark_page", "all_benchmarks", "B99"}
        (line,) = (finished / "results/benchmarks/B99.csv").read_text().splitlines()[1:]
        assert ",full," in line
        assert "B99" in (finished / "results/benchmarks.html").read_text()
        assert planned(snakemake(finished, "-n", "B99")) == {}
        content["series"]["hbv"]["reduced"] = {"change": {"train": {"epochs": 1}}}
        path.write_text(yaml.safe_dump(content))
        jobs = planned(snakemake(finished, "-n", "B99", "--config", "reduced=true"))
        assert jobs["derive"] == jobs["train"] == jobs["benchmark"] == 1
    finally:
        shutil.rmtree(path.parent)


def test_snakemake_writes_its_own_report(finished: Path) -> None:
    result = snakemake(finished, "--report", "provenance.html")
    assert result.returncode == 0, result.stderr
    assert (finished / "provenance.html").stat().st_size > 0
