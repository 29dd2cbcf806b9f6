"""Windows of gauges with all their units: budget, fairness, parts."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from dmg.data.drainage import Drainage
from dmg.data.gauge_sampler import GaugeSampler, part_of_gauges, tile_gauges
from dmg.data.sampler import Windows
from tests.data.test_drainage import river

IDS = [f"{i:08d}" for i in range(40)]


def rivers(num_gauges: int = 40, seed: int = 0) -> Drainage:
    """Rivers with one to three nested gauges each."""
    draw = np.random.default_rng(seed)
    first: list[int] = []
    stop: list[int] = []
    end = 0
    while len(first) < num_gauges:
        size = int(draw.integers(3, 30))
        for inner in range(int(draw.integers(1, 4))):
            first.append(end + inner)
            stop.append(end + max(inner + 1, size - inner))
        end += size
    area = draw.uniform(1, 50, end)
    return Drainage(area, np.array(first[:num_gauges]), np.array(stop[:num_gauges]))


def sampler(**options: Any) -> GaugeSampler:
    settings: dict[str, Any] = {"units_per_batch": 60, "window": 30, "warmup": 10, "seed": 3}
    return GaugeSampler(np.arange(40), 100, 399, rivers(), IDS, **settings | options)


def test_same_seed_epoch_and_step_give_the_same_windows() -> None:
    one, two = sampler().windows(2, 5), sampler().windows(2, 5)
    assert one.basins.tolist() == two.basins.tolist() and one.seed == two.seed
    assert one.starts.tolist() == two.starts.tolist()
    other = sampler(seed=4).windows(2, 5)
    assert one.basins.tolist() != other.basins.tolist() and one.seed != other.seed


def test_steps_keep_the_budget_and_share_one_window() -> None:
    s = sampler()
    for step in range(s.steps_per_epoch):
        windows = s.windows(1, step)
        assert s.drainage.units(windows.basins).size <= 60
        assert len(set(windows.starts.tolist())) == 1
        assert 110 <= windows.starts[0] <= 399 - 30 + 1


def test_every_gauge_is_drawn_equally_often() -> None:
    s = sampler(steps_per_epoch=100)
    count = Counter(g for step in range(100) for g in s.windows(1, step).basins.tolist())
    assert len(count) == 40
    assert max(count.values()) - min(count.values()) <= 1


def test_a_budget_above_all_units_takes_every_gauge_once_a_step() -> None:
    s = sampler(units_per_batch=10_000, steps_per_epoch=5)
    for step in range(5):
        assert sorted(s.windows(1, step).basins.tolist()) == list(range(40))


@pytest.mark.parametrize("world_size", [1, 2, 3, 7, 30])
def test_parts_together_are_the_batch(world_size: int) -> None:
    s = sampler()
    for step in range(8):
        windows = s.windows(1, step)
        parts = [s.part(windows, rank, world_size) for rank in range(world_size)]
        scored = [p for p in parts if p.scored]
        assert sorted(g for p in scored for g in p.basins) == sorted(windows.basins)
        assert all(p.basins.size for p in parts)
        assert sorted(r for p in scored for r in p.rows) == windows.rows.tolist()
        nests = dict(zip(windows.basins.tolist(), s.drainage.nests(windows.basins), strict=True))
        of_parts = [{nests[g] for g in p.basins.tolist()} for p in scored]
        assert sum(map(len, of_parts)) == len(set.union(*of_parts))


def test_parts_are_balanced_by_units() -> None:
    s = sampler(units_per_batch=300)
    windows = s.windows(1, 0)
    load = [s.drainage.units(s.part(windows, rank, 4).basins).size for rank in range(4)]
    assert max(load) <= 1.2 * min(load)


def test_an_idle_process_gets_the_smallest_gauge_unscored() -> None:
    windows = Windows(np.array([2, 0, 1]), np.full(3, 50), np.arange(3), 10)
    parts = [part_of_gauges(windows, river(), rank, 2) for rank in range(2)]
    assert [p.scored for p in parts] == [True, False]
    assert parts[1].basins.tolist() == [0]


def test_tiles_cover_every_day_of_every_gauge_once() -> None:
    first = np.where(np.arange(40) < 20, 0, 50)
    tiles = tile_gauges(np.arange(40), first, 200, rivers(), units_per_batch=60, window=40,
                        warmup=15)  # fmt: skip
    count = Counter(
        (g, day)
        for w in tiles
        for g in w.basins
        for day in range(w.starts[0], w.starts[0] + w.length)
    )
    days = {g: sum(1 for other, _ in count if other == g) for g in range(40)}
    assert set(count.values()) == {1}
    assert {days[g] for g in range(20)} == {200 - 15 + 1}
    assert {days[g] for g in range(20, 40)} == {200 - 50 + 1}
    assert all(rivers().units(w.basins).size <= 60 for w in tiles)


def test_a_gauge_above_the_budget_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at least the \d+ units upstream of gauge .*, found 10"):
        sampler(units_per_batch=10)


def test_too_few_days_are_refused() -> None:
    with pytest.raises(ValueError, match=r"at most the 300 days .*found 300 \+ 10"):
        sampler(window=300)


def test_no_gauge_is_refused() -> None:
    with pytest.raises(ValueError, match="training gauges: expected at least one"):
        GaugeSampler([], 0, 99, rivers(), IDS, units_per_batch=60, window=30, warmup=10, seed=0)
