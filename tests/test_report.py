"""The report: complete, self-contained, about what there is, clear about what is missing."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from evaluation_data import edit, make

from dmg import plots
from dmg.baselines import BASELINES, score_baselines
from dmg.report import report
from dmg.report.evidence import chosen_basins, read_log, telling_window
from dmg.report.tables import shown
from dmg.score import read_scores, score, summary_of

METRICS = ["nse", "kge", "pbias", "rmse", "peak_timing"]
SETTINGS = {
    "data": {"dataset": "made", "basins": None, "split": {"kind": "temporal"}},
    "model": {"phy": {"name": "hbv_1_0", "dynamic": []}, "note": "<b>&"},
    "train": {"seeds": [0]},
}


class Page(HTMLParser):
    """Texts, tags and attributes of a page; fails on a tag that is not closed."""

    VOID = ("meta", "img", "br", "link")

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def ids(self):
        return [attrs["id"] for _, attrs in self.tags if "id" in attrs]

    def text(self):
        return " ".join(" ".join(self.texts).split())


def write_scores(files, metrics=METRICS):
    score(files.predictions, files.preprocess, files.scores, metrics=metrics, model="hbv_1_0")
    score_baselines(BASELINES, files.preprocess, files.folder, files.baselines, metrics=metrics)


def write_report(files, **options):
    out = files.root / "report.html"
    settings = {
        "name": "made",
        "settings": SETTINGS,
        "digest": "0123456789abcdef",
        "store": files.store,
        "preprocess": files.preprocess,
        "scores": files.scores,
        "baselines": files.baselines,
        "runs": files.runs,
        "truth": files.truth,
    }
    report(out, **(settings | options))
    return out.read_text(encoding="utf-8")


@pytest.fixture
def sketched(monkeypatch):
    """Figures are composed but not rendered, which takes most of the time."""
    monkeypatch.setattr(plots, "svg", lambda _: b"<svg/>")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    files = make(tmp_path_factory.mktemp("report"))
    write_scores(files)
    return files


@pytest.fixture(scope="module")
def html(files):
    return write_report(files)


def test_page_is_complete_and_well_formed(html):
    page = Page(html)
    sections = ["skill", "hydrographs", "twin", "training", "metrics", "basins", "settings"]
    assert page.ids() == [*sections, "provenance"]
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(images) == 2 + 3 + 2 + 1
    assert all(image["alt"] for image in images)
    assert len(html) < 3e6


def test_provenance_has_one_line_for_the_checksums_of_a_store(html):
    text = Page(html).text()
    assert "store: checksums" in text and "sha256 of all: " in text
    assert "c0ffee" not in text


def test_page_loads_nothing_from_outside(html):
    for _, attrs in Page(html).tags:
        for key in ("src", "href"):
            assert attrs.get(key, "#").startswith(("#", "data:image/svg+xml;base64,"))
    assert "@import" not in html
    assert not re.search(r"url\(", html)


def test_summary_names_the_headline(html, files):
    text = Page(html).text()
    median = summary_of(read_scores(files.scores)).set_index("metric").loc["nse", "median"]
    assert f"a median NSE of {shown(median)} over 12 test basins" in text
    assert "on the days 1992-09-30 to 1994-09-29" in text
    assert "9 of them were seen in training, on other days" in text
    assert "and 3 held out of it" in text


def test_every_basin_and_setting_is_listed(html, files):
    text = Page(html).text()
    for basin in pd.read_csv(files.scores, dtype=str)["basin_id"]:
        assert basin in text
    assert "phy.name" in text
    assert "hbv_1_0" in text
    assert "0123456789abcdef" in text
    assert "12 basins, sha256" in text
    assert "<b>&" in text  # escaped in the source
    assert "<b>&" not in html


def test_more_models_than_colours_are_all_drawn():
    values = np.linspace(0, 1, 5)
    models = [plots.Scored(f"model {i}", values, "reduced") for i in range(20)]
    legend = plots.comparison(models, "NSE").axes[0].get_legend()
    assert len(legend.get_texts()) == 20
    days = pd.date_range("2000-01-01", periods=5)
    data = plots.Hydrograph(days, values, values, None)
    lines = plots.hydrograph(data, {m.label: values for m in models}).axes[0].get_lines()
    assert len(lines) == 21


def test_equal_figures_give_equal_bytes():
    days = pd.date_range("2000-01-01", periods=90)
    flow = np.linspace(1, 2, 90)
    data = plots.Hydrograph(days, flow, flow + 0.1, flow)
    first, second = (plots.svg(plots.hydrograph(data)) for _ in range(2))
    assert first == second


def test_without_truth_and_without_held_out_basins(tmp_path, sketched):
    files = make(tmp_path, frac_holdout=0.0)
    write_scores(files)
    page = Page(write_report(files, truth=None))
    assert "twin" not in page.ids()
    assert "held out" not in page.text()
    assert "The basins are those of the training, on other days." in page.text()


def test_folds_and_seeds(tmp_path, sketched):
    files = make(tmp_path, folds=("fold01", "fold02"), seeds=(0, 1))
    write_scores(files)
    text = Page(write_report(files)).text()
    assert "a model that had not been trained on it" in text
    assert "2 folds, 2 seeds scored: their mean flow" in text
    assert "Scores of 12 basins" in text
    assert "fold02" in text


def test_undefined_basins_are_counted_and_explained(tmp_path, sketched):
    files = make(tmp_path)

    def spoil(dataset):
        dataset["streamflow"][0] = np.nan
        return dataset

    edit(files.preprocess / "derived.zarr", spoil)
    write_scores(files)
    text = Page(write_report(files)).text()
    assert "1 basin could not be scored." in text
    assert "no observed flow in the period" in text


def test_nothing_could_be_scored(tmp_path):
    files = make(tmp_path)

    def spoil(dataset):
        dataset["streamflow"][:] = np.nan
        return dataset

    edit(files.preprocess / "derived.zarr", spoil)
    write_scores(files)
    text = Page(write_report(files, truth=None)).text()
    assert "12 basins could not be scored." in text


def test_store_without_coordinates_and_precipitation(tmp_path, sketched):
    files = make(tmp_path)
    write_scores(files)
    edit(files.store, lambda d: d.drop_vars(["longitude", "precipitation", "source_hash"]))
    html = write_report(files)
    assert "Map of the test basins" not in html
    assert "precipitation from above" not in html


def test_metrics_that_are_no_efficiencies(tmp_path, sketched):
    files = make(tmp_path)
    write_scores(files, ["rmse", "pbias"])
    page = Page(write_report(files, truth=None))
    assert "skill" not in page.ids()
    assert "a median RMSE of" in page.text()


def test_a_network_without_parameters(tmp_path, sketched):
    files = make(tmp_path)
    write_scores(files)
    edit(files.predictions[0], lambda d: d[["streamflow"]])
    html = write_report(files)
    assert "true flow" in html
    assert "Learned over true" not in html


def refused(files, message, **options):
    out = files.root / "report.html"
    with pytest.raises((ValueError, OSError), match=message) as caught:
        write_report(files, **options)
    assert "\n" not in str(caught.value)
    assert not out.exists()


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("made/scores.csv", "scores.csv: no such table; run the stage"),
        ("made/baselines.csv", "baselines.csv: no such table; run the stage"),
        ("made/all/seed0/metrics.jsonl", "metrics.jsonl: no such training log; train first"),
        ("raw/made/truth/parameters.csv", "parameters.csv: no such file; generate"),
        ("raw/made/truth/streamflow.csv", "streamflow.csv: no such file; generate"),
    ],
)
def test_missing_file(tmp_path, sketched, missing, message):
    files = make(tmp_path)
    write_scores(files)
    (tmp_path / missing).unlink()
    refused(files, message)


def test_truth_of_other_basins(tmp_path, sketched):
    files = make(tmp_path)
    write_scores(files)
    path = files.truth / "parameters.csv"
    pd.read_csv(path, dtype={"basin_id": str})[4:].to_csv(path, index=False)
    refused(files, r"truth of every scored basin, but \['01000000', .* is it that of another")


def test_log_with_a_torn_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    good = {"epoch": 1, "loss": 1, "validation": None, "learning_rate": 1, "seconds": 1}
    path.write_text(json.dumps(good) + '\n{"epoch": 2, "lo', encoding="utf-8")
    with pytest.raises(ValueError, match=r"metrics.jsonl:2: expected a JSON object with"):
        read_log(path)


def test_repeated_epochs_count_once(tmp_path):
    path = tmp_path / "metrics.jsonl"
    row = {"epoch": 1, "loss": 1, "validation": None, "learning_rate": 1, "seconds": 1}
    rows = [row, row | {"epoch": 2}, row | {"epoch": 2, "loss": 3}]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows), encoding="utf-8")
    log = read_log(path)
    assert list(log["loss"]) == [1, 3]
    assert log["validation"].isna().all()


def test_numbers_are_printed_for_readers():
    values = [
        (0.12345, "1"),
        (-0.5, "1"),
        (-12.34, "%"),
        (-0.00001, "1"),
        (2e7, "%"),
        (np.nan, "1"),
    ]
    printed = [shown(value, unit) for value, unit in values]
    assert printed == ["0.123", "−0.500", "−12.3", "0.000", "2e+07", "–"]


def test_best_median_and_worst():
    table = pd.DataFrame({"nse": [0.1, np.nan, 0.9, 0.5]})
    assert chosen_basins(table, "nse") == {"Best": 2, "Median": 3, "Worst": 0}
    assert chosen_basins(table[:1], "nse") == {"Best": 0}
    assert chosen_basins(table[1:2], "nse") == {}


def test_telling_window_has_data_and_events():
    obs = np.full(2000, np.nan)
    obs[900:1700] = 1 + np.sin(np.arange(800.0)) ** 2
    part = telling_window(obs)
    assert part.start >= 870
    assert part.stop - part.start == 730
    assert telling_window(obs[:100]) == slice(0, 730)


def test_units_are_raised():
    assert plots.unit_text("mm d-1") == "mm d⁻¹"
    assert plots.unit_text("km2") == "km²"
    assert plots.unit_text("1") == "1"


def test_an_empty_log_is_refused(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("", encoding="utf-8")
    with pytest.raises(ValueError, match="expected one epoch at least, found none"):
        read_log(path)
