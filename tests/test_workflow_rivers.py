"""The workflow of a river network: units, gauges, reaches and simulations."""

import json
from pathlib import Path

import pytest
import river_layouts
import yaml
from workflows import SHIPPED, edit, planned, refused, snakemake, tiny_project, write_project

from dmg.data.network import Network

pytestmark = pytest.mark.workflow


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_project(tmp_path)


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
