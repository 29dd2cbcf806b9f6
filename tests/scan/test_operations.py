"""Every operation alone, on ordinary and on special values; and what cannot be fused."""

import logging
from collections import namedtuple
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dmg.scan import scan
from dmg.scan.report import report_once

OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": lambda x, y: torch.add(x, y, alpha=3),
    "sub": lambda x, y: x - y,
    "rsub": lambda x, y: 2 - x,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "floor_divide": lambda x, y: torch.div(x, y, rounding_mode="floor"),
    "trunc_divide": lambda x, y: torch.div(x, y, rounding_mode="trunc"),
    "remainder": lambda x, y: torch.remainder(x, y),
    "fmod": lambda x, y: torch.fmod(x, y),
    "pow": lambda x, y: x**y,
    "pow_number": lambda x, y: x**1.7,
    "number_pow": lambda x, y: 2**x,
    "square": lambda x, y: x**2,
    "cube": lambda x, y: x**3,
    "root": lambda x, y: x**0.5,
    "inverse": lambda x, y: x**-1,
    "inverse_square": lambda x, y: x**-2,
    "reciprocal": lambda x, y: 1 / x,
    "rsqrt": lambda x, y: torch.rsqrt(x),
    "sqrt": lambda x, y: torch.sqrt(x),
    "neg": lambda x, y: -x,
    "abs": lambda x, y: x.abs(),
    "sign": lambda x, y: torch.sign(x),
    "exp": lambda x, y: torch.exp(x),
    "exp2": lambda x, y: torch.exp2(x),
    "expm1": lambda x, y: torch.expm1(x),
    "log": lambda x, y: torch.log(x),
    "log2": lambda x, y: torch.log2(x),
    "log10": lambda x, y: torch.log10(x),
    "log1p": lambda x, y: torch.log1p(x),
    "sigmoid": lambda x, y: torch.sigmoid(x),
    "tanh": lambda x, y: torch.tanh(x),
    "erf": lambda x, y: torch.erf(x),
    "sin": lambda x, y: torch.sin(x),
    "cos": lambda x, y: torch.cos(x),
    "tan": lambda x, y: torch.tan(x),
    "asin": lambda x, y: torch.asin(x),
    "acos": lambda x, y: torch.acos(x),
    "atan": lambda x, y: torch.atan(x),
    "atan2": lambda x, y: torch.atan2(x, y),
    "sinh": lambda x, y: torch.sinh(x),
    "cosh": lambda x, y: torch.cosh(x),
    "floor": lambda x, y: torch.floor(x),
    "ceil": lambda x, y: torch.ceil(x),
    "trunc": lambda x, y: torch.trunc(x),
    "round": lambda x, y: torch.round(x),
    "minimum": lambda x, y: torch.minimum(x, y),
    "maximum": lambda x, y: torch.maximum(x, y),
    "clamp": lambda x, y: x.clamp(-0.5, 1),
    "clamp_low": lambda x, y: x.clamp(min=0),
    "clamp_tensor": lambda x, y: x.clamp(max=y),
    "relu": lambda x, y: F.relu(x),
    "softplus": lambda x, y: F.softplus(x),
    "silu": lambda x, y: F.silu(x),
    "gelu": lambda x, y: F.gelu(x),
    "elu": lambda x, y: F.elu(x),
    "leaky_relu": lambda x, y: F.leaky_relu(x),
    "hardtanh": lambda x, y: F.hardtanh(x),
    "logaddexp": lambda x, y: torch.logaddexp(x.clamp(-9, 9), y.clamp(-9, 9)),
    "where": lambda x, y: torch.where(x > y, x, y + 1),
    "where_number": lambda x, y: torch.where(x > 0, 2.0, y),
    "comparisons": lambda x, y: (
        torch.where((x < y) | (x == 1) & ~(y >= 2), x, y * 3) + (x <= y) * x
    ),
    "logical": lambda x, y: torch.where(torch.logical_and(x != y, torch.logical_not(x > 1)), x, y),
    "mask": lambda x, y: (x > y).to(x.dtype) * x,
    "masked_fill": lambda x, y: x.masked_fill(y > 0, 7.0),
    "is_nan": lambda x, y: torch.where(x.isnan() | y.isinf(), 1.0, x),
    "nan_to_num": lambda x, y: torch.nan_to_num(x),
    "lerp": lambda x, y: torch.lerp(x, y, 0.3),
    "addcmul": lambda x, y: torch.addcmul(x, x, y),
    "constant": lambda x, y: x * torch.tensor(0.25) + torch.full_like(y, 2.0) + torch.zeros_like(x),
    "numbers": lambda x, y: torch.zeros(()) + 3.5,
    "not_a_number": lambda x, y: torch.maximum(x, torch.tensor(torch.nan)),
    "infinite": lambda x, y: torch.minimum(x, torch.tensor(torch.inf)),
    "same": lambda x, y: x,
}

# PyTorch's own kernels and decompositions differ at infinity or NaN
DISPUTED = {"gelu", "hardtanh"}

Values = namedtuple("Values", list(OPERATIONS))
Empty = namedtuple("Empty", [])


def operations(state: Any, forcing: dict[str, Tensor], _: Any) -> tuple[Any, Any]:
    """Each operation has forcings of its own, so that one adjoint gives all slopes apart."""
    return state, Values(*(f(forcing[f"x {n}"], forcing[f"y {n}"]) for n, f in OPERATIONS.items()))


def mutations(state: Any, forcing: dict[str, Tensor], _: Any) -> tuple[Any, Any]:
    z = forcing["x z"].clone()
    z += forcing["y z"]
    z[z > 0.5] = 0.25
    z.clamp_(min=0.1)
    return state, namedtuple("Flux", ["z"])(z)


def values_and_slopes(
    step: Any, names: Iterable[str], x: Tensor, y: Tensor, backend: str
) -> dict[str, list[Tensor]]:
    forcing = {
        f"{v} {n}": {"x": x, "y": y}[v].clone().requires_grad_() for n in names for v in "xy"
    }
    parameters = {"unused": x.new_ones(x.shape[1], 1)}
    fluxes, _ = scan(step, Empty(), forcing, parameters, backend=backend)
    results = [f for f in fluxes.values() if f.requires_grad]
    sums = [f.sum() for f in results]
    slopes = torch.autograd.grad(sums, [*forcing.values()], allow_unused=True)
    known = dict(zip(forcing, slopes, strict=True))
    return {
        name: [flux.detach().to(x.dtype).reshape(len(flux), -1).expand(x.shape)]
        + [
            torch.zeros_like(x) if known[k] is None else known[k]
            for k in (f"x {name}", f"y {name}")
        ]
        for name, flux in fluxes.items()
    }


def grid(values: list[float], dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return every pair of the values, as series of several basins."""
    pairs = torch.cartesian_prod(*[torch.tensor(values, dtype=dtype)] * 2)
    x, y = pairs.unbind(-1)
    return x.reshape(len(values), -1), y.reshape(len(values), -1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["ordinary", "special"])
def test_equals_pytorch(dtype: torch.dtype, kind: str) -> None:
    ordinary = [-3.7, -2.0, -1.0, -0.3, 0.2, 0.5, 0.9, 1.0, 1.5, 2.0, 2.5, 4.25]
    special = [0.0, -0.0, torch.inf, -torch.inf, torch.nan, 1.0, -1.0, 1e-40, 87.0, -104.0, 1e30]
    x, y = grid(ordinary if kind == "ordinary" else special, dtype)
    found, expected = (
        values_and_slopes(operations, OPERATIONS, x, y, b) for b in ("fused", "eager")
    )
    tolerance = {torch.float32: 2e-6, torch.float64: 1e-13}[dtype]
    for name in OPERATIONS.keys() - (DISPUTED if kind == "special" else set()):
        for ours, theirs in zip(found[name], expected[name], strict=True):
            torch.testing.assert_close(
                ours, theirs, rtol=tolerance, atol=tolerance, equal_nan=True,
                msg=lambda m, name=name: f"{name}: {m}",
            )  # fmt: skip


def test_mutation_of_own_values() -> None:
    x, y = grid([-1.0, 0.2, 0.3, 0.6], torch.float64)
    found, expected = (values_and_slopes(mutations, "z", x, y, b) for b in ("fused", "eager"))
    assert all(map(torch.equal, found["z"], expected["z"]))


Flux = namedtuple("Flux", ["flux"])


class TestUnsupported:
    """The text names the operation; "auto" falls back with one line in the log."""

    @staticmethod
    def run(of: Callable[[Tensor], Any], backend: str = "fused", **data: Any) -> Any:
        def step(state: Any, forcing: dict[str, Tensor], _: Any) -> tuple[Any, Any]:
            return state, Flux(of(forcing["x"]))

        x = data.get("x", torch.rand(3, 2))
        return scan(step, data.get("state", ()), {"x": x}, {"a": torch.ones(2, 1, dtype=x.dtype)},
                    backend=backend)  # fmt: skip

    @pytest.mark.parametrize(("of", "message"), [
        (lambda x: torch.special.i0(x), "i0.default is not a pointwise operation"),
        (lambda x: x.cumsum(0), r"aten\.cumsum\.default is not a pointwise operation"),
        (lambda x: x.sum() + x, r"aten\.sum\.dim_IntList is not a pointwise operation"),
        (lambda x: x.T, r"aten\.\w+\.\w+ is not a pointwise|mixes elements"),
        (lambda x: x * torch.rand(2, 3), "is not a pointwise operation|tensor of several values"),
        (lambda x: x.long() + x, r"aten\._to_copy\.default gives torch.int64"),
        (lambda x: x if x.sum() > 0 else -x, "the step cannot be traced: .*value"),
        (lambda x: x * float(x.max()), "the step cannot be traced: .*value"),
        (lambda x: 1.0, r"must return tensors in its state and fluxes, found 1\.0"),
    ])  # fmt: skip
    def test_step(self, of: Callable[[Tensor], Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            self.run(of)

    def test_tensor_from_outside(self) -> None:
        table = torch.rand(2, 3)
        with pytest.raises(ValueError, match="holds a tensor of several values"):
            self.run(lambda x: x * table)

    @pytest.mark.parametrize(("data", "message"), [
        ({"x": torch.rand(3, 2, dtype=torch.float16)}, "must be all float32 or all float64"),
        ({"x": torch.rand(3, 2), "state": {}}, "must be a .named. tuple"),
        ({"x": torch.rand(3, 2).to("meta")}, "no compiled loop for the device meta"),
        ({"x": torch.rand(0, 2)}, "of at least one step"),
        ({"x": torch.rand(2)}, "of at least one step"),
        ({"x": torch.rand(3, 5)}, r"states \[B, E\], forcings \[T, B\] or \[B\]"),
        ({"x": torch.rand(3, 2), "state": (torch.ones(2, 1, dtype=torch.float64),)}, "all float32"),
    ])  # fmt: skip
    def test_data(self, data: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            self.run(lambda x: x, **data)

    def test_no_values_at_all(self) -> None:
        with pytest.raises(ValueError, match="needs a state, forcing or parameter"):
            scan(lambda s, f, p: ((), ()), (), {}, {}, backend="fused")

    def test_inside_a_transform(self) -> None:
        with pytest.raises(ValueError, match=r"torch\.func cannot look into"):
            torch.func.grad(lambda x: self.run(torch.sin, x=x)[0]["flux"].sum())(torch.rand(3, 2))

    def test_auto_falls_back(self, caplog: pytest.LogCaptureFixture) -> None:
        report_once.cache_clear()
        x = torch.rand(3, 2)
        with caplog.at_level(logging.WARNING, "dmg.scan"):
            for _ in range(3):
                fluxes, _ = self.run(torch.special.i0, backend="auto", x=x)
        torch.testing.assert_close(fluxes["flux"], torch.special.i0(x).unsqueeze(-1))
        assert len(caplog.records) == 1
        assert "scan runs eagerly, many times slower: aten." in caplog.text

    def test_unknown_backend(self) -> None:
        with pytest.raises(ValueError, match="unknown backend 'gpu'; choose from"):
            self.run(torch.sin, backend="gpu")
