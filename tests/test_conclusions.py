"""Conclusions of publications, checked on scores: which series is better on the same basins."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from dmg.benchmark import benchmark
from dmg.benchmark.conclusions import FAILS, HOLDS, NOT_RUN, OPEN, Checked, check
from dmg.benchmark.rows import Sources
from dmg.config import Benchmark, Catalogue, parse

BASINS = [f"{i:08d}" for i in range(40)]
EXPERIMENT: dict[str, Any] = {
    "data": {"dataset": "made", "attributes": ["aridity"], "split": {
        "kind": "temporal", "train": {"start": "1990-10-01", "end": "1992-09-29"},
        "test": {"start": "1992-09-30", "end": "1994-09-29"}}},
    "train": {"window": 365, "warmup": 365},
}  # fmt: skip


def claim(*pairs: tuple[str, str], **more: Any) -> dict[str, Any]:
    return {"claim": "it is better", "source": "abstract", "pairs": [list(p) for p in pairs]} | more


def content(*claims: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": "T", "reference": "R", "protocol": "P", "expected_basins": len(BASINS),
        "series": {
            "good": {"label": "Good", "experiment": "good"},
            "bad": {"label": "Bad", "experiment": "bad"},
            "file": {"label": "File", "file": "file.csv"},
        },
        "published": [
            {"series": "good", "value": 0.7, "source": "s", "tag": "T"},
            {"series": "good", "of": "ensemble", "value": 0.75, "source": "s", "tag": "T"},
            {"series": "bad", "value": 0.6, "source": "s", "tag": "T"},
            {"series": "file", "value": None},
        ],
        "conclusions": list(claims),
    }  # fmt: skip


def write(root: Path, *claims: dict[str, Any]) -> Path:
    for place, value in {
        "experiments/good": EXPERIMENT, "experiments/bad": EXPERIMENT,
        "benchmarks/B98": content(), "benchmarks/B99": content(*claims),
    }.items():  # fmt: skip
        path = root / f"config/{place}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(value))
    return root


def run(root: Path, name: str, **seeds: np.ndarray) -> None:
    """Scores of an experiment by seed, one value a basin."""
    parts = [
        pd.DataFrame({"basin_id": BASINS, "fold": "all", "seed": seed, "period": "test",
                      "model": "m", "nse": values, "reason": ""})
        for seed, values in seeds.items()
    ]  # fmt: skip
    (root / "results" / name).mkdir(parents=True, exist_ok=True)
    pd.concat(parts).to_csv(root / "results" / name / "scores.csv", index=False)


def checked(root: Path, *claims: dict[str, Any]) -> list[Checked]:
    write(root, *claims)
    sources = Sources(Catalogue(root / "config"), root / "results", root)
    return check(["B99"], sources)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    good = draw.uniform(0.5, 0.8, len(BASINS))
    noise = draw.normal(0, 0.1, len(BASINS))
    run(tmp_path, "good", seed0=good, seed1=good + 0.02, ensemble=good + 0.05)
    run(tmp_path, "bad", seed0=good - 0.1)
    (tmp_path / "published").mkdir()
    table = pd.DataFrame({"basin": BASINS[:30], "nse": (good - 0.1 + noise)[:30]})
    table.to_csv(tmp_path / "published/file.csv", index=False)
    return tmp_path


def test_better_worse_and_open(root: Path) -> None:
    pairs = [("good", "bad"), ("bad", "good"), ("file", "bad")]
    better, worse, both = checked(root, *(claim(pair) for pair in pairs))
    assert [each.verdict for each in (better, worse, both)] == [HOLDS, FAILS, OPEN]
    assert better.comparison is not None and both.comparison is not None
    assert better.comparison.difference == pytest.approx(0.11)  # of the mean over seeds
    assert (better.comparison.basins, both.comparison.basins) == (40, 30)
    assert better.better.published - better.other.published == pytest.approx(0.1)
    assert np.isnan(both.better.published)


def test_an_ensemble_of_seeds_against_them(root: Path) -> None:
    (each,) = checked(root, claim(("good", "good")))
    assert each.comparison is not None
    assert each.comparison.difference == pytest.approx(0.04)
    assert (each.better.label, each.other.label) == ("Good, ensemble", "Good, seeds")
    assert each.better.published - each.other.published == pytest.approx(0.05)
    (alone,) = checked(root, claim(("bad", "bad")))
    assert alone.verdict == NOT_RUN


def test_series_of_other_benchmarks(root: Path) -> None:
    (each,) = checked(root, claim(("good", "B98.bad")))
    assert each.verdict == HOLDS
    assert each.other.label == "Bad (B98)"
    with pytest.raises(ValueError, match=r"B99.yaml: conclusions: no series 'B97.bad' of another"):
        checked(root, claim(("good", "B97.bad")))
    with pytest.raises(ValueError, match="conclusions: no series 'x'; there are: good, bad, file"):
        parse(Benchmark, content(claim(("good", "x"))), "B99.yaml")


def test_pairs_that_were_not_run_are_said_once_or_left_out(root: Path) -> None:
    (root / "published/file.csv").unlink()
    pairs = [("file", "bad"), ("file", "good"), ("good", "bad")]
    (each,) = checked(root, claim(*pairs))
    assert (each.better.label, each.other.label) == ("Good", "Bad")
    (each,) = checked(root, claim(*pairs[:2]))
    assert (each.verdict, each.other.label) == (NOT_RUN, "Bad")
    (each,) = checked(root, claim(("good", "bad"), metric="kge"))
    assert each.verdict == NOT_RUN


def test_errors_of_peaks_are_better_when_small(root: Path) -> None:
    for name, error in {"good": 0.2, "bad": 0.4}.items():
        years = [(b, y, g) for b in BASINS[:8] for y, g in ((1990, "1-5"), (1991, "50-100"))]
        table = pd.DataFrame(years, columns=["basin_id", "water_year", "group"])
        table["peak_error"] = error + np.linspace(0, 0.1, len(table))
        table.assign(seed="seed0", fold="all").to_csv(
            root / f"results/{name}/peaks.csv", index=False
        )
    rare = {"metric": "peak_error", "groups": ["50-100"]}
    (each,) = checked(root, claim(("good", "bad"), **rare))
    assert each.verdict == HOLDS
    assert each.comparison is not None
    assert each.comparison.basins == 8
    assert each.comparison.difference == pytest.approx(-0.2)
    (none,) = checked(root, claim(("good", "bad"), metric="peak_error", groups=["100+"]))
    assert none.verdict == NOT_RUN


def test_the_page_has_a_line_for_each_pair(root: Path) -> None:
    write(root, claim(("good", "bad"), ("bad", "good")), claim(("good", "bad"), metric="kge"))
    page = root / "page.html"
    benchmark([], root / "b.csv", config=root / "config", results=root / "results",
              data_root=root, page=page)  # fmt: skip
    text = page.read_text(encoding="utf-8")
    assert text.count("it is better") == 2  # a claim is written once for its pairs
    assert "Good against Bad" in text and "Bad against Good" in text
    for verdict in (HOLDS, FAILS, NOT_RUN):
        assert f">{verdict}</span>" in text
    assert "<strong>0.110</strong>" in text and "<strong>−0.110</strong>" in text
