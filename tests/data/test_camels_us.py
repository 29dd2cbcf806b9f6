"""The reader: every quirk of the official files, and every mistake named by file and line."""

import logging

import numpy as np
import pytest
import trees

from dmg.data.archive import find_tree
from dmg.data.sources.camels_us import CUBIC_FEET, CamelsUs, read_flow, read_forcing


@pytest.fixture
def tree(tmp_path):
    return trees.write_tree(tmp_path / "camels")


def forcing(tree, basin="01000001"):
    return trees.forcing_path(tree, basin)


def message(call, *args, error=ValueError):
    with pytest.raises(error) as caught:
        call(*args)
    text = str(caught.value)
    assert "\n" not in text
    return text


# --------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("product", ["daymet", "maurer_extended", "nldas"])
def test_every_product_reads_alike(tmp_path, product):
    """Blanks or tabs, padded dates or not, upper case or not: the same numbers."""
    found = read_forcing(
        trees.forcing_path(trees.write_tree(tmp_path, product=product), "01000001", product)
    )
    assert list(found.index[[0, -1]].strftime("%Y-%m-%d")) == ["2000-02-20", "2001-03-25"]
    assert "2000-02-29" in found.index.strftime("%Y-%m-%d")
    np.testing.assert_allclose(found["temperature_max"] - found["temperature_min"], 8, atol=0.011)
    assert (found["daylength"] == 38000).all()
    assert (found["shortwave"] == 250.5).all()
    assert (found["vapour_pressure"] == 800.25).all()
    assert found["precipitation"].gt(0).any()


def test_streamflow_is_placed_on_the_days_and_converted(tree):
    source = CamelsUs(tree, "daymet")
    axis = trees.days("2000-02-15", 30)
    flow = source.series("01000001", axis)["discharge"]
    assert flow.dtype == np.float32
    assert np.isnan(flow[:15]).all()  # the file begins later
    assert np.isnan(flow[[18, 19]]).all()  # -999, flag M
    text = trees.flow_path(tree, "01000001").read_text().split()[4]
    np.testing.assert_allclose(flow[15], float(text) * CUBIC_FEET, rtol=1e-6)


def test_flow_may_have_gaps_and_other_negative_values_are_told(tree, caplog):
    path = trees.flow_path(tree, "01000001")
    trees.edit(path, 20, None)
    trees.edit(path, 30, "01000001 2000 03 31   -5.00 A")
    found = read_flow(path)
    assert len(found) == 384
    assert np.isnan(found.loc["2000-03-31"])
    assert "1 negative discharges other than -999, first on 2000-03-31" in caplog.text


def test_values_that_look_odd_are_kept(tree):
    trees.edit(forcing(tree), 6, "2000 02 21 12\t38000.00\t1.00\t250.50\t0.00\t1.00\t1.01\t0.00")
    row = read_forcing(forcing(tree)).iloc[1]
    assert row["temperature_min"] > row["temperature_max"]
    assert row["vapour_pressure"] == 0


def test_a_written_nan_is_missing(tree):
    trees.edit(forcing(tree), 6, "2000 02 21 12\t38000.00\tNaN\t250.50\t0.00\t1.00\t0.00\t800.25")
    assert read_forcing(forcing(tree))["precipitation"].isna().sum() == 1


def test_attributes_keep_their_names(tree):
    row = CamelsUs(tree, "daymet").attributes(["01000002"]).iloc[0]
    assert row["area"] == row["area_gages2"] == 200  # not the header's, nor the other table's
    assert (row["latitude"], row["longitude"], row["elevation"]) == (41.5, -71.25, 301.5)
    assert row["dom_land_cover"] == "Mixed Forests"
    assert row["geol_2nd_class"] == ""
    assert row["huc_02"] == "01"
    assert row["geol_porostiy"] == 0.1714
    assert np.isnan(row["root_depth_50"])


def test_the_official_nesting_is_found(tmp_path):
    nested = tmp_path / "basin_timeseries_v1p2_metForcing_obsFlow" / "basin_dataset_public_v1p2"
    trees.write_tree(nested)
    (nested / "camels_attributes_v2.0").rename(tmp_path / "camels_attributes_v2.0")
    assert CamelsUs(tmp_path, "daymet").choose(None) == list(trees.BASINS)
    assert CamelsUs(nested, "daymet").choose(None) == list(trees.BASINS)


# --------------------------------------------------------------------------------- choice of basins


def test_an_id_may_lack_its_zero_and_it_is_said(tree, caplog):
    assert CamelsUs(tree, "daymet").choose(["1000001"]) == ["01000001"]
    assert "1000001 as 01000001" in caplog.text


def test_a_basin_without_files_or_attributes(tree, caplog):
    source = CamelsUs(tree, "daymet")
    assert "09999999" in message(source.choose, ["09999999"])
    assert "duplicates: 01000001" in message(source.choose, ["01000001", "1000001"])
    trees.flow_path(tree, "01000001").unlink()
    trees.write_attributes(tree, trees.BASINS[:2])
    source = CamelsUs(tree, "daymet")
    assert "basin 01000001: expected forcing, discharge" in message(source.choose, ["01000001"])
    assert "no row in the attribute tables" in message(source.choose, ["02000003"])
    with caplog.at_level(logging.WARNING):
        assert source.choose(None) == ["01000002"]
    assert "basin 02000003: left out, found no row" in caplog.text


def test_two_files_of_one_basin(tree):
    path = forcing(tree)
    copy = path.parent.parent / "01" / path.name
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    source = CamelsUs(tree, "daymet")
    source.days_of("01000001")  # identical: no question which one is meant
    trees.edit(copy, 8, None)
    assert "found two that differ" in message(source.days_of, "01000001")


def test_unknown_product_source_and_folder(tree, tmp_path):
    assert "found daymet; choose" in message(CamelsUs, tree, "maurer")
    (tmp_path / "empty").mkdir()
    assert "basin_mean_forcing" in message(CamelsUs, tmp_path / "empty", "daymet")
    for path in (tree / "basin_mean_forcing").rglob("*.txt"):
        path.unlink()
    assert "_forcing_leap.txt there or below" in message(CamelsUs, tree, "daymet")


# ------------------------------------------------------------------------------------- bad files


def test_empty_file(tree):
    forcing(tree).write_text("")
    assert message(read_forcing, forcing(tree)).startswith(f"{forcing(tree)}:1: ")
    path = trees.flow_path(tree, "01000001")
    path.write_text("\n\n")
    assert f"{path}:1: expected daily rows" in message(read_flow, path)


def test_header_without_rows(tree):
    lines = forcing(tree).read_text().splitlines()[:4]
    forcing(tree).write_text("\n".join(lines) + "\n")
    assert f"{forcing(tree)}:5: expected daily rows" in message(read_forcing, forcing(tree))


@pytest.mark.parametrize("cut", [2, 6, 12, 40])
def test_truncated_forcing(tree, cut):
    content = forcing(tree).read_bytes()
    forcing(tree).write_bytes(content[:-cut])
    for call in (read_forcing, lambda p: CamelsUs(tree, "daymet").days_of("01000001")):
        assert message(call, forcing(tree)).startswith(f"{forcing(tree)}:404: ")


def test_truncated_flow(tree):
    path = trees.flow_path(tree, "01000001")
    path.write_bytes(path.read_bytes()[:-4])
    assert message(read_flow, path).startswith(f"{path}:385: expected a whole line")


def test_a_last_line_without_its_end_is_whole(tree):
    """One official NLDAS file ends so."""
    content = forcing(tree).read_bytes()
    forcing(tree).write_bytes(content[:-1])
    assert len(read_forcing(forcing(tree))) == 400


def test_short_row_in_the_middle(tree):
    trees.edit(forcing(tree), 20, "2000 03 06 12\t38000.00\t1.0")
    expected = f"{forcing(tree)}:20: expected 11 values, found 6"
    assert expected in message(read_forcing, forcing(tree))


def test_not_a_number(tree):
    trees.edit(forcing(tree), 9, "2000 02 24 12\t38000.00\tx1\t250.50\t0.00\t1.00\t0.00\t800.25")
    expected = f"{forcing(tree)}:9: expected a number for precipitation, found 'x1'"
    assert expected in message(read_forcing, forcing(tree))


def test_missing_column_or_other_unit(tree):
    trees.edit(forcing(tree), 4, trees.HEADERS["daymet"].replace("(mm/day)", "(in/day)"))
    expected = f"{forcing(tree)}:4: expected the columns prcp(mm/day), found year mnth"
    assert expected in message(read_forcing, forcing(tree))


def test_negative_precipitation(tree):
    trees.edit(forcing(tree), 9, "2000 02 24 12\t38000.00\t-0.5\t250.50\t0.00\t1.00\t0.00\t800.25")
    expected = f"{forcing(tree)}:9: expected precipitation >= 0 mm/day, found -0.5 on 2000-02-24"
    assert expected in message(read_forcing, forcing(tree))


def test_dates_of_forcing(tree):
    whole = forcing(tree).read_text()
    lines = whole.splitlines()
    cases = {
        "a gap": (10, None),
        "a date that repeats": (10, lines[8]),
        "out of order": (10, lines[6]),
        "expected a date, found '2001 2 29'": (10, lines[9].replace("2000 02 25", "2001 02 29")),
        "expected a date, found '2000 13 1'": (10, lines[9].replace("2000 02 25", "2000 13 01")),
    }
    for expected, (line, text) in cases.items():
        forcing(tree).write_text(whole)
        trees.edit(forcing(tree), line, text)
        found = message(read_forcing, forcing(tree))
        assert expected in found
        assert f"{forcing(tree)}:10:" in found


def test_blank_lines_do_not_shift_the_line_of_an_error(tree):
    lines = forcing(tree).read_text().splitlines()
    lines[9] = lines[8]
    forcing(tree).write_text("\n".join([*lines[:6], "", *lines[6:]]) + "\n")
    assert f"{forcing(tree)}:11: " in message(read_forcing, forcing(tree))


def test_dates_of_flow(tree):
    path = trees.flow_path(tree, "01000001")
    trees.edit(path, 12, path.read_text().splitlines()[10])
    assert f"{path}:12: " in message(read_flow, path)


@pytest.mark.parametrize(
    ("line", "text", "expected"),
    [
        (1, trees.TOPO.replace("gauge_id", "id"), ":1: expected the column gauge_id"),
        (1, trees.TOPO.replace("area_gages2", "area"), ":1: expected the columns area_gages2"),
        (3, "01000001;1;2;3;4;5;6", ":3: basin 01000001 has a second row"),
        (3, "01000002;1;2;high;4;5;6", ":3: expected a number for elev_mean, found 'high'"),
        (3, "01000002;1;2", ":3: expected 7 values separated by ';', found 3"),
        (3, "01000002;1;2;3;4;5;6;7", "expected a table separated by ';'"),
    ],
)
def test_bad_attribute_tables(tree, line, text, expected):
    path = tree / "camels_attributes_v2.0" / "camels_topo.txt"
    trees.edit(path, line, text)
    found = message(CamelsUs, tree, "daymet")
    assert found.startswith(f"{path}:")
    assert expected in found


def test_attribute_tables_that_lack_something(tree):
    folder = tree / "camels_attributes_v2.0"
    trees.edit(folder / "camels_clim.txt", 2, None)
    assert "found none for 01000001 (1 missing)" in message(CamelsUs, tree, "daymet")
    (folder / "camels_clim.txt").write_text("")
    assert "camels_clim.txt:1: expected a header" in message(CamelsUs, tree, "daymet")
    (folder / "camels_topo.txt").unlink()
    assert "camels_attributes_v2.0/ with camels_topo.txt" in message(CamelsUs, tree, "daymet")


# -------------------------------------------------------------------------------------- real data


@pytest.fixture(scope="module")
def sample(real_data_root, tmp_path_factory):
    return find_tree(real_data_root, "camels_us_sample", tmp_path_factory.mktemp("raw"))


@pytest.mark.real
@pytest.mark.parametrize(
    ("product", "num_basins", "first", "last"),
    [
        ("daymet", 8, "1980-01-01", "2014-12-31"),
        ("maurer_extended", 8, "1980-01-01", "2008-12-31"),
        ("nldas", 3, "1993-09-29", "2013-10-03"),
    ],
)
def test_real_sample(sample, product, num_basins, first, last):
    source = CamelsUs(sample, product)
    basins = source.choose(None)
    assert len(basins) == num_basins
    assert (str(source.days_of(basins[-1])[0]), str(source.days_of(basins[-1])[1])) == (first, last)
    axis = np.arange(first, np.datetime64(last) + 1, dtype="datetime64[D]")
    for basin in basins:
        series = source.series(basin, axis)
        rain = series["precipitation"].mean()
        np.testing.assert_allclose(rain, source.attributes([basin])["p_mean"].iloc[0], rtol=0.2)


@pytest.mark.real
def test_real_attributes(sample):
    row = CamelsUs(sample, "daymet").attributes(["01013500"]).iloc[0]
    assert row["area"] == 2252.70
    np.testing.assert_allclose(row["p_mean"], 3.126679, rtol=1e-6)
    np.testing.assert_allclose(row["runoff_ratio"], 0.543437, rtol=1e-5)


@pytest.mark.real
@pytest.mark.slow
def test_real_mean_flow_of_all_531_basins(real_data_root, tmp_path):
    """Discharge, area and the attribute q_mean agree (Addor et al. 2017: 1989-10..2009-09)."""
    source = CamelsUs(find_tree(real_data_root, "camels_us_531", tmp_path), "maurer_extended")
    basins = source.choose(None)
    assert len(basins) == 531
    axis = np.arange("1989-10-01", "2009-10-01", dtype="datetime64[D]")
    table = source.attributes(basins)
    flow = [source.series(b, axis)["discharge"] for b in basins]
    mean = np.nanmean(np.array(flow, np.float64), axis=1)
    np.testing.assert_allclose(mean * 86.4 / table["area"], table["q_mean"], rtol=1e-5)
