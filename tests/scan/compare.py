"""Both backends on the same numbers, in single precision too."""

import torch
from torch import Tensor

from dmg.testing.compare import Case, assert_equal, error, model_case, results

__all__ = ["Case", "assert_equal", "assert_single_precision", "error", "model_case", "results"]


def typical_error(found: Tensor, expected: Tensor) -> float:
    """Return the error of all but the worst tenth: on a kink, rounding decides the side."""
    scale = expected.abs().max().clamp(min=1e-300)
    return float(((found.double() - expected).abs() / scale).flatten().quantile(0.9))


def assert_single_precision(case: Case) -> None:
    """In float32 the error is at most twice the eager one, and a few units in the last place."""
    exact = results(case.to(torch.float64), "eager")
    fused, eager = (results(case.to(torch.float32), b) for b in ("fused", "eager"))
    for truth, ours, theirs in zip(exact, fused, eager, strict=True):
        for t, o, e in zip(truth, ours, theirs, strict=True):
            allowed = 2 * typical_error(e, t) + 4 * torch.finfo(torch.float32).eps
            assert typical_error(o, t) <= allowed
