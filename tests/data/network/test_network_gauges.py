"""Gauges are matched to reaches by drainage area."""

from pathlib import Path

import pandas as pd
import pytest
import river_layouts as layouts

from dmg.data.archive import find_tree
from dmg.data.network import (
    Network,
    describe_matches,
    match_gauges,
    read_network,
    units_of,
    upstream_of,
    with_gauges,
)


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """The gauge 01010500 is at c (80 km2), between a and b (40, 30) and e (150)."""
    return read_network("nhm", layouts.write_nhm(tmp_path / "data"))


def gauge(area: float, gauge_id: str = "01010500") -> pd.DataFrame:
    return pd.DataFrame({"gauge_id": [gauge_id], "area": [area]})


@pytest.mark.parametrize(
    ("area", "reach_area", "status"),
    [
        (82.0, 80, "matched"),  # where the network has it
        (152.0, 150, "matched"),  # downstream
        (31.0, 30, "matched"),  # upstream
        (100.0, 80, "area differs"),
        (float("nan"), 80, "area unknown"),
    ],
)
def test_the_reach_or_a_neighbour_whose_area_agrees(
    network: Network, area: float, reach_area: float, status: str
) -> None:
    match = match_gauges(network, gauge(area)).iloc[0]
    assert (match["reach_area"], match["status"]) == (pytest.approx(reach_area), status)
    assert network.area[match["reach"]] == match["reach_area"]
    assert network.reach_id[match["reach"]] == match["reach_id"]


def test_the_named_reach_wins_where_its_area_agrees(network: Network) -> None:
    match = match_gauges(network, gauge(149.0), tolerance=0.5).iloc[0]
    assert match["reach_area"] == pytest.approx(80)


def test_coordinates_find_what_the_network_does_not_name(network: Network) -> None:
    there = pd.DataFrame(
        {"gauge_id": ["x", "y", "z"], "area": [51.0, 51.0, 51.0],
         "latitude": [41.11, 30.0, float("nan")], "longitude": [-95.91, -90.0, -95.9]}
    )  # fmt: skip
    match = match_gauges(network, there)
    assert match["status"].tolist() == ["matched", "off the network", "off the network"]
    assert match["reach_area"][0] == pytest.approx(50)
    assert match["reach"].tolist()[1:] == [-1, -1]


def test_those_that_do_not_match_are_named(network: Network) -> None:
    table = pd.concat([gauge(100.0), gauge(1.0, "none"), gauge(150.0, "02AB003")])
    match = match_gauges(network, table.reset_index(drop=True))
    assert describe_matches(match) == [
        "1 of 3 gauges, off the network: none",
        "1 of 3 gauges, area differs: 01010500",
    ]
    kept = with_gauges(network, match)
    assert (kept.gauge_id.tolist(), kept.gauge_area.tolist()) == (["02AB003"], [150.0])
    assert match_gauges(network, table.iloc[:0]).empty


@pytest.mark.real
def test_camels_gauges_on_the_real_nhm(real_data_root: Path, tmp_path: Path) -> None:
    network = read_network("nhm", find_tree(real_data_root, "nhm_v11", tmp_path))
    topo = pd.read_csv(
        next(find_tree(real_data_root, "camels_us_sample", tmp_path).rglob("camels_topo.txt")),
        sep=";",
        dtype={"gauge_id": str},
    )
    match = match_gauges(network, topo.rename(columns={"area_gages2": "area"}))
    assert len(match) == 671
    assert (match["status"] != "off the network").sum() == 666
    assert (match["status"] == "matched").sum() == 603
    gauged = with_gauges(network, match)
    above = units_of(gauged, upstream_of(gauged, gauged.gauge_reach))
    assert 4000 < len(above) < 9000
