"""Fused kernels on a CUDA device equal those of the CPU."""

import pytest
import torch

from dmg.phy import MODELS
from dmg.scan import scan
from tests.scan.compare import Case, error, model_case, results
from tests.scan.test_operations import OPERATIONS, grid, operations, values_and_slopes

pytestmark = pytest.mark.gpu
SIZES = [(1, 1, 1), (7, 3, 5), (40, 1, 1), (300, 100, 16), (20, 5000, 4), (9, 40, 100)]


def on_gpu(case: Case) -> Case:
    """Return the same case on the device."""
    return Case(
        case.step,
        type(case.state)(*(s.cuda() for s in case.state)),
        {n: f.cuda() for n, f in case.forcing.items()},
        {n: p.cuda() for n, p in case.parameters.items()},
    )


def assert_equal(case: Case, tolerance: float, **options: object) -> None:
    expected = results(case, "fused", **options)
    found = results(on_gpu(case), "fused", **options)
    for ours, theirs in zip(found, expected, strict=True):
        assert all(t.is_cuda for t in ours)
        assert max(error([t.cpu() for t in ours], theirs)) < tolerance


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-3)])
def test_equals_cpu(
    name: str, size: tuple[int, int, int], dtype: torch.dtype, tolerance: float
) -> None:
    assert_equal(model_case(MODELS[name](), size, dynamic=True).to(dtype), tolerance)


@pytest.mark.parametrize("every", [1, 2, 7, 50])
def test_recomputing(every: int) -> None:
    case = model_case(MODELS["hbv_1_0"](), (50, 37, 5))
    assert_equal(case, 1e-10, checkpoint_every=every)


def test_mean_over_components() -> None:
    case = model_case(MODELS["hbv_1_0"](), (50, 37, 5))
    assert_equal(case, 1e-10, mean=True, outputs=["streamflow"])


def test_same_numbers_every_time() -> None:
    case = on_gpu(model_case(MODELS["hbv_1_0"](), (100, 37, 16), dynamic=True).to(torch.float32))
    first, again = (results(case, "fused", mean=True) for _ in range(2))
    assert all(map(torch.equal, first[0] + first[1], again[0] + again[1]))


def test_nan_stays_in_its_element() -> None:
    case = on_gpu(model_case(MODELS["hbv_1_0"](), (6, 5, 4)))
    expected = scan(*case, backend="fused")[0]["streamflow"]
    case.parameters["FC"][3, 2] = torch.nan
    found = scan(*case, backend="fused")[0]["streamflow"]
    bad = torch.zeros_like(found, dtype=torch.bool)
    bad[:, 3, 2] = True
    assert torch.equal(found[~bad], expected[~bad])
    assert found[bad].isnan().all()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_every_operation(dtype: torch.dtype, tolerance: float) -> None:
    x, y = grid([-3.7, -2.0, -1.0, -0.3, 0.2, 0.5, 0.9, 1.0, 1.5, 2.0, 2.5, 4.25], dtype)
    expected = values_and_slopes(operations, OPERATIONS, x, y, "eager")
    found = values_and_slopes(operations, OPERATIONS, x.cuda(), y.cuda(), "fused")
    for name in OPERATIONS:
        for ours, theirs in zip(found[name], expected[name], strict=True):
            torch.testing.assert_close(
                ours.cpu(), theirs, rtol=tolerance, atol=tolerance, equal_nan=True,
                msg=lambda m, name=name: f"{name}: {m}",
            )  # fmt: skip
