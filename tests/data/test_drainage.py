"""Units upstream of gauges, on a small river drawn by hand and on random ones.

units  a b c    reach 0 <- a b, reach 1 <- c
        V |
        0 1        d drains to 2, e to 3, f off the network; 5 is a river of its own with g
         V
         2 - d     gauges: A at 0, B at 2, C at 3, D at 5
         |
         3 - e     reach 4 joins 3 and has no unit
"""

import numpy as np
import pytest

from dmg.data.drainage import Drainage, drainage

DOWNSTREAM = np.array([2, 2, 4, 4, -1, -1])
UNIT_REACH = np.array([0, 0, 1, 2, 4, -1, 5])  # a b c d e f g
UNIT_AREA = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
GAUGES = {"A": 0, "B": 2, "C": 4, "D": 5}


def river() -> Drainage:
    return drainage(DOWNSTREAM, UNIT_REACH, UNIT_AREA, np.array([*GAUGES.values()]), [*GAUGES])


def names(found: Drainage, gauges: list[int]) -> str:
    return "".join(sorted("abcdefg"[unit] for unit in found.order[found.units(gauges)]))


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
    areas = dict(
        zip(found.order[units[unit]][gauge == 1].tolist(), weight[gauge == 1], strict=True)
    )
    assert areas == pytest.approx({0: 1 / 3, 1: 2 / 3})


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_walking_downstream(seed: int) -> None:
    draw = np.random.default_rng(seed)
    size = 60
    downstream = np.array([draw.integers(i + 1, min(i + 8, size)) if i < size - 1 else -1
                           for i in range(size)])  # fmt: skip
    downstream[draw.integers(0, size, 3)] = -1
    reach = draw.integers(-1, size, 200)
    gauges = draw.permutation(np.unique(reach[reach >= 0]))[:12]
    found = drainage(downstream, reach, np.ones(200), gauges, [str(g) for g in gauges])
    for place, gauge in enumerate(gauges.tolist()):
        expected = [unit for unit, r in enumerate(reach.tolist()) if passes(downstream, r, gauge)]
        assert sorted(found.order[found.units([place])].tolist()) == expected


def passes(downstream: np.ndarray, reach: int, gauge: int) -> bool:
    while reach >= 0 and reach != gauge:
        reach = int(downstream[reach])
    return reach == gauge


def test_a_gauge_without_units_is_refused() -> None:
    with pytest.raises(ValueError, match=r"upstream of every gauge, found none for \['X'\]"):
        drainage(DOWNSTREAM, UNIT_REACH, UNIT_AREA, np.array([3]), ["X"])
