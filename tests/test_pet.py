"""Oracle values at 40 degrees north on four days: published formulas, computed independently."""

import dask.array as da
import numpy as np
import pytest
import torch

from dmg import pet

DAY = np.array([15.0, 105.0, 196.0, 288.0])
TMIN = np.array([-5.0, 6.0, 18.0, 8.0])
TMAX = np.array([4.0, 20.0, 33.0, 22.0])
SRAD = np.array([90.0, 210.0, 280.0, 150.0])
LAT = np.full(4, 40.0)
ELEVATION = np.full(4, 300.0)

RADIATION = [15.011376, 34.672410, 40.799483, 22.467424]
HOURS = [9.465891, 13.076467, 14.568245, 10.902140]
HARGREAVES = [0.731099, 3.749617, 6.420616, 2.587501]
PRIESTLEY_TAYLOR = [0.429757, 3.097496, 5.685512, 1.769385]
HAMON = [0.409599, 1.916245, 5.028917, 1.532114]

UCCLE = {  # FAO-56, example 18: 6 July, 50.8 degrees north, 100 m
    "temperature_min": 12.3,
    "temperature_max": 21.5,
    "vapour_pressure": 1409.0,
    "wind": 2.078,
    "shortwave": 22.07 / pet.MJ_PER_WATT_DAY,
    "radiation": 41.09,
    "elevation": 100.0,
}

KINDS = {
    "numpy": np.asarray,
    "dask": lambda x: da.from_array(x, chunks=2),
    "torch": torch.as_tensor,
}


@pytest.fixture(params=sorted(KINDS))
def kind(request):
    return KINDS[request.param]


def close(found, expected, rtol=0.0):
    np.testing.assert_allclose(np.asarray(found), expected, rtol=rtol, atol=6e-7)


def test_extraterrestrial_radiation(kind):
    close(pet.extraterrestrial_radiation(kind(LAT), kind(DAY)), RADIATION)


def test_day_length(kind):
    close(pet.day_length(kind(LAT), kind(DAY)) / 3600, HOURS)


def test_hargreaves(kind):
    radiation = pet.extraterrestrial_radiation(kind(LAT), kind(DAY))
    close(
        pet.hargreaves(kind(TMIN), kind(TMAX), radiation), HARGREAVES, 5e-6
    )  # rounded constants there


def test_priestley_taylor(kind):
    radiation = pet.extraterrestrial_radiation(kind(LAT), kind(DAY))
    found = pet.priestley_taylor(
        kind(TMIN), kind(TMAX), kind(SRAD), radiation, kind(ELEVATION)
    )  # fmt: skip
    close(found, PRIESTLEY_TAYLOR)


def test_hamon(kind):
    hours = np.array([9.5, 13.2, 14.8, 11.1])
    close(pet.hamon(kind((TMIN + TMAX) / 2), kind(3600 * hours)), HAMON)


def test_penman_monteith_gives_the_published_example(kind):
    found = pet.penman_monteith(**{name: kind(np.array([x])) for name, x in UCCLE.items()})
    np.testing.assert_allclose(np.asarray(found), 3.88, rtol=0, atol=0.005)


def test_penman_monteith_by_hand():
    """Terms of the same example as FAO-56 prints them, rounded."""
    slope, gamma, net, deficit = 0.122, 0.0666, 13.28, 1.997 - 1.409
    drying = gamma * 900 / (16.9 + 273) * 2.078 * deficit
    by_hand = (0.408 * slope * net + drying) / (slope + gamma * (1 + 0.34 * 2.078))
    found = pet.penman_monteith(**{name: np.array(x) for name, x in UCCLE.items()})
    assert by_hand == pytest.approx(float(found), abs=0.01)


def test_without_wind_only_energy_evaporates():
    def found(**changes):
        return pet.penman_monteith(**{n: np.array(x) for n, x in (UCCLE | changes).items()})

    assert found(wind=0.0) < found(wind=1.0) < found(wind=5.0)
    assert found(shortwave=0.0) > found(shortwave=0.0, wind=0.0) == 0


FORMULAS = {
    "hargreaves": (pet.hargreaves, (TMIN, TMAX, np.array(RADIATION))),
    "priestley_taylor": (pet.priestley_taylor, (TMIN, TMAX, SRAD, np.array(RADIATION), ELEVATION)),
    "hamon": (pet.hamon, ((TMIN + TMAX) / 2, 3600 * np.array(HOURS))),
    "penman_monteith": (
        pet.penman_monteith,
        (TMIN, TMAX, np.full(4, 450.0), np.array([1.0, 2, 3, 4]), SRAD, np.array(RADIATION),
         ELEVATION),
    ),
    "extraterrestrial_radiation": (pet.extraterrestrial_radiation, (LAT, DAY)),
    "day_length": (pet.day_length, (LAT, DAY)),
    "daily_shortwave": (pet.daily_shortwave, (SRAD, 3600 * np.array(HOURS))),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_torch_equals_numpy(name):
    formula, arguments = FORMULAS[name]
    found = formula(*map(torch.as_tensor, arguments))
    np.testing.assert_allclose(found.numpy(), formula(*arguments), rtol=1e-12)


@pytest.mark.parametrize("name", FORMULAS)
def test_gradient_is_the_slope(name):
    formula, arguments = FORMULAS[name]
    inputs = [torch.as_tensor(x).clone().requires_grad_() for x in arguments]
    assert torch.autograd.gradcheck(formula, inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FORMULAS)
def test_gradient_is_finite_and_of_the_type_given(name, dtype):
    formula, arguments = FORMULAS[name]
    for factor in (0.0, 1.0):  # all zero: no light, no vapour, no temperature range
        inputs = [torch.as_tensor(factor * x, dtype=dtype).requires_grad_() for x in arguments]
        found = formula(*inputs)
        assert found.dtype == dtype
        for gradient in torch.autograd.grad(found.sum(), inputs):
            assert gradient.isfinite().all()


@pytest.mark.parametrize("latitude", [-90.0, -80.0, 80.0, 90.0])
@pytest.mark.parametrize("formula", [pet.day_length, pet.extraterrestrial_radiation])
def test_gradient_is_finite_in_polar_day_and_night(formula, latitude):
    day = torch.tensor([10.0, 80.0, 172.0, 355.0], dtype=torch.float64)
    place = torch.full((4,), latitude, dtype=torch.float64, requires_grad=True)
    formula(place, day).sum().backward()
    assert place.grad.isfinite().all()


def test_light_flows_through_radiation_to_evapotranspiration():
    """From latitude to PET in one graph, as a model that learns either would use it."""
    latitude = torch.tensor([40.0, 52.0], dtype=torch.float64, requires_grad=True)
    low, high = (torch.tensor(x).unsqueeze(-1) for x in (TMIN, TMAX))
    day = torch.tensor(DAY).unsqueeze(-1)
    radiation = pet.extraterrestrial_radiation(latitude, day)
    found = pet.hargreaves(low, high, radiation)
    assert found.shape == (4, 2)
    found.sum().backward()
    assert (latitude.grad < 0).all()


def test_result_is_of_the_kind_given():
    radiation = da.from_array(np.array(RADIATION), chunks=2)
    tmin, tmax = da.from_array(TMIN, chunks=2), da.from_array(TMAX, chunks=2)
    assert isinstance(pet.hargreaves(tmin, tmax, radiation), da.Array)
    assert pet.hargreaves(*(np.float32(x) for x in (TMIN, TMAX, RADIATION))).dtype == np.float32


def test_daylight_mean_becomes_a_mean_over_the_day():
    assert pet.daily_shortwave(np.array(400.0), np.array(43200.0)) == 200.0


def test_broadcasts_basins_and_days():
    latitude, day = np.array([[30.0], [48.0]]), np.arange(1, 367)
    radiation = pet.extraterrestrial_radiation(latitude, day)
    assert radiation.shape == (2, 366)
    assert (radiation[0] > radiation[1]).sum() > 300
    assert pet.extraterrestrial_radiation(latitude[:, 0], day[:, None]).shape == (366, 2)


def test_polar_night_is_dark_and_gives_no_nan():
    latitude, day = np.array(80.0), np.array(355.0)
    assert pet.day_length(latitude, day) == 0
    assert pet.day_length(-latitude, day) == pet.SECONDS_PER_DAY
    assert np.isnan(pet.day_length(np.array(np.nan), day))
    radiation = pet.extraterrestrial_radiation(latitude, day)
    assert abs(radiation) < 1e-12
    zero = np.array(0.0)
    assert pet.priestley_taylor(zero - 30, zero - 20, zero, radiation, zero) == 0


def test_never_negative_and_missing_stays_missing():
    tmin, tmax = np.array([-40.0, 5.0, np.nan, 5.0]), np.array([-30.0, 4.0, 8.0, np.nan])
    found = pet.hargreaves(tmin, tmax, np.full(4, 10.0))
    np.testing.assert_array_equal(found, [0, 0, np.nan, np.nan])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("spread", [0.0, -3.0, 1e-12])
def test_gradient_is_finite_where_the_temperature_range_is_zero(spread, dtype):
    tmin = torch.tensor([10.0], dtype=dtype, requires_grad=True)
    tmax = (tmin.detach() + spread).requires_grad_()
    found = pet.hargreaves(tmin, tmax, torch.tensor([20.0], dtype=dtype))
    found.sum().backward()
    assert torch.isfinite(tmin.grad).all()
    assert torch.isfinite(tmax.grad).all()
    assert abs(tmax.grad) < 100
