"""Graph functions against walks reach by reach."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmg.data.network import graph
from dmg.data.network.graph import Index


@st.composite
def forests(draw: st.DrawFn) -> Index:
    """Any rooted forest, its reaches in any order."""
    n = draw(st.integers(1, 25))
    parents = [draw(st.integers(-1, i - 1)) for i in range(n)]
    names = np.array(draw(st.permutations(range(n))))
    downstream = np.full(n, -1)
    for i, parent in enumerate(parents):
        downstream[names[i]] = names[parent] if parent >= 0 else -1
    return downstream


def walk(downstream: Index, reach: int) -> list[int]:
    """The reach and everything downstream of it, one by one."""
    path = [reach]
    while downstream[path[-1]] >= 0:
        path.append(int(downstream[path[-1]]))
    return path


@given(forests())
def test_graph_functions_equal_walks(downstream: Index) -> None:
    paths = [walk(downstream, i) for i in range(len(downstream))]
    values = np.arange(1.0, len(downstream) + 1)
    assert graph.on_cycles(downstream).size == 0
    assert graph.outlets(downstream).tolist() == [path[-1] for path in paths]
    assert graph.along_path(downstream, values).tolist() == [values[p].sum() for p in paths]
    above = [[i for i, p in enumerate(paths) if j in p] for j in range(len(downstream))]
    assert graph.accumulate(downstream, values).tolist() == [values[a].sum() for a in above]
    longest = [max(paths[i].index(j) for i in a) for j, a in enumerate(above)]
    assert graph.levels(downstream).tolist() == longest


@given(forests(), st.randoms())
def test_the_first_chosen_reach_on_the_way_down(downstream: Index, random: Random) -> None:
    chosen = np.array([random.random() < 0.3 for _ in downstream])
    expected = [next((j for j in walk(downstream, i) if chosen[j]), -1)
                for i in range(len(downstream))]  # fmt: skip
    assert graph.first_below(downstream, chosen).tolist() == expected


@given(forests())
def test_depth_first_keeps_each_subnetwork_in_one_run_before_its_end(downstream: Index) -> None:
    order = graph.depth_first(downstream).tolist()
    assert sorted(order) == list(range(len(downstream)))
    for reach in order:
        above = [order.index(i) for i in range(len(order)) if reach in walk(downstream, i)]
        assert max(above) == order.index(reach)
        assert max(above) - min(above) + 1 == len(above)


@given(forests())
def test_few_subnetworks_wait_at_any_cut_of_the_order(downstream: Index) -> None:
    order = graph.depth_first(downstream)
    rank = np.append(np.argsort(order), -1)
    ahead = rank[downstream[order]]
    waiting = [int((ahead[:cut] >= cut).sum()) for cut in range(len(order))]
    assert max(waiting) <= np.log2(len(order)) + 1 + (np.bincount(ahead + 1).max() - 1)


def test_cycles_are_found_and_what_flows_into_them_is_not() -> None:
    downstream = np.array([1, 2, 0, 2, -1, 4, 6])  # 0 -> 1 -> 2 -> 0, 3 -> 2, 6 -> 6
    assert graph.on_cycles(downstream).tolist() == [0, 1, 2, 6]
    with pytest.raises(ValueError, match="found a cycle"):
        graph.accumulate(downstream, np.ones(7))


def test_a_long_river_takes_few_rounds() -> None:
    river = np.append(np.arange(1, 100_000), -1)
    assert graph.levels(river).tolist() == list(range(100_000))
    assert graph.depth_first(river).tolist() == list(range(100_000))
