"""Benchmarks: valid files, values computed as published, all that is missing said."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from evaluation_data import Files, make

from dmg import plots
from dmg.benchmark import benchmark
from dmg.benchmark.cost import cost_of
from dmg.benchmark.differences import differences
from dmg.benchmark.outcomes import NO_PEAKS, Outcome, read_outcome, value_of
from dmg.benchmark.published import read_published
from dmg.benchmark.rows import COLUMNS
from dmg.config import (
    Benchmark,
    Catalogue,
    Experiment,
    Published,
    parse,
    resolved,
    write_experiment,
)
from dmg.score import score

ROOT = Path(__file__).parent.parent
SPLIT = {
    "kind": "temporal",
    "train": {"start": "1990-10-01", "end": "1992-09-29"},
    "test": {"start": "1992-09-30", "end": "1994-09-29"},
}
EXPERIMENT: dict[str, Any] = {
    "data": {"dataset": "made", "attributes": ["aridity"], "split": SPLIT},
    "model": {"nn": {"name": "lstm", "hidden_size": 32}},
    "train": {"epochs": 20, "window": 365, "warmup": 365},
    "evaluate": {"metrics": ["nse", "kge"]},
}
BENCHMARK: dict[str, Any] = {
    "title": "A model",
    "reference": "Somebody (2020), doi:10.0/0",
    "protocol": "Everything as it was.",
    "expected_basins": 12,
    "series": {
        "hbv": {"label": "HBV", "experiment": "made"},
        "others": {"label": "Published", "file": "others.csv"},
    },
    "published": [
        {"series": "hbv", "value": 0.7, "source": "a table", "tag": "T"},
        {"series": "hbv", "metric": "kge", "of": "ensemble", "value": 0.6, "source": "a table",
         "tag": "T", "tolerance": 1},
        {"series": "others", "value": 0.5, "source": "a table", "tag": "C", "tolerance": 0},
    ],
    "curves": [{"label": "Others", "file": "others.csv", "period": "1990-10..1992-09"}],
    "events": [{"basin": "01000000", "water_year": 1993, "label": "a flood"}],
}  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A trained and scored experiment, its configuration, a benchmark and published scores."""
    made = make(tmp_path / "results", seeds=(0, 1))
    score(made.predictions, made.preprocess, made.scores, metrics=["nse", "kge"], model="hbv_1_0")
    write_config(tmp_path, EXPERIMENT, BENCHMARK)
    trained = resolved(Catalogue(tmp_path / "config").experiment("made"))
    for run in made.runs:
        (run / "config.yaml").write_text(yaml.safe_dump(trained))
    (tmp_path / "published").mkdir()
    basins = read_outcome(made.root, "made").scores["basin_id"].unique()  # type: ignore[union-attr]
    others = pd.DataFrame({"basin": basins, "nse": 0.5})
    others.to_csv(tmp_path / "published/others.csv", index=False)
    return made


def write_config(folder: Path, experiment: dict[str, Any], content: dict[str, Any]) -> None:
    for kind, name, values in (("experiments", "made", experiment), ("benchmarks", "B99", content)):
        path = folder / "config" / kind / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(values))


def compared(files: Files, page: Path | None = None, **changes: Any) -> pd.DataFrame:
    folder = files.root.parent
    if changes:
        write_config(folder, EXPERIMENT, BENCHMARK | changes)
    out = folder / "results/benchmarks/B99.csv"
    benchmark(
        [], out, config=folder / "config", results=files.root, data_root=folder, page=page
    )  # fmt: skip
    return pd.read_csv(out, keep_default_na=False, na_values=[""], dtype={"group": str})


def full_size(**train: Any) -> dict[str, Any]:
    """Series that trains longer than the files say, with what was run as its reduced form."""
    change = {"train": {"epochs": 50, "seeds": [0, 1]} | train}
    return {
        "hbv": {"label": "HBV", "experiment": "made", "change": change,
                "reduced": {"experiment": "made"}},
        "others": BENCHMARK["series"]["others"],
    }  # fmt: skip


# ------------------------------------------------------------------------------------ shipped files


CATALOGUE = Catalogue(ROOT / "config")


@pytest.mark.parametrize("name", CATALOGUE.names)
def test_every_experiment_of_a_benchmark_is_valid(name: str) -> None:
    CATALOGUE.experiment(name)


def test_shipped_benchmarks_say_what_they_compare_with() -> None:
    for id_, each in CATALOGUE.benchmarks.items():
        assert each.caveats or all(s.impossible for s in each.series.values()), id_
        assert {row.series for row in each.published} == set(each.series), id_


def test_scored_metrics_are_those_that_are_compared() -> None:
    for id_, each in CATALOGUE.benchmarks.items():
        for row in each.published:
            full = CATALOGUE.variants(id_, row.series).full
            if each.series[row.series].experiment and full and row.metric != "peak_error":
                assert row.metric in CATALOGUE.experiment(full).evaluate.metrics, (id_, row)


@pytest.mark.real
def test_published_medians_are_recomputed_to_four_digits(
    real_data_root: Path, tmp_path: Path
) -> None:
    table = benchmark(
        ["B05"], tmp_path / "B05.csv",
        config=ROOT / "config", results=tmp_path, data_root=real_data_root,
    )  # fmt: skip
    assert len(table) == 15
    assert (table["difference"].abs() < 5e-5).all()
    assert table["complete"].all()
    assert set(table["state"]) == {"recomputed"}


# ------------------------------------------------------------------------------------------- values


def test_a_row_for_every_published_value(files: Files) -> None:
    table = compared(files)
    assert tuple(table) == COLUMNS
    single, ensemble, others = table.to_dict("records")
    scores = read_outcome(files.root, "made").scores  # type: ignore[union-attr]
    medians = scores.groupby("seed")["nse"].median()
    assert single["ours"] == pytest.approx(medians[["seed0", "seed1"]].mean(), rel=1e-5)
    assert single["spread"] == pytest.approx(medians[["seed0", "seed1"]].std(), rel=1e-4)
    assert single["difference"] == pytest.approx(single["ours"] - 0.7, abs=1e-5)
    together = scores[scores["seed"] == "ensemble"]["kge"].median()
    assert ensemble["ours"] == pytest.approx(together, rel=1e-5)
    assert others["ours"] == 0.5
    assert others["state"] == "recomputed"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("median", 0.2), ("mean", 0.15), ("median_abs", 0.25), ("below_zero", 1), ("q25", 0.0)],
)
def test_statistics(name: str, expected: float) -> None:
    values = [-0.25, 0.2, 0.5, float("nan")]
    scores = pd.DataFrame({"basin_id": list("abcd"), "seed": "seed0", "nse": values})
    content = {"series": "x", "statistic": name, "value": None}
    outcome = Outcome("x", Path(), scores, NO_PEAKS, {}, ())
    found = value_of(outcome, parse(Published, content, "x"))
    q25 = {"q25": -0.025}
    assert found.value == pytest.approx(q25.get(name, expected))
    assert found.basins == 3


def test_a_run_that_lacks_something_is_reduced_and_says_what(files: Files) -> None:
    row = compared(files, series=full_size()).iloc[0]
    assert row["state"] == "reduced"
    assert not row["complete"]
    assert row["missing"] == "train.epochs 20 instead of 50"
    assert row["command"].endswith("B99 --config reduced=true")


def test_fewer_seeds_and_basins_are_said(files: Files) -> None:
    row = compared(files, series=full_size(seeds=[0, 1, 2]), expected_basins=20).iloc[0]
    assert row["missing"].endswith("; 2 of 3 seeds; 12 basins instead of 20")


def test_folds_that_were_not_run_are_said(tmp_path: Path) -> None:
    made = make(tmp_path / "results", folds=("fold01", "fold02", "fold03"))
    splits = pd.read_csv(made.preprocess / "splits.csv", dtype=str)
    splits[splits["fold"] != "fold03"].to_csv(made.preprocess / "splits.csv", index=False)
    score(made.predictions[:2], made.preprocess, made.scores, metrics=["nse", "kge"], model="x")
    pub = EXPERIMENT["data"] | {"split": SPLIT | {"kind": "pub", "num_folds": 3}}
    less = pub | {"split": pub["split"] | {"only": [1, 2]}}
    for run in made.runs[:2]:
        trained = parse(Experiment, EXPERIMENT | {"data": less}, "x")
        (run / "config.yaml").write_text(yaml.safe_dump(resolved(trained)))
    write_config(tmp_path, EXPERIMENT | {"data": pub}, BENCHMARK)
    row = compared(made).iloc[0]
    assert row["missing"] == "2 of 3 folds; 8 basins instead of 12"
    assert row["basins"] == 8
    scores = pd.read_csv(made.scores, dtype=str)
    assert scores.loc[scores["nse"].isna(), "basin_id"].nunique() == 4
    assert (
        scores.loc[scores["nse"].isna(), "reason"] == "no days of the role test in the split"
    ).all()


def test_a_full_run_is_complete(files: Files) -> None:
    write_config(files.root.parent, EXPERIMENT | {"train": EXPERIMENT["train"] | {"seeds": [0, 1]}},
                 BENCHMARK)  # fmt: skip
    row = compared(files).iloc[0]
    assert row["state"] == "full"
    assert row["complete"]
    assert pd.isna(row["missing"])
    assert row["basins"] == row["expected_basins"] == 12


def test_what_was_not_run_says_why(files: Files) -> None:
    series = {
        "hbv": {"label": "HBV", "experiment": "made", "change": {"data": {"dataset": "none"}}},
        "others": {"label": "B", "impossible": "nobody has the data"},
    }
    table = compared(files, series=series)
    assert set(table["state"]) == {"not run"}
    assert table["missing"][0] == "dataset none with forcing daymet is not in the data root"
    assert table["missing"][2] == "nobody has the data"
    assert table["ours"].isna().all()
    assert table["command"].isna().tolist() == [False, False, True]  # none makes it possible
    series["hbv"] = {"label": "HBV", "experiment": "made", "change": {"train": {"epochs": 9}}}
    assert compared(files, series=series)["missing"][0] == "experiment B99_hbv has not been run"


def test_a_missing_published_file_is_named(files: Files) -> None:
    (files.root.parent / "published/others.csv").unlink()
    row = compared(files).iloc[2]
    assert row["state"] == "not run"
    assert "others.csv: no such file of published scores" in row["missing"]


def test_errors_of_peaks_come_by_return_period(files: Files) -> None:
    rows = [("01000000", "all", "seed0", "1-5", 0.2), ("01000035", "all", "seed0", "1-5", 0.4),
            ("01000035", "all", "seed0", "100+", 0.9)]  # fmt: skip
    peaks = pd.DataFrame(rows, columns=["basin_id", "fold", "seed", "group", "peak_error"])
    peaks.to_csv(files.root / "made/peaks.csv", index=False)
    row = {"series": "hbv", "metric": "peak_error", "group": "1-5", "value": 0.25,
           "source": "s", "tag": "F"}  # fmt: skip
    found = compared(files, published=[row, row | {"group": "5-25"}, *BENCHMARK["published"][2:]])
    assert found["ours"][0] == pytest.approx(0.3)
    assert found["basins"][0] == 2
    assert found["missing"][1] == "made has no scores of peak_error of 5-25"


def test_the_page_shows_peaks_beside_published_boxes(files: Files) -> None:
    peaks = pd.DataFrame({"basin_id": "01000000", "fold": "all", "seed": "seed0",
                          "group": ["1-5", "1-5"], "peak_error": [0.1, 0.3]})  # fmt: skip
    peaks.to_csv(files.root / "made/peaks.csv", index=False)
    row = {"series": "hbv", "metric": "peak_error", "group": "1-5", "source": "s", "tag": "F"}
    values = {"q25": 0.1, "median": 0.2, "q75": 0.4}
    rows = [row | {"statistic": name, "value": value} for name, value in values.items()]
    compared(files, files.root / "b.html", published=[*rows, *BENCHMARK["published"][2:]])
    text = (files.root / "b.html").read_text()
    assert "Errors of annual peaks by return period" in text
    assert "n is the number of years" in text


def test_only_the_named_basins_are_scored(files: Files) -> None:
    (files.root / "ids.txt").write_text("# two\n01000000\n01000035\n")
    row = compared(files, basins=str(files.root / "ids.txt"), expected_basins=2).iloc[0]
    assert row["basins"] == 2


def test_a_metric_that_was_not_scored_is_named(files: Files) -> None:
    row = {"series": "hbv", "metric": "fhv", "value": 1, "source": "s", "tag": "T"}
    row = compared(files, published=[*BENCHMARK["published"], row]).iloc[3]
    assert row["missing"] == "made has no scores of fhv"


# -------------------------------------------------------------------------------------- differences


def test_other_choices_are_one_difference_each() -> None:
    full = {"model": {"nn": {"name": "lstm", "hidden_size": 256}}, "train": {"seeds": [0], "a": 1}}
    run = {"model": {"nn": {"name": "mlp", "depth": 3}}, "train": {"seeds": [1], "a": 1}}
    assert differences(full, run) == ["model.nn.name mlp instead of lstm"]


def test_long_lists_are_counted() -> None:
    full, run = ({"data": {"attributes": list("abcdef")[:n], "store": str(n)}} for n in (6, 5))
    assert differences(full, run) == ["data.attributes 5 instead of 6"]
    run["data"]["attributes"] = list("abcdeg")
    assert differences(full, run) == ["data.attributes 6 others instead of 6 others"]


# ----------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"series": {"a": {"label": "A"}}}, "expected one of experiment, ensemble, file"),
        ({"published": [{"series": "x", "value": None}]}, "no series 'x'; there are: hbv, others"),
        ({"published": [{"series": "hbv", "value": 1}]}, "needs a source and a tag"),
        ({"series": {"hbv": {"label": "A", "file": "a.csv", "change": {"train": {}}}}},
         "change needs an experiment"),
        ({"titel": "x"}, "titel: unknown key; did you mean 'title'"),
    ],
)  # fmt: skip
def test_mistakes_in_a_file(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(Benchmark, BENCHMARK | changes, "B99.yaml")


def test_mistakes_between_files(tmp_path: Path) -> None:
    series = BENCHMARK["series"] | {"hbv": {"label": "A", "experiment": "nothing"}}
    write_config(tmp_path, EXPERIMENT, BENCHMARK | {"series": series})
    with pytest.raises(ValueError, match=r"expected a file .*nothing\.yaml, found none"):
        Catalogue(tmp_path / "config").experiment("nothing")
    series["hbv"] = {"label": "A", "experiment": "B99_hbv", "change": {"train": {"epochs": 1}}}
    write_config(tmp_path, EXPERIMENT, BENCHMARK | {"series": series})
    with pytest.raises(ValueError, match="experiment B99_hbv is made of itself"):
        Catalogue(tmp_path / "config").experiment("B99_hbv")
    with pytest.raises(ValueError, match=r"no benchmark \['B12'\] in .*; there are: B99"):
        benchmark(["B12"], tmp_path / "x.csv", config=tmp_path / "config", results=tmp_path,
                  data_root=tmp_path)  # fmt: skip
    with pytest.raises(ValueError, match="expected an experiment that a benchmark derives: B99_"):
        write_experiment(Catalogue(tmp_path / "config"), "made", tmp_path / "x.yaml")
    (tmp_path / "config/benchmarks/hbv.yaml").write_text("title: x")
    with pytest.raises(ValueError, match="expected a name like B12"):
        Catalogue(tmp_path / "config")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gauge,nse\n1,2\n", "expected columns basin and nse, but .'basin'. are missing"),
        ("basin,nse\n01,0.1\n01,0.2\n", "basin 01 occurs twice"),
        ("basin,nse\n01,0.1\n02,x\n", "expected numbers in column nse, found 'x' at basin 02"),
    ],
)
def test_bad_published_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "published").mkdir()
    (tmp_path / "published/a.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_published(tmp_path, "a.csv", "nse")


# ------------------------------------------------------------------------------- experiments, times


def test_changes_are_merged_and_other_choices_replaced(files: Files) -> None:
    change = {"model": {"nn": {"name": "mlp"}}, "train": {"optimizer": {"name": "adam"}}}
    reduced = {"change": {"train": {"epochs": 2}}}
    series = {"hbv": {"label": "A", "experiment": "made", "change": change, "reduced": reduced}}
    write_config(files.root.parent, EXPERIMENT, BENCHMARK | {
        "series": series, "published": BENCHMARK["published"][:1]})  # fmt: skip
    catalogue = Catalogue(files.root.parent / "config")
    assert catalogue.variants("B99", "hbv") == ("B99_hbv", "B99_hbv_reduced")
    full, less = (catalogue.experiment(name) for name in catalogue.derived)
    assert full.model.all_networks[0].name == "mlp"
    assert (full.train.epochs, less.train.epochs) == (20, 2)
    assert less.train.optimizer == full.train.optimizer
    write_experiment(catalogue, "B99_hbv_reduced", files.root / "x.yaml")
    assert yaml.safe_load((files.root / "x.yaml").read_text())["train"]["epochs"] == 2


def test_times_are_read_from_the_files_of_the_runs(files: Files) -> None:
    for run in files.runs:
        (run / "predict.tsv").write_text("s\th:m:s\n2.5\t0:00:02\n")
        lines = [f'{{"epoch": {i}, "seconds": 4.0, "steps": 10, "samples_per_second": 25.0}}'
                 for i in (1, 2, 2)]  # fmt: skip
        (run / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    outcome = read_outcome(files.root, "made")
    assert outcome is not None
    cost = cost_of(outcome)
    assert (cost.models, cost.epochs, cost.train, cost.predict) == (2, 2, 16.0, 5.0)
    assert (cost.windows, cost.basin_days) == (25.0, 25.0 * 730)
    assert cost.gpu == pytest.approx(40 * (25.8e-3 + 8e-3))
    (files.runs[0] / "predict.tsv").unlink()
    assert math.isnan(cost_of(outcome).predict)


# --------------------------------------------------------------------------------------------- page


def test_the_page_shows_values_figures_floods_and_commands(files: Files) -> None:
    page = files.root / "benchmarks.html"
    compared(files, page=page, series=full_size())
    text = page.read_text(encoding="utf-8")
    assert text.count("data:image/svg+xml;base64,") == 5  # overview, CDF, map, flood, parameters
    assert "train.epochs 20 instead of 50" in text
    assert "snakemake --profile profiles/local B99 --config reduced=true" in text
    assert "01000000, water year 1993: a flood" in text
    assert 'class="badge reduced"' in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_published_curves_are_of_the_basins_that_were_scored(files: Files) -> None:
    path = files.root / "made/scores.csv"
    scores = pd.read_csv(path, dtype={"basin_id": str})
    basins = sorted(scores["basin_id"].unique())
    scores.loc[scores["basin_id"].isin(basins[4:]), "nse"] = float("nan")
    scores.to_csv(path, index=False)
    page = files.root / "benchmarks.html"
    drawn: list[Any] = []
    with pytest.MonkeyPatch.context() as patch:
        comparison = plots.comparison
        patch.setattr(plots, "comparison", lambda m, n: drawn.extend(m) or comparison(m, n))
        compared(files, page=page)
    assert {each.state: len(each.values) for each in drawn}["published"] == 4


def test_the_page_is_written_where_efficiencies_were_not_scored(files: Files) -> None:
    path = files.root / "made/scores.csv"
    pd.read_csv(path, dtype={"basin_id": str}).drop(columns="nse").to_csv(path, index=False)
    page = files.root / "benchmarks.html"
    table = compared(files, page=page)
    assert table["missing"][0] == "made has no scores of nse"
    assert "Map of NSE" not in page.read_text(encoding="utf-8")


def test_the_page_is_written_when_nothing_was_run(tmp_path: Path) -> None:
    write_config(tmp_path, EXPERIMENT, BENCHMARK)
    page = tmp_path / "benchmarks.html"
    benchmark([], tmp_path / "b.csv", config=tmp_path / "config", results=tmp_path / "results",
              data_root=tmp_path, page=page)  # fmt: skip
    text = page.read_text(encoding="utf-8")
    assert "No experiment has been run." in text
    assert "others.csv: no such file of published scores" in text
