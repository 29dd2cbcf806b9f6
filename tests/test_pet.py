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
    radiation = pet.extraterrestrial_radiation(latitude, day)
    assert abs(radiation) < 1e-12
    zero = np.array(0.0)
    assert pet.priestley_taylor(zero - 30, zero - 20, zero, radiation, zero) == 0


def test_never_negative_and_missing_stays_missing():
    tmin, tmax = np.array([-40.0, 5.0, np.nan, 5.0]), np.array([-30.0, 4.0, 8.0, np.nan])
    found = pet.hargreaves(tmin, tmax, np.full(4, 10.0))
    np.testing.assert_array_equal(found, [0, 0, np.nan, np.nan])


@pytest.mark.parametrize("name", ["hargreaves", "priestley_taylor"])
def test_gradient(name):
    tensors = [torch.as_tensor(x) for x in (TMIN, TMAX, SRAD, np.array(RADIATION), ELEVATION)]
    inputs = tensors if name == "priestley_taylor" else [tensors[0], tensors[1], tensors[3]]
    inputs = [x.clone().requires_grad_() for x in inputs]
    assert torch.autograd.gradcheck(getattr(pet, name), inputs)


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
