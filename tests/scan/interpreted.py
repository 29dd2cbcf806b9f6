"""Triton kernels equal the plain loop, in Triton's interpreter: run by `test_triton.py`."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from torch import Tensor

from dmg.phy import MODELS
from dmg.scan import scan
from tests.scan.compare import Case, assert_equal, model_case
from tests.scan.test_operations import (
    DISPUTED,
    OPERATIONS,
    Empty,
    Flux,
    grid,
    operations,
    values_and_slopes,
)
from tests.scan.test_random_steps import LOOPS, cases, looped


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The interpreter computes with NumPy, which warns of what a GPU does silently."""
    with np.errstate(all="ignore"):
        yield


def hbv(size: tuple[int, int, int], dynamic: bool = True) -> Case:
    return model_case(MODELS["hbv_1_0"](), size, dynamic)


@pytest.mark.parametrize("size", [(1, 1, 1), (7, 3, 5), (40, 1, 1), (2, 70, 3)], ids=str)
def test_sizes(size: tuple[int, int, int]) -> None:
    assert_equal(hbv(size))


@pytest.mark.parametrize("every", [2, 3, 7])
def test_recomputing(every: int) -> None:
    assert_equal(hbv((7, 3, 5), dynamic=False), checkpoint_every=every)


@pytest.mark.parametrize("size", [(5, 3, 5), (5, 40, 1)], ids=str)
def test_mean_over_components(size: tuple[int, int, int]) -> None:
    assert_equal(hbv(size), mean=True, outputs=["streamflow", "aet"])
    weights = torch.rand(size[1:], dtype=torch.float64)
    assert_equal(hbv(size), mean=True, weights=weights, outputs=["streamflow", "aet"])


@pytest.mark.parametrize("model", list(MODELS))
def test_models(model: str) -> None:
    assert_equal(model_case(MODELS[model](), (3, 3, 2), dynamic=True))


def test_single_precision() -> None:
    case = hbv((7, 3, 5)).to(torch.float32)
    fluxes, eager = (scan(*case, backend=b)[0]["aet"] for b in ("fused", "eager"))
    assert fluxes.dtype == torch.float32
    torch.testing.assert_close(fluxes, eager)


def test_no_outputs() -> None:
    assert_equal(hbv((3, 3, 2)), outputs=[])


def test_views_and_constant_forcing() -> None:
    case = hbv((5, 6, 4))
    case.forcing["pet"] = case.forcing["pet"][0]
    case.forcing["temperature"] = case.forcing["temperature"].T.contiguous().T
    beta = case.parameters["BETA"]
    case.parameters["BETA"] = torch.cat([beta, -beta, beta], -1)[..., :4]
    case.parameters["FC"] = case.parameters["FC"][:1].expand(6, 4)
    assert_equal(case)


def test_nan_stays_in_its_element() -> None:
    case = hbv((6, 5, 4), dynamic=False)
    expected, _ = scan(*case, backend="fused")
    case.parameters["FC"][3, 2] = torch.nan
    case.forcing["precipitation"][5, 1] = torch.nan
    found, _ = scan(*case, backend="fused")
    bad = torch.zeros(6, 5, 4, dtype=torch.bool)
    bad[:, 3, 2] = bad[5:, 1] = True
    flow = found["streamflow"]
    assert torch.equal(flow[~bad], expected["streamflow"][~bad])
    assert flow[bad].isnan().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["ordinary", "special"])
def test_every_operation(dtype: torch.dtype, kind: str) -> None:
    ordinary = [-3.7, -2.0, -1.0, -0.3, 0.2, 0.9, 1.0, 2.5]
    special = [0.0, -0.0, torch.inf, -torch.inf, torch.nan, 1.0, -1.0, 87.0, -104.0, 1e30]
    x, y = (v.reshape(2, -1) for v in grid(ordinary if kind == "ordinary" else special, dtype))
    # PyTorch's elu gives NaN or not, depending on where an element lies
    names = OPERATIONS.keys() - (DISPUTED | {"elu"} if kind == "special" else set())
    found, expected = (
        values_and_slopes(operations, OPERATIONS, x, y, b) for b in ("fused", "eager")
    )
    tolerance = {torch.float32: 2e-6, torch.float64: 1e-13}[dtype]
    for name in names:
        for ours, theirs in zip(found[name], expected[name], strict=True):
            torch.testing.assert_close(
                ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=True,
                msg=lambda m, name=name: f"{name}: {m}",
            )  # fmt: skip


@settings(max_examples=4, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
@given(cases())
def test_random_steps(case: Case) -> None:
    assert_equal(case, 1e-11)


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize("every", [1, 2])
def test_loops(name: str, every: int) -> None:
    assert_equal(looped(name, (3, 7, 5)), checkpoint_every=every)


def test_without_memory() -> None:
    def step(_: Any, forcing: dict[str, Tensor], parameters: dict[str, Tensor]) -> Any:
        return Empty(), Flux(forcing["x"] * parameters["a"])

    x, a = torch.rand(4, 3, requires_grad=True), torch.rand(3, 2, requires_grad=True)
    fluxes, _ = scan(step, Empty(), {"x": x}, {"a": a}, backend="fused")
    torch.testing.assert_close(fluxes["flux"], x.unsqueeze(-1) * a)
    found = torch.autograd.grad(fluxes["flux"].sum(), [x, a])
    expected = [a.sum(-1).expand(4, 3), x.sum(0).unsqueeze(-1).expand(3, 2)]
    torch.testing.assert_close(list(found), expected)
