"""The workflow: a complete run, and what a change makes it run again."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from workflows import edit, planned, snakemake, tiny_project

from dmg.config import RESOURCES

pytestmark = pytest.mark.workflow


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


def test_changed_resources_rerun_no_training(finished: Path) -> None:
    with ExitStack() as stack:
        for key in sorted(set(RESOURCES) - {"seeds"}):
            value = ["tensorboard"] if key == "trackers" else 2
            stack.enter_context(changed(finished, "train", key, value=value))
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
