"""Units upstream of gauges, on a small river drawn by hand and on random ones.

units  a b c    reach 0 <- a b, reach 1 <- c
        V |
        0 1        d drains to 2, e to 4, f off the network; 5 is a river of its own with g
         V
         2 - d     gauges: A at 0, B at 2, C at 4, D at 5
         |
         4 - e     reach 3 joins 4 and has no unit
"""

from dataclasses import replace

import numpy as np
import pytest

from dmg.data.drainage import Drainage, drainage
from dmg.data.network import Network, generate

UNITS, GAUGES = [*"abcdegf"], [*"ABCD"]


def network() -> Network:
    """The river above."""
    unknown = {n: np.full(6, np.nan) for n in ("latitude", "longitude")}
    of_units = {f"unit_{n}": np.full(7, np.nan) for n in ("latitude", "longitude", "elevation")}
    return Network(
        reach_id=np.array([f"r{i}" for i in range(6)]),
        downstream=np.array([2, 2, 4, 4, -1, -1]),
        length=np.arange(1.0, 7),
        slope=np.full(6, 0.01),
        area=np.array([3.0, 3, 10, 0, 15, 7]),
        unit_id=np.array(UNITS),
        unit_reach=np.array([0, 0, 1, 2, 4, 5, -1]),
        unit_area=np.array([1.0, 2, 3, 4, 5, 7, 6]),
        gauge_id=np.array(GAUGES),
        gauge_reach=np.array([0, 2, 4, 5]),
        gauge_area=np.array([3.0, 10, 15, 7]),
        **unknown,
        **of_units,
    )


def river() -> Drainage:
    return drainage(network())


def names(found: Drainage, gauges: list[int]) -> str:
    return "".join(UNITS[unit] for unit in found.units(gauges))


def test_units_upstream_of_each_gauge() -> None:
    found = river()
    assert [names(found, [g]) for g in range(4)] == ["ab", "abcd", "abcde", "g"]
    np.testing.assert_allclose(found.gauge_area, [3, 10, 15, 7])
    assert found.num_units.tolist() == [2, 4, 5, 1]


def test_units_of_nested_gauges_count_once() -> None:
    assert names(river(), [0, 1, 3]) == "abcdg"


def test_nests_are_gauges_that_share_units() -> None:
    found = river()
    a, b, c, d = found.nests().tolist()
    assert a == b == c != d
    assert len(set(found.nests([0, 3]).tolist())) == 2


def test_weights_of_a_gauge_sum_to_one() -> None:
    found = river()
    units = found.units([0, 2])
    unit, gauge, weight = found.pairs([2, 0], units)
    np.testing.assert_allclose(np.bincount(gauge, weight), 1)
    of_a = weight[gauge == 1]
    assert units[unit][gauge == 1].tolist() == [0, 1]
    np.testing.assert_allclose(of_a, [1 / 3, 2 / 3])


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_walking_downstream(seed: int) -> None:
    whole = generate(80, seed, units_per_reach=2, num_gauges=24)
    found = drainage(whole)
    for place, gauge in enumerate(whole.gauge_reach.tolist()):
        expected = [u for u, r in enumerate(whole.unit_reach) if passes(whole, int(r), gauge)]
        assert found.units([place]).tolist() == expected


def passes(whole: Network, reach: int, gauge: int) -> bool:
    while reach >= 0 and reach != gauge:
        reach = int(whole.downstream[reach])
    return reach == gauge


def test_a_gauge_without_units_is_refused() -> None:
    at_empty_reach = replace(network(), gauge_reach=np.array([0, 2, 4, 3]))
    with pytest.raises(ValueError, match=r"upstream of every gauge, found none for \['D'\]"):
        drainage(at_empty_reach)
