import numpy as np
import pandas as pd
import pytest

from dmg.data import statistics as st


@pytest.fixture
def series():
    values = np.random.default_rng(0).gamma(0.7, 8.0, (5, 400)).astype(np.float32)
    values[1, 10:60] = np.nan
    return values


def samples(series):
    return {f"{i:02d}": st.summarise(row) for i, row in enumerate(series)}


def test_pooled_equals_all_at_once(series):
    found = st.pool([*samples(series).values()], "x")
    whole = series.astype(np.float64)
    assert found["mean"] == pytest.approx(np.nanmean(whole), rel=1e-13)
    assert found["std"] == pytest.approx(np.nanstd(whole), rel=1e-13)
    assert found["p10"] == pytest.approx(np.nanquantile(whole, 0.1), rel=1e-6)
    assert found["p90"] == pytest.approx(np.nanquantile(whole, 0.9), rel=1e-6)


def test_a_large_mean_costs_no_digits():
    values = 1e8 + np.array([0.0, 1.0, 2.0, 3.0])
    assert st.pool([st.summarise(values[:1]), st.summarise(values[1:])], "x")["std"] == np.sqrt(
        1.25
    )


def test_percentiles_of_every_nth_day_leave_mean_and_std_exact(series):
    thin = [st.summarise(row, stride=7) for row in series]
    assert sum(len(s.values) for s in thin) < series.size / 6
    exact, found = st.pool([*samples(series).values()], "x"), st.pool(thin, "x")
    assert (found["mean"], found["std"]) == (exact["mean"], exact["std"])
    assert found["p90"] == pytest.approx(exact["p90"], rel=0.2)


def test_stride_keeps_published_benchmarks_exact():
    assert st.stride_for(671 * 5479) == 1
    assert st.stride_for(180_000 * 5479) == 99


def test_log_root_is_finite_at_and_below_zero():
    np.testing.assert_allclose(
        st.log_root(np.array([0.0, -1e-9, 0.81, 100])), [-1, -1, 0, 1.00432], 1e-5
    )


def test_std_of_a_constant_is_floored():
    constant = st.summarise(np.full(9, 4.0))
    assert st.pool([constant], "x") == {"mean": 4.0, "std": 0.001, "p10": 4.0, "p90": 4.0}
    assert st.target_std({"01": constant}) == {"01": 0.001}


def test_attributes_are_coded_by_sorted_class():
    frame = pd.DataFrame({"cover": ["b", "a", "b"], "slope": [1.0, np.nan, 3.0]})
    found, categories = st.attribute_statistics(frame)
    assert categories == {"cover": ["a", "b"]}
    assert found["cover"]["mean"] == pytest.approx(2 / 3)
    assert found["slope"] == {
        "mean": 2.0,
        "std": 1.0,
        "p10": pytest.approx(1.2),
        "p90": pytest.approx(2.8),
    }


def test_fold_has_every_part(series):
    by_variable = {"precipitation": samples(series), "streamflow": samples(series / 2)}
    frame = pd.DataFrame({"slope": np.arange(5.0)})
    found = st.fold_statistics(by_variable, ["precipitation"], "streamflow", frame)
    assert list(found) == ["forcings", "attributes", "target", "target_std", "categories"]
    assert found["target_std"]["03"] == pytest.approx(np.std(series[3] / 2, dtype=np.float64))


def test_json_round_trip(tmp_path):
    content = {"all": {"target": {"mean": 0.1, "std": 1 / 3}}}
    st.write_statistics(content, tmp_path / "statistics.json")
    assert st.read_statistics(tmp_path / "statistics.json") == content


def test_basin_without_streamflow():
    empty = st.summarise(np.full(3, np.nan))
    with pytest.raises(
        ValueError, match=r"basin 02 \(and 1 more\): expected streamflow on the tra"
    ):
        st.target_std({"01": st.summarise(np.ones(3)), "02": empty, "03": empty})
    with pytest.raises(ValueError, match="basin 02: expected streamflow"):
        st.target_std({"02": empty})


def test_variable_or_attribute_without_values():
    with pytest.raises(ValueError, match="forcing pet: expected values on the training days"):
        st.pool([st.summarise(np.full(3, np.nan))], "forcing pet")
    with pytest.raises(ValueError, match="attribute slope: expected values"):
        st.attribute_statistics(pd.DataFrame({"slope": [np.nan]}))
