"""Published scores of single basins beside ours."""

import pandas as pd
import pytest

from dmg.published import PUBLISHED, beside, published_scores


def write(folder, model, basins, nse, **columns):
    table = pd.DataFrame({"basin": basins, "nse": nse, "stdev": 0.9, "bias": 0.1} | columns)
    table.to_csv(folder / PUBLISHED[model].file)


def test_rows_name_model_and_period(tmp_path):
    write(tmp_path, "SAC-SMA", ["01022500", "01031500"], [0.5, 0.7])
    table = published_scores(tmp_path, ["SAC-SMA"])
    assert list(table["basin_id"]) == ["01022500", "01031500"]
    assert set(table["period"]) == {"1995-10-01 to 2010-09-30"}
    assert list(table["alpha"]) == [0.9, 0.9]


def test_only_common_basins_are_compared(tmp_path):
    write(tmp_path, "SAC-SMA", ["01022500", "01031500", "01047000"], [0.5, 0.7, 0.1])
    ours = pd.DataFrame({"basin_id": ["01031500", "01022500", "09999999"], "nse": [0.6, 0.8, 1.0]})
    (row,) = beside(ours, published_scores(tmp_path, ["SAC-SMA"])).to_dict("records")
    assert (row["basins"], row["basins_ours"], row["better"]) == (2, 3, 0.5)
    assert (row["published"], row["ours"]) == pytest.approx((0.6, 0.7))


def test_mistakes_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"benchmark_sacsma_ensemble.csv: no such file; it"):
        published_scores(tmp_path, ["SAC-SMA"])
    with pytest.raises(ValueError, match=r"published models: unknown \['HBV'\]; choose from"):
        published_scores(tmp_path, ["HBV"])
    write(tmp_path, "SAC-SMA", ["01022500"] * 2, [0.5, 0.7])
    with pytest.raises(ValueError, match="basin 01022500 occurs twice; keep one row of each"):
        published_scores(tmp_path, ["SAC-SMA"])
    pd.DataFrame({"basin": ["1"]}).to_csv(tmp_path / PUBLISHED["SAC-SMA"].file)
    with pytest.raises(ValueError, match=r"expected the columns .*; missing: \['nse', 'stdev'"):
        published_scores(tmp_path, ["SAC-SMA"])


@pytest.mark.real
def test_medians_of_the_published_files(real_data_root):
    """To four digits what was computed from the same files; 0.69, 0.64, 0.58 in the abstract."""
    table = published_scores(real_data_root / "published")
    medians = table.groupby("model")["nse"].median().round(4).to_dict()
    assert medians == {
        "LSTM, gauged": 0.7437,
        "LSTM, no attributes": 0.6263,
        "LSTM, ungauged": 0.6931,
        "NWM": 0.5766,
        "SAC-SMA": 0.6447,
    }
    assert set(table.groupby("model").size()) == {531}
