import math
from typing import get_args

import pytest
import torch

from dmg import config
from dmg.losses import LOSSES, KgeBatch, KgeNormBatch, Loss, NseBatch, RangeBound, Rmse

NAN = math.nan
RECORD = [[1, 4], [2, 1], [5, NAN], [3, 2], [0.5, 8], [1.5, 3]]
OBS = torch.tensor(RECORD[1:5], dtype=torch.float64)
SIM = torch.tensor([[1.5, 1.2], [4, 3], [3.5, 2.5], [1, 6]], dtype=torch.float64)
STD = torch.tensor([1.490712, 2.4166093], dtype=torch.float64)
BASIN = torch.arange(2)
NAMES = sorted(LOSSES)


def make(name: str, **options: float) -> Loss:
    cls = LOSSES[name]
    return cls(STD, **options) if cls.needs_target_std else cls(**options)


@pytest.mark.parametrize(
    ("name", "expected"),
    [  # published implementation, float32
        ("mse", 0.86285716),
        ("rmse", 0.92890102),
        ("rmse_comb", 0.71346939),
        ("nse_batch", 0.19556706),
        ("nse_sqrt_batch", 0.37778562),
        ("kge_batch", 0.35325336),
        ("kge_norm_batch", 0.52208018),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_golden_values(name, expected, dtype):
    loss = make(name)(SIM.to(dtype), OBS.to(dtype), BASIN)
    assert loss.item() == pytest.approx(expected, rel=3e-7)


def test_names_are_those_of_the_configuration():
    union = get_args(get_args(config.Loss)[0])
    assert sorted(s.model_fields["name"].default for s in union) == NAMES


@pytest.mark.parametrize("section", get_args(get_args(config.Loss)[0]))
def test_every_option_of_the_configuration_is_taken(section):
    options = section().model_dump(exclude={"standardized"})  # `build` turns it into a unit
    assert isinstance(make(options.pop("name"), **options), Loss)


@pytest.mark.parametrize("name", NAMES)
def test_batch_without_targets_is_exactly_zero(name):
    sim = SIM.clone().requires_grad_()
    loss = make(name)(sim, torch.full_like(OBS, NAN), BASIN)
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(sim.grad, torch.zeros_like(sim))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0.0, 2.0])
def test_gradient_is_finite_where_all_is_equal(name, value):
    sim = torch.full((3, 2), value, requires_grad=True)
    loss = make(name)(sim, torch.full((3, 2), value), BASIN)
    loss.backward()
    assert torch.isfinite(sim.grad).all()


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_finite_for_negative_flow(name):
    sim = (-SIM).requires_grad_()
    make(name)(sim, OBS, BASIN).backward()
    assert torch.isfinite(sim.grad).all()
    if not name.startswith("kge"):  # an efficiency weighs values against each other
        assert (sim.grad[torch.isfinite(OBS)] < 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_gradient_is_that_of_finite_differences(name):
    sim = SIM.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: make(name)(p, OBS, BASIN), sim)


@pytest.mark.parametrize("name", NAMES)
def test_missing_values_change_nothing(name):
    gap = torch.full((1, 2), NAN, dtype=torch.float64)
    longer = make(name)(torch.cat([SIM, gap]), torch.cat([OBS, gap]), BASIN)
    assert longer.item() == make(name)(SIM, OBS, BASIN).item()


@pytest.mark.parametrize("name", NAMES)
def test_sums_of_parts_are_sums_of_the_whole(name):
    loss = make(name)
    mask = torch.isfinite(OBS)
    parts = [loss.sums(SIM[:, [b]], OBS[:, [b]], mask[:, [b]], BASIN[[b]]) for b in (0, 1)]
    total = {key: parts[0][key] + parts[1][key] for key in parts[0]}
    assert loss.finalize(total).item() == pytest.approx(loss(SIM, OBS, BASIN).item(), rel=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_order_of_basins_does_not_matter(name):
    flipped = make(name)(SIM.flip(1), OBS.flip(1), BASIN.flip(0))
    assert flipped.item() == pytest.approx(make(name)(SIM, OBS, BASIN).item(), rel=1e-14)


def test_invalid_values_of_the_simulation_do_not_matter_where_masked():
    sim = torch.where(torch.isfinite(OBS), SIM, NAN).requires_grad_()
    Rmse()(sim, OBS, BASIN).backward()
    assert torch.isfinite(sim.grad).all()


def test_nse_batch_without_epsilon_is_one_minus_nse():
    obs = torch.tensor(RECORD, dtype=torch.float64)[:, :1]
    sim = obs * 0.9 + 0.3
    loss = NseBatch(obs.std(0, correction=0), epsilon=0.0)(sim, obs, torch.zeros(1).long())
    nse = 1 - ((sim - obs) ** 2).sum() / ((obs - obs.mean()) ** 2).sum()
    assert loss.item() == pytest.approx(1 - nse.item())


def test_untrained_basin_may_have_no_standard_deviation():
    loss = NseBatch(torch.tensor([1.0, NAN]))
    assert torch.isfinite(loss(SIM[:, :1], OBS[:, :1], BASIN[:1]))


def test_constant_target_without_epsilon_is_refused():
    with pytest.raises(ValueError, match=r"target_std: expected positive .* found 0"):
        NseBatch(torch.tensor([1.0, 0.0]), epsilon=0.0)


def test_range_bound_golden_value():
    assert RangeBound()(SIM, OBS, BASIN).item() == pytest.approx(7.0, abs=1e-6)
    assert RangeBound(0, 10, 3)(SIM, OBS, BASIN).item() == 0.0
    assert RangeBound(2, 10, 3)(SIM, OBS, BASIN).item() == pytest.approx(3 * 2.3 / 2)


def test_range_bound_refuses_an_empty_range():
    with pytest.raises(ValueError, match=r"expected lower <= upper, found 2 > 1; exchange them"):
        RangeBound(2, 1)


@pytest.mark.parametrize("cls", [KgeBatch, KgeNormBatch])
def test_kge_of_windows_is_the_mean_of_each(cls):
    both = cls(per_window=True)(SIM, OBS, BASIN)
    each = [cls()(SIM[:, [i]], OBS[:, [i]], BASIN[[i]]) for i in (0, 1)]
    assert both.item() == pytest.approx(sum(each).item() / 2)
    lonely = OBS.clone()
    lonely[1:, 0] = NAN
    assert cls(per_window=True)(SIM, lonely, BASIN).item() == pytest.approx(each[1].item())
    sim = SIM.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: cls(per_window=True)(p, OBS, BASIN), sim)


def test_kge_is_that_of_the_metric_without_epsilon():
    from dmg.metrics import evaluate

    sim, obs = (x[:, [0]].T.numpy() for x in (SIM, OBS))
    expected = 1 - evaluate(sim, obs, ["kge"])["kge"][0]
    loss = KgeBatch(epsilon=0.0)(SIM[:, [0]], OBS[:, [0]], BASIN[:1])
    assert loss.item() == pytest.approx(expected)
