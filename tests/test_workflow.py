"""The workflow: the plan of every shipped experiment and of the benchmarks."""

import json
import resource
from pathlib import Path

import pytest
from workflows import ROOT, SHIPPED, planned, snakemake, write_project

from dmg.config import Experiment, load_experiment

pytestmark = pytest.mark.workflow


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path)


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


def test_all_benchmarks_are_planned_quickly_without_heavy_modules(project: Path) -> None:
    (project / "data/raw/camels_us.tar.xz").touch()
    for name in ("torch", "xarray", "dask", "zarr"):
        (project / f"{name}.py").write_text(f"raise RuntimeError('{name} was imported')\n")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    options = ["-n", "all_benchmarks", "--quiet", "rules", "reason"]
    jobs = planned(snakemake(project, *options, PYTHONPATH=str(project)))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 8  # 1,128 jobs; 5 on a machine that is idle
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
