"""Ensembles of experiments: members and their mean on the same basins and days."""

import shutil

import numpy as np
import pandas as pd
import pytest
from evaluation_data import edit, make

from dmg.config import Ensemble, parse
from dmg.score import read_observed, read_scores, score, score_block
from dmg.score.ensemble import score_ensemble
from dmg.score.files import FlowFile, read_splits, rows_of
from dmg.verbs import ensemble

METRICS = ["nse", "kge"]


class Project:
    """Two experiments on the same basins, `one` with two seeds and `two` with one."""

    def __init__(self, root, **options):
        self.root = root
        for name, seeds in (("one", (0, 1)), ("two", (0,))):
            files = make(root / name, seeds=seeds, **options)
            shutil.move(files.root / "made", root / "results" / name)
        self.predictions = sorted((root / "results").glob("*/*/*/predictions.zarr"))
        self.scores, self.summary = root / "scores.csv", root / "summary.csv"

    def scored(self, **options):
        score_ensemble(self.predictions, self.scores, self.summary, metrics=METRICS, **options)
        return read_scores(self.scores)

    def own(self, name):
        """Scores of a member by itself."""
        folder = self.root / "results" / name
        paths = [p for p in self.predictions if p.parents[2].name == name]
        score(paths, folder / "preprocess", folder / "scores.csv", metrics=METRICS, model=name)
        return read_scores(folder / "scores.csv")


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def values(table, **where):
    for column, value in where.items():
        table = table[table[column] == value]
    return table.sort_values("basin_id")[METRICS].to_numpy()


def test_members_score_as_they_do_alone(project):
    table = project.scored()
    assert list(table["model"].unique()) == ["one", "two", "ensemble"]
    assert list(table.columns) == [
        "basin_id",
        "fold",
        "seed",
        "period",
        "model",
        *METRICS,
        "reason",
    ]
    np.testing.assert_allclose(
        values(table, model="one"), values(project.own("one"), seed="ensemble"), rtol=1e-6
    )
    np.testing.assert_allclose(values(table, model="two"), values(project.own("two")), rtol=1e-6)


def test_members_weigh_the_same_whatever_their_seeds(project):
    mean = project.scored()
    flows = {p.parents[2].name + p.parents[0].name: p for p in project.predictions}
    folder = project.root / "results/one/preprocess"
    rows = rows_of(read_splits(folder / "splits.csv"), "all", "test")
    basins, days, obs = read_observed(FlowFile(folder / "derived.zarr"), rows)
    flow = {name: FlowFile(path).read(basins, days) for name, path in flows.items()}
    sim = (flow["oneseed0"] + flow["oneseed1"]) / 4 + flow["twoseed0"] / 2
    expected = score_block(sim, obs, METRICS)[METRICS].to_numpy()
    np.testing.assert_allclose(values(mean, model="ensemble"), expected, rtol=1e-6)


def test_members_may_test_a_basin_in_different_folds(tmp_path):
    project = Project(tmp_path, folds=("fold01", "fold02"))
    before = project.scored()
    one, two = (tmp_path / f"results/two/fold0{i}" for i in (1, 2))
    one.rename(tmp_path / "other")
    two.rename(one)
    (tmp_path / "other").rename(two)
    path = tmp_path / "results/two/preprocess/splits.csv"
    text = path.read_text().replace("fold01", "x").replace("fold02", "fold01")
    path.write_text(text.replace("x", "fold02"))
    after = project.scored()
    assert set(after[after["model"] == "two"]["fold"]) == {"fold01", "fold02"}
    np.testing.assert_allclose(
        values(after, model="ensemble"), values(before, model="ensemble"), rtol=1e-6
    )


def test_summary_has_a_row_for_each_model_and_metric(project):
    table = project.scored()
    summary = pd.read_csv(project.summary).set_index(["model", "metric"])
    assert len(summary) == 6
    expected = np.median(values(table, model="ensemble")[:, 0])
    assert summary.loc[("ensemble", "nse"), "median"] == pytest.approx(expected)


def test_basins_may_be_named(project):
    basins = ["1000000", "01000070"]  # zeros in front may be missing
    table = project.scored(basins=basins)
    assert list(table[table["model"] == "ensemble"]["basin_id"]) == ["01000000", "01000070"]


def lose_basin(project, name, basin):
    path = project.root / f"results/{name}/preprocess/splits.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if basin not in line))


def test_a_member_without_a_basin_is_named(project):
    lose_basin(project, "two", "01000035")
    with pytest.raises(ValueError, match=r"two does not test 01000035 \(1 in all\); name the bas"):
        project.scored()
    assert len(project.scored(basins=["01000000"])) == 3


def test_a_basin_that_only_another_member_has_is_named(project):
    lose_basin(project, "one", "01000035")
    with pytest.raises(ValueError, match=r"one does not test 01000035 \(1 in all\), as two does"):
        project.scored()


def test_other_days_are_refused(project):
    path = project.root / "results/two/preprocess/splits.csv"
    path.write_text(path.read_text().replace("1994-09-29", "1994-06-30"))
    with pytest.raises(ValueError, match=r"same test days .*1994-06-30 in two .* in one \(basin"):
        project.scored()


def test_another_observed_flow_is_refused(project):
    def double(dataset):
        flow = 2 * dataset["streamflow"]
        return dataset.assign(streamflow=flow.assign_attrs(units="mm d-1"))

    edit(project.root / "results/two/preprocess/derived.zarr", double)
    with pytest.raises(ValueError, match=r"same observed flow .* in one and .* mm d-1 in two"):
        project.scored()


def test_a_basin_may_be_tested_in_several_periods(project):
    whole = project.scored()
    for name in ("one", "two"):
        cut_out(project, name, "01000035", "1993-01-01", "1993-07-01")
    table = project.scored()
    assert len(table) == len(whole)
    assert not table["basin_id"][table["model"] == "one"].duplicated().any()
    assert (values(table) != values(whole)).any()
    others = [t[t["basin_id"] != "01000035"] for t in (table, whole)]
    np.testing.assert_allclose(*(values(t, model="two") for t in others), rtol=1e-6)
    np.testing.assert_allclose(
        values(table, model="one"), values(project.own("one"), seed="ensemble"), rtol=1e-6
    )
    cut_out(project, "two", "01000070", "1993-01-01", "1993-07-01")
    with pytest.raises(
        ValueError, match=r"same test days .*1993-01-01, 1993-07-01\.\..* in two and"
    ):
        project.scored()


def cut_out(project, name, basin, end, start):
    """Test a basin until `end` and again from `start` on."""
    path = project.root / f"results/{name}/preprocess/splits.csv"
    splits = pd.read_csv(path, dtype=str)
    row = splits[(splits["basin_id"] == basin) & (splits["role"] == "test")]
    rest = splits.drop(row.index)
    pd.concat([rest, row.assign(end=end), row.assign(start=start)]).to_csv(path, index=False)


def test_one_experiment_is_no_ensemble(project):
    project.predictions = project.predictions[:2]
    with pytest.raises(ValueError, match="two experiments or more, found 1; name their stores"):
        project.scored()


def test_predictions_must_be_those_of_the_members(project):
    settings = parse(Ensemble, {"members": ["one", "three"]}, "test")
    with pytest.raises(ValueError, match=r"expected predictions of \['one', 'three'\], found thos"):
        ensemble(settings, project.predictions, project.scores, project.summary)


def test_a_member_is_named_once():
    with pytest.raises(ValueError, match=r"expected each experiment once, found \['a'\] more"):
        parse(Ensemble, {"members": ["a", "b", "a"]}, "test")
