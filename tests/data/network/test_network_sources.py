"""Readers of published layouts, on a small file of each, and on the real NHM."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import river_layouts as layouts

from dmg.data.archive import find_tree
from dmg.data.network import (
    Network,
    accumulate,
    find_problems,
    generate,
    levels,
    read_network,
    read_tables,
    upstream_of,
)

WRITERS: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "nhm": ("nhm", layouts.write_nhm),
    "merit csv": ("merit", layouts.write_merit_csv),
    "merit shapefiles": ("merit", layouts.write_merit_shapes),
    "merit geopackages": ("merit", lambda path: layouts.write_merit_shapes(path, ".gpkg")),
    "nextgen": ("nextgen", layouts.write_nextgen),
    "rapid": ("rapid", layouts.write_rapid),
}


@pytest.mark.parametrize("layout", WRITERS)
def test_each_layout_gives_the_same_network(layout: str, tmp_path: Path) -> None:
    source, write = WRITERS[layout]
    network = read_network(source, write(tmp_path / "data"))
    frame = layouts.FRAME.sort_values("area")
    order = np.argsort(network.area)
    for name, factor in (("area", 1), ("length", 1000), ("slope", 1)):
        found = getattr(network, name)[order]
        np.testing.assert_allclose(found, frame[name] * factor, rtol=1e-9, err_msg=name)
    below = network.area[network.downstream[order]][:4]
    np.testing.assert_allclose(below, [80, 80, 150, 150])
    on = network.unit_reach >= 0
    own = np.bincount(network.unit_reach[on], network.unit_area[on], minlength=5)
    np.testing.assert_allclose(accumulate(network.downstream, own), network.area)
    if layout != "merit csv":  # a table without places
        np.testing.assert_allclose(network.latitude[order], frame["latitude"], atol=0.015)
        np.testing.assert_allclose(network.longitude[order], frame["longitude"], atol=0.015)


@pytest.mark.parametrize("layout", ["nhm", "nextgen"])
def test_gauges_and_units_off_the_network(layout: str, tmp_path: Path) -> None:
    source, write = WRITERS[layout]
    network = read_network(source, write(tmp_path / "data"))
    at = dict(zip(network.gauge_id, network.area[network.gauge_reach], strict=True))
    assert at["01010500"] == pytest.approx(
        80 if layout == "nhm" else 150
    )  # the lowest that names it
    assert (network.unit_reach == -1).sum() == 1


def test_rivers_that_end_on_land_but_flow_on_are_noted(tmp_path: Path) -> None:
    folder = layouts.write_nhm(tmp_path / "data")
    (folder / "segment_type.csv").write_text("$id,segment_type\n1,0\n2,0\n3,109\n4,9\n5,9\n")
    assert read_tables("nhm", folder).notes == [
        "2 segments where rivers end (segment_type 9) flow on: 3 -> 5, 4 -> 5; links are kept as"
        " delivered"
    ]


def test_ids_are_text_as_published(tmp_path: Path) -> None:
    merit = read_network("merit", layouts.write_merit_shapes(tmp_path / "merit"))
    assert set(merit.reach_id) == set(merit.unit_id) == {f"7400001{i}" for i in range(1, 6)}
    nextgen = read_network("nextgen", layouts.write_nextgen(tmp_path / "nextgen"))
    assert set(nextgen.reach_id) == {f"wb-{i}" for i in range(1, 6)}
    assert nextgen.unit_id[-1] == "cat-6"


def test_what_a_layout_does_not_know_is_nan_and_noted(tmp_path: Path) -> None:
    for source, folder in (
        ("rapid", layouts.write_rapid(tmp_path / "rapid", properties=False)),
        ("nextgen", layouts.write_nextgen(tmp_path / "nextgen", slopes=None)),
    ):
        tables = read_tables(source, folder)
        notes = find_problems(tables.reaches, tables.units, tables.gauges).notes
        assert any("5 reaches of unknown length or slope" in note for note in notes)
        assert np.isnan(read_network(source, folder).slope).all()


def test_a_generated_dataset_holds_its_network(tmp_path: Path) -> None:
    generate(10).write(tmp_path / "network.zarr")
    assert read_network("synthetic_network", tmp_path).num_reaches == 10


def test_unknown_source() -> None:
    with pytest.raises(ValueError, match=r"source: expected one of merit, .*, found 'nhd'"):
        read_tables("nhd", Path())


def test_nhm_files_that_are_missing_or_something_else(tmp_path: Path) -> None:
    folder = layouts.write_nhm(tmp_path / "data")
    (folder / "seg_slope.csv").write_text("$id,slope\n1,0.1\n")
    with pytest.raises(ValueError, match=r"expected columns \$id,seg_slope, found \$id,slope"):
        read_tables("nhm", folder)
    (folder / "seg_slope.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"seg_slope.csv: expected a parameter file of the"):
        read_tables("nhm", folder)


def test_merit_without_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected tables of MERIT-Basins \(.csv"):
        read_tables("merit", tmp_path)
    layouts.merit_rivers().to_csv(tmp_path / "rivers.csv", index=False)
    with pytest.raises(ValueError, match="expected a table with a column unitarea, found none"):
        read_tables("merit", tmp_path)
    layouts.merit_catchments().to_csv(tmp_path / "catchments.csv", index=False)
    layouts.merit_rivers().drop(columns="uparea").to_csv(tmp_path / "rivers.csv", index=False)
    with pytest.raises(
        ValueError, match=r"rivers.csv: expected columns COMID, .*, found no uparea"
    ):
        read_tables("merit", tmp_path)


def test_merit_that_contradicts_itself(tmp_path: Path) -> None:
    folder = layouts.write_merit_csv(tmp_path / "data")
    table = pd.read_csv(folder / "merit.csv")
    table.loc[layouts.C, "up2"] = 74000014
    table.to_csv(folder / "merit.csv", index=False)
    with pytest.raises(
        ValueError, match="up1-up4 to say the same as NextDownID, found 2 links in one alone"
    ):
        read_tables("merit", folder)


def test_nextgen_without_its_layers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected one GeoPackage \(\*.gpkg\), found 0"):
        read_tables("nextgen", tmp_path)
    path = tmp_path / "other.gpkg"
    layouts.write_layer(path, "divides", pd.DataFrame({"divide_id": ["cat-1"]}), None)
    with pytest.raises(ValueError, match="found no flowpaths, network"):
        read_tables("nextgen", path)


def test_rapid_lists_need_not_be_filled_up(tmp_path: Path) -> None:
    folder = layouts.write_rapid(tmp_path / "data")
    filled, file = read_tables("rapid", folder), folder / "rapid_connect.csv"
    lines = [line.split(",") for line in file.read_text().splitlines()]
    short = [line[: 3 + int(line[2])] for line in lines]
    assert short != lines
    file.write_text("".join(",".join(line) + "\n" for line in short))
    assert read_tables("rapid", folder).reaches.equals(filled.reaches)


def test_rapid_that_is_something_else(tmp_path: Path) -> None:
    folder = layouts.write_rapid(tmp_path / "data")
    file = folder / "rapid_connect.csv"
    lines = file.read_text()
    file.write_text(lines.replace("74000011,74000013", "74000011,74000014"))
    with pytest.raises(ValueError, match=r"found 2 links in one alone, the first 74000011 -> 7"):
        read_tables("rapid", folder)
    for other in ("reach,down,up\n1,0,0\n", "1,0\n", "1,2,0\n2,,0\n", ""):
        file.write_text(other)
        with pytest.raises(ValueError, match="and no header, found something else"):
            read_tables("rapid", folder)
    file.write_text(lines)
    (folder / "reaches.csv").write_text("reach_id,width\n1,2\n")
    with pytest.raises(ValueError, match=r"reaches.csv: expected columns reach_id and some of len"):
        read_tables("rapid", folder)
    file.unlink()
    with pytest.raises(ValueError, match="expected one connectivity file"):
        read_tables("rapid", folder)


@pytest.fixture(scope="session")
def real_nhm(real_data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Network:
    tree = find_tree(real_data_root, "nhm_v11", tmp_path_factory.mktemp("nhm"))
    return read_network("nhm", tree)


@pytest.mark.real
def test_the_real_nhm(real_nhm: Network) -> None:
    assert (real_nhm.num_reaches, real_nhm.num_units, real_nhm.num_gauges) == (
        58_489,
        114_958,
        8_708,
    )
    assert levels(real_nhm.downstream).max() == 390
    on = real_nhm.unit_reach >= 0
    own = np.bincount(real_nhm.unit_reach[on], real_nhm.unit_area[on], real_nhm.num_reaches)
    np.testing.assert_allclose(accumulate(real_nhm.downstream, own), real_nhm.area, rtol=0.017)
    mississippi = real_nhm.area.argmax()
    assert real_nhm.area[mississippi] == pytest.approx(2.96e6, rel=0.01)
    assert len(upstream_of(real_nhm, [mississippi])) == 22_989
