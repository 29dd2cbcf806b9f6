import numpy as np
import pytest

from dmg.data.day_sampler import DaySampler, permuted


def make(first=40, last=99, num_basins=5, **options):
    settings = {"batch_size": 16, "window": 1, "warmup": 30, "seed": 3} | options
    return DaySampler(np.arange(num_basins) * 2, first, last, **settings)


def drawn(sampler, epoch=1):
    windows = [sampler.windows(epoch, step) for step in range(sampler.steps_per_epoch)]
    return [(int(b), int(s)) for w in windows for b, s in zip(w.basins, w.starts, strict=True)]


@pytest.mark.parametrize("size", [1, 2, 3, 64, 1000, 1025])
def test_a_permutation_of_any_size(size):
    out = permuted(np.arange(size), size, 3, 1)
    assert sorted(out) == list(range(size))


def test_permutations_look_random():
    orders = np.array([permuted(np.arange(100), 100, 0, epoch) for epoch in range(2000)])
    assert abs(orders.mean(0) - 49.5).max() < 5 * orders.std() / np.sqrt(2000)
    after = np.diff(orders, axis=1)
    assert abs((after > 0).mean() - 0.5) < 0.01
    assert abs((orders == np.arange(100)).sum(1).mean() - 1) < 0.15  # fixed points


def test_every_day_of_every_basin_exactly_once_an_epoch():
    expected = sorted((2 * b, day) for b in range(5) for day in range(40, 100))
    sampler = make()
    assert sampler.num_windows == 300
    assert sorted(drawn(sampler)) == sorted(drawn(sampler, 2)) == expected
    assert drawn(sampler) != drawn(sampler, 2)


def test_periods_may_differ_by_basin_and_warm_up_begins_within_the_record():
    sampler = make(first=[0, 30, 50], last=[35, 31, 50], num_basins=3)
    expected = [(0, day) for day in range(30, 36)] + [(2, 30), (2, 31), (4, 50)]
    assert sorted(drawn(sampler)) == expected


def test_longer_windows_end_within_the_period():
    starts = {start for _, start in drawn(make(window=20))}
    assert starts == set(range(40, 81))


def test_batches_differ_by_one_window_at_most():
    sampler = make()
    sizes = [sampler.windows(1, step).basins.size for step in range(sampler.steps_per_epoch)]
    assert sampler.steps_per_epoch == 19
    assert set(sizes) == {15, 16}


def test_windows_are_a_function_of_seed_epoch_and_step():
    one, two = make().windows(2, 5), make().windows(2, 5)
    assert np.array_equal(one.starts, two.starts)
    assert one.seed == two.seed != make().windows(2, 6).seed
    assert drawn(make(seed=4)) != drawn(make()) != drawn(make(seed=-1))


def test_an_epoch_may_end_early():
    sampler = make(steps_per_epoch=4)
    assert sampler.steps_per_epoch == 4
    assert len(set(drawn(sampler))) == 63
    assert make(steps_per_epoch=1000).steps_per_epoch == 19


def test_published_steps_per_epoch():
    sampler = make(first=7000, last=7000 + 3287, num_basins=531, batch_size=256, warmup=364)
    assert sampler.steps_per_epoch == 6821  # 1999-10-01 to 2008-09-30, Kratzert et al.
    sampler.windows(1, 6820)


def test_a_basin_without_a_window_is_an_error():
    with pytest.raises(ValueError, match=r"at most the 10 days .* found 1 \+ 30; shorten"):
        make(first=[0, 40], last=[9, 99], num_basins=2)
    with pytest.raises(ValueError, match="training basins: expected at least one"):
        make(num_basins=0)
