"""Scores by drainage area."""

import numpy as np
import pandas as pd

from dmg.score.areas import area_classes, by_area, by_group


def test_classes_hold_their_upper_edge() -> None:
    area = [0.5, 1000, 1000.1, 5000, 9999, 10_000, 30_000.5, 50_000, 3e6, float("nan")]
    assert area_classes(area) == [
        "0-1k", "0-1k", "1-5k", "1-5k", "5-10k", "5-10k", "30-50k", "30-50k", ">50k", "",
    ]  # fmt: skip


def test_medians_in_classes_of_area() -> None:
    table = pd.DataFrame(
        {"basin_id": list("abcde"), "nse": [0.9, 0.5, np.nan, 0.2, 0.7], "kge": 0.1, "reason": ""}
    )
    found = by_area(table, [2000, 50, 60, 70_000, np.nan]).set_index(["group", "metric"])
    assert list(found.index) == [(g, m) for g in ("0-1k", "1-5k", ">50k") for m in ("nse", "kge")]
    assert found.loc[("0-1k", "nse")].tolist() == [0.5, 0.5, 0.5, 2, 1]
    assert found.loc[(">50k", "nse"), "median"] == 0.2


def test_no_group_gives_an_empty_table() -> None:
    found = by_group(pd.DataFrame({"nse": [0.5]}), [""])
    assert found.empty
    assert list(found.columns)[:3] == ["group", "metric", "median"]
