import datetime as dt

import numpy as np
import pytest

from dmg.data.sampler import DataSampler, num_steps, part, tile


def make(num_basins=30, first=0, last=999, **options):
    settings = {"batch_size": 20, "window": 50, "warmup": 30, "seed": 3} | options
    return DataSampler(np.arange(num_basins), first, last, **settings)


def days(start, end):
    return (dt.date.fromisoformat(end) - dt.date.fromisoformat(start)).days + 1


@pytest.mark.parametrize(
    ("num_basins", "start", "end", "expected"),
    [  # published protocols: batch 100, window 365, warm-up 365 inside the period
        (531, "1999-10-01", "2008-09-30", 194),
        (671, "1980-10-01", "1995-09-30", 431),
        (531, "1990-10-01", "2014-09-30", 561),
        (425, "1990-10-01", "2014-09-30", 449),  # four fifths of the 531
        (604, "1988-10-01", "1999-09-30", 276),  # one extra year before 1989/10-1999/09
        (1347, "1970-01-01", "2000-12-31", 1861),  # CAMELS-DE, 31 years
    ],
)
def test_published_steps_per_epoch(num_basins, start, end, expected):
    n = days(start, end)
    assert num_steps(100, 365, num_basins, n - 365) == expected
    sampler = make(num_basins, last=n - 1, batch_size=100, window=365, warmup=365)
    assert sampler.steps_per_epoch == expected


def test_one_step_where_the_batch_is_the_data():
    assert num_steps(10, 100, 10, 100) == 1
    assert num_steps(100, 365, 10, 400) == 1
    assert num_steps(9, 100, 10, 100) == 2


def test_steps_per_epoch_may_be_given():
    assert make(steps_per_epoch=7).steps_per_epoch == 7


def test_same_seed_epoch_and_step_same_windows():
    one, two = make().windows(4, 17), make().windows(4, 17)
    assert np.array_equal(one.basins, two.basins)
    assert np.array_equal(one.starts, two.starts)
    assert one.seed == two.seed


def test_seed_epoch_and_step_all_matter():
    draws = [make().windows(1, 2), make().windows(2, 1), make().windows(1, 3)]
    draws += [make(seed=4).windows(1, 2), make(seed=-1).windows(1, 2)]
    assert len({w.seed for w in draws}) == len(draws)
    assert len({tuple(w.starts) for w in draws}) == len(draws)


def test_windows_lie_within_the_training_period_of_their_basin():
    first = np.arange(30) * 10
    last = first + 80 + np.arange(30)
    sampler = make(first=first, last=last)
    for step in range(200):
        drawn = sampler.windows(1, step)
        assert (drawn.starts - 30 >= first[drawn.basins]).all()
        assert (drawn.starts + 50 - 1 <= last[drawn.basins]).all()


def test_every_basin_and_every_start_is_drawn():
    sampler = make(3, last=84, batch_size=3)
    drawn = [sampler.windows(1, step) for step in range(200)]
    assert set(np.concatenate([d.basins for d in drawn])) == {0, 1, 2}
    assert set(np.concatenate([d.starts for d in drawn])) == set(range(30, 36))


def test_only_the_given_basins_are_drawn():
    sampler = DataSampler([5, 9, 2], 0, 99, batch_size=3, window=10, warmup=0, seed=0)
    assert set(np.concatenate([sampler.windows(0, s).basins for s in range(30)])) == {2, 5, 9}


def test_period_of_exactly_one_window_has_one_start():
    sampler = make(2, last=79, batch_size=2)
    assert set(sampler.windows(1, 1).starts) == {30}


@pytest.mark.parametrize("world_size", [1, 2, 3, 4, 7, 20])
def test_parts_are_disjoint_and_make_up_the_batch(world_size):
    whole = make().windows(2, 5)
    parts = [part(whole, rank, world_size) for rank in range(world_size)]
    assert np.array_equal(np.concatenate([p.rows for p in parts]), np.arange(20))
    assert np.array_equal(np.concatenate([p.basins for p in parts]), whole.basins)
    assert np.array_equal(np.concatenate([p.starts for p in parts]), whole.starts)
    assert {p.seed for p in parts} == {whole.seed}
    assert max(p.rows.size for p in parts) - min(p.rows.size for p in parts) <= 1


def test_more_processes_than_windows_are_refused():
    with pytest.raises(ValueError, match=r"processes x accumulate: .* at most .* 20 .* found 21"):
        part(make().windows(1, 1), 0, 21)


def test_batch_larger_than_the_basins_is_refused():
    with pytest.raises(ValueError, match=r"train.batch_size: expected at most .*\(8\), found 20"):
        make(8)


def test_no_training_basins_are_refused():
    with pytest.raises(ValueError, match="training basins: expected at least one, found none"):
        make(0)


def test_window_longer_than_the_record_is_refused():
    with pytest.raises(ValueError, match=r"at most the 79 days .* found 50 \+ 30"):
        make(last=np.r_[np.full(29, 999), 78])


def test_tiles_hold_every_day_once():
    first, last = np.array([0, 7]), np.array([24, 9])
    seen = np.zeros((2, 30), dtype=int)
    for w in tile([0, 1], first, last, window=10, batch_size=2):
        assert w.basins.size <= 2
        for basin, start in zip(w.basins, w.starts, strict=True):
            seen[basin, start : start + w.length] += 1
    assert (seen[0] == (np.arange(30) <= 24)).all()
    assert (seen[1] == ((np.arange(30) >= 7) & (np.arange(30) <= 9))).all()


def test_tiles_of_one_batch_have_one_length_and_rows():
    batches = tile(np.arange(5), 0, 24, window=10, batch_size=4)
    assert [w.length for w in batches] == [10, 10, 10, 5, 5]
    assert [w.rows.size for w in batches] == [4, 4, 2, 4, 1]


def test_tiles_leave_out_days_without_warmup():
    batches = tile([0, 1], [0, 20], 29, window=100, batch_size=4, warmup=5)
    assert [(w.length, w.starts.tolist()) for w in batches] == [(25, [5]), (10, [20])]
