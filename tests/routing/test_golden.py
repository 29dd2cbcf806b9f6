"""Five reaches of a published program, which an independent dense solve in float64 confirms."""

import pytest
import torch
from torch import Tensor

from dmg.routing import MuskingumCunge, Reaches, accumulate
from dmg.routing.channel import muskingum_weights, section
from tests.routing.networks import FIVE

# six digits of a program in float32, whose log scale begins at its lower bound plus 1e-6
TOLERANCE = {"atol": 1.5e-6, "rtol": 6e-7}

LATERAL = torch.tensor([0.5, 0.8, 0.3, 0.4, 0.2], dtype=torch.float64)
RISE = torch.tensor([1, 1, 2, 6, 10, 8, 5, 3, 2, 1.5, 1.2, 1], dtype=torch.float64)
DISCHARGE = """
0.500000 0.500000 0.500000 0.845338 2.501835 4.846194
3.962947 2.482783 1.561704 1.076500 0.813400 0.650586
0.800000 0.800000 0.800000 1.209398 3.233797 6.566450
6.432506 4.482676 2.926502 2.018084 1.500701 1.180499
1.600000 1.600000 1.600000 1.796457 3.198056 7.650645
12.703028 11.149961 7.624138 5.224012 3.789159 2.911616
2.000000 2.000000 2.000000 2.147662 2.879224 4.492017
7.531170 11.758795 12.022475 9.596412 7.238655 5.520316
2.200000 2.200000 2.200000 2.270468 2.662896 3.517680
4.544913 6.387624 9.749128 11.371339 10.359692 8.518061
"""
SECTION = {
    "depth": "0.174018 0.247192 0.381326 0.455424 0.526074",
    "top_width": "7.026707 8.085898 9.616861 10.324785 10.937894",
    "bottom_width": "4.216017 4.851531 5.770107 6.194860 6.562725",
    "side_slope": "8.075873 6.542222 5.043918 4.534159 4.158321",
    "area": "0.978216 1.599013 2.933726 3.761718 4.603310",
    "perimeter": "7.048172 8.123465 9.691734 10.424036 11.062628",
    "radius": "0.138790 0.196839 0.302704 0.360870 0.416114",
    "velocity": "0.492338 0.481401 0.523680 0.509900 0.457805",
    "celerity": "0.820563 0.802335 0.872801 0.849833 0.763008",
}
WEIGHTS = {
    "inflow_next": "0.064768 -0.063038 0.014009 -0.122067 -0.115820",
    "inflow": "0.625907 0.574785 0.605604 0.551173 0.553672",
    "discharge": "0.309325 0.488252 0.380387 0.570894 0.562148",
    "lateral": "0.690675 0.511747 0.619613 0.429107 0.437852",
}


def numbers(text: str) -> Tensor:
    return torch.tensor([float(word) for word in text.split()], dtype=torch.float64)


def five() -> Reaches:
    length = numbers("4000 6000 5000 8000 7000")
    return Reaches(torch.tensor(FIVE), length, numbers("0.005 0.003 0.002 0.0015 0.0005"))


def parameters() -> dict[str, Tensor]:
    """Of fractions 0.1, 0.4 and 0.5 between the bounds."""
    fractions = {"n": 0.1, "q_spatial": 0.4, "p_spatial": 0.5}
    scores = {name: numbers(str(f)).logit() for name, f in fractions.items()}
    return {n: MuskingumCunge.PARAMETERS[n].value(s).expand(5) for n, s in scores.items()}


def test_bounds_and_scales_of_the_parameters() -> None:
    found = {name: value[0].item() for name, value in parameters().items()}
    assert found == pytest.approx({"n": 0.0385, "q_spatial": 0.4, "p_spatial": 14.142143}, rel=1e-6)


def test_a_stream_starts_from_steady_flow() -> None:
    expected = numbers("0.5 0.8 1.6 2.0 2.2")
    torch.testing.assert_close(accumulate(LATERAL, five()), expected)


def test_cross_section_and_weights() -> None:
    flow = accumulate(LATERAL, five())
    found = section(flow, parameters(), five())
    for name, text in SECTION.items():
        torch.testing.assert_close(getattr(found, name), numbers(text), **TOLERANCE)
    weights = muskingum_weights(found.celerity, five(), 3600.0)
    for name, text in WEIGHTS.items():
        torch.testing.assert_close(getattr(weights, name), numbers(text), **TOLERANCE)
    total = weights.inflow_next + weights.inflow + weights.discharge
    torch.testing.assert_close(total, torch.ones(5, dtype=torch.float64))


@pytest.mark.parametrize("backend", ["eager", "fused"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_twelve_hours(backend: str, dtype: torch.dtype) -> None:
    routing = MuskingumCunge(substeps=1, timestep=3600.0, backend=backend)
    inflow = (RISE[:, None] * LATERAL).to(dtype)
    discharge, state = routing(inflow, parameters(), five())
    expected = numbers(DISCHARGE).reshape(5, 12).T
    torch.testing.assert_close(discharge.double(), expected, **TOLERANCE)
    assert torch.equal(state.discharge, discharge[-1])
