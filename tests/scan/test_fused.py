"""The compiled loop equals the plain one: values, gradients, and what they may depend on."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from dmg.phy import MODELS, ProcessModel
from dmg.scan import scan
from dmg.scan.fused import checkpoint_every
from dmg.scan.ir import Graph
from dmg.scan.shapes import Extent
from dmg.scan.trace import Program, Signature
from tests.scan.compare import (
    Case,
    assert_equal,
    assert_single_precision,
    error,
    model_case,
    results,
)

SIZES = [(1, 1, 1), (2, 3, 17), (2000, 1, 1), (60, 131, 1), (100, 4, 16), (9, 40, 100)]
DTYPES = [torch.float32, torch.float64]


def same(found: tuple[list[Tensor], ...], expected: tuple[list[Tensor], ...]) -> bool:
    """Return whether two results are bitwise equal."""
    return all(map(torch.equal, itertools.chain(*found), itertools.chain(*expected)))


@pytest.fixture(params=["hbv_1_0", "hbv_1_1p"])  # the contract has one case of every model
def model(request: pytest.FixtureRequest) -> ProcessModel:
    return MODELS[request.param]()


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dynamic", [False, True])
def test_equals_eager(model: ProcessModel, size: tuple[int, int, int], dynamic: bool) -> None:
    assert_equal(model_case(model, size, dynamic))


@pytest.mark.parametrize("size", [(37, 5, 3), (60, 131, 1)], ids=str)
def test_single_precision_is_as_good_as_eager(
    model: ProcessModel, size: tuple[int, int, int]
) -> None:
    assert_single_precision(model_case(model, size, dynamic=True))


def test_checkpoints_change_nothing(model: ProcessModel) -> None:
    case = model_case(model, (50, 3, 4), dynamic=True)
    expected = results(case, "fused")
    for every in (1, 2, 7, 49, 50, 1000):
        assert same(results(case, "fused", checkpoint_every=every), expected)


def test_states_are_all_stored_while_they_are_small() -> None:
    like = torch.zeros((), dtype=torch.float32)
    signature = Signature(5, (), (), torch.float32)
    program = Program(signature, (), Graph((), (0,) * 10))  # five states and their gradients
    assert checkpoint_every(like, program, Extent(365, 100, 16)) == 1
    assert checkpoint_every(like, program, Extent(365, 10_000, 4)) == 20
    assert checkpoint_every(like.double(), program, Extent(3650, 671, 16)) == 61
    with_tape = program._replace(graph=Graph((), (0,) * 15))
    assert checkpoint_every(like, with_tape, Extent(730, 100, 16)) == 1
    assert checkpoint_every(like, with_tape, Extent(3650, 100, 16)) == 61


def test_checkpoints_are_at_least_a_step_apart() -> None:
    case = model_case(MODELS["hbv_1_0"](), (5, 3, 4))
    with pytest.raises(ValueError, match="at least 1 step, found 0"):
        scan(*case, backend="fused", checkpoint_every=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_threads_change_nothing(model: ProcessModel, dtype: torch.dtype) -> None:
    case = model_case(model, (40, 300, 3), dynamic=True).to(dtype)
    expected = results(case, "fused")
    torch.set_num_threads(3)
    try:
        found = results(case, "fused")
    finally:
        torch.set_num_threads(1)
    assert same(found, expected)


def test_flushing_of_denormals_holds_for_every_thread() -> None:
    """The setting belongs to a thread; those of the kernel follow the caller."""
    case = model_case(MODELS["hbv_1_0"](), (60, 300, 3)).to(torch.float32)
    tiny = case.state._replace(SUZ=torch.full((300, 3), 1e-38, dtype=torch.float32))
    case = case._replace(state=tiny)
    case.forcing["precipitation"].zero_()
    case.parameters["PERC"].zero_()
    torch.set_flush_denormal(True)
    torch.set_num_threads(3)
    try:
        _, last = scan(*case, backend="fused")
    finally:
        torch.set_num_threads(1)
        torch.set_flush_denormal(False)
    _, exact = scan(*case, backend="fused")
    assert (exact.SUZ > 0).any()
    stored = last.SUZ.view(torch.int32)  # comparisons would flush, too
    assert ((stored == 0) | (stored >= 0x00800000)).all()


def part(case: Case, basins: slice | Tensor) -> Case:
    return Case(
        case.step,
        type(case.state)(*(s[basins] for s in case.state)),
        {n: f[..., basins] for n, f in case.forcing.items()},
        {n: p[..., basins, :] for n, p in case.parameters.items()},
    )


def streamflow(case: Case) -> Tensor:
    fluxes, _ = scan(*case, outputs=["streamflow"], backend="fused")
    return fluxes["streamflow"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_basins_are_independent(model: ProcessModel, dtype: torch.dtype) -> None:
    case = model_case(model, (50, 61, 5), dynamic=True).to(dtype)
    whole = streamflow(case)
    order = torch.randperm(61, generator=torch.Generator().manual_seed(0))
    assert torch.equal(streamflow(part(case, order)), whole[:, order])
    halves = [streamflow(part(case, half)) for half in (slice(0, 7), slice(7, None))]
    assert torch.equal(torch.cat(halves, 1), whole)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("split", [1, 11, 49])
def test_split_run_equals_whole_run(model: ProcessModel, dtype: torch.dtype, split: int) -> None:
    step, state, forcing, parameters = model_case(model, (50, 3, 4)).to(dtype)
    whole, end = scan(step, state, forcing, parameters, backend="fused")
    flows = []
    for piece in (slice(0, split), slice(split, None)):
        cut = {n: f[piece] for n, f in forcing.items()}
        fluxes, state = scan(step, state, cut, parameters, backend="fused")
        flows.append(fluxes["streamflow"])
    assert torch.equal(torch.cat(flows), whole["streamflow"])
    assert all(map(torch.equal, state, end))


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_stays_in_its_element(model: ProcessModel, dtype: torch.dtype) -> None:
    case = model_case(model, (20, 9, 4)).to(dtype)
    expected = streamflow(case)
    case.parameters["FC"][3, 2] = torch.nan
    case.forcing["precipitation"][5, 7] = torch.nan
    found = streamflow(case)
    bad = torch.zeros(20, 9, 4, dtype=torch.bool)
    bad[:, 3, 2] = True
    bad[5:, 7] = True
    assert torch.equal(found[~bad], expected[~bad])
    assert found[:, 3, 2].isnan().all() and found[5:, 7].isnan().all()


def test_gradcheck(model: ProcessModel) -> None:
    case = model_case(model, (12, 2, 2), seed=5)
    bounds = model.PARAMETERS
    for name, p in case.parameters.items():  # interior points
        low, high = bounds[name].lower, bounds[name].upper
        case.parameters[name] = 0.2 * (low + high) + 0.6 * p
    leaves = [leaf.requires_grad_() for leaf in case.leaves()]

    def total(*values: Tensor) -> Tensor:
        first, second = len(case.state), len(case.state) + len(case.forcing)
        fluxes, last = scan(
            case.step,
            type(case.state)(*values[:first]),
            dict(zip(case.forcing, values[first:second], strict=True)),
            dict(zip(case.parameters, values[second:], strict=True)),
            backend="fused",
        )
        return torch.cat([torch.stack([*fluxes.values()]).sum((0, 1)), *last])

    assert torch.autograd.gradcheck(total, leaves)


@pytest.mark.parametrize("size", [(30, 5, 16), (30, 5, 3), (30, 20, 1)], ids=str)
def test_mean_over_components(model: ProcessModel, size: tuple[int, int, int]) -> None:
    case = model_case(model, size, dynamic=True)
    assert_equal(case, mean=True, outputs=["streamflow", "aet"])
    fluxes, _ = scan(*case, backend="fused", mean=True)
    assert fluxes["streamflow"].shape == size[:2]


class TestWeightedMean:
    @pytest.fixture
    def case(self) -> Case:
        return model_case(MODELS["hbv_1_0"](), (30, 5, 3), dynamic=True).to(torch.float64)

    def weights(self) -> Tensor:
        generator = torch.Generator().manual_seed(3)
        return torch.rand(5, 3, generator=generator, dtype=torch.float64).softmax(-1)

    def test_equals_eager(self, case: Case) -> None:
        assert_equal(case, mean=True, weights=self.weights(), outputs=["streamflow", "aet"])

    def test_is_the_weighted_sum(self, case: Case) -> None:
        weights = self.weights()
        whole, _ = scan(*case, outputs=["aet"], backend="fused")
        found, _ = scan(*case, outputs=["aet"], backend="fused", mean=True, weights=weights)
        torch.testing.assert_close(found["aet"], (whole["aet"] * weights).sum(-1))

    def test_weights_learn(self, case: Case) -> None:
        weights = self.weights().requires_grad_()
        gradients = [
            torch.autograd.grad(
                scan(*case, backend=b, mean=True, weights=weights)[0]["aet"].square().sum(), weights
            )
            for b in ("fused", "eager")
        ]
        assert max(error(*gradients)) < 1e-12

    @pytest.mark.parametrize(("mean", "shape"), [(False, (5, 3)), (True, (30, 5, 3))])
    def test_refused(self, case: Case, mean: bool, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=r"weights must be \[B, E\] and need mean=True"):
            scan(*case, mean=mean, weights=torch.ones(shape))


class TestOnlyWhatIsNeeded:
    @pytest.fixture
    def case(self) -> Case:
        return model_case(MODELS["hbv_1_0"](), (30, 5, 4), dynamic=True)

    @pytest.mark.parametrize("outputs", [(), ("aet",), ("baseflow", "streamflow")])
    def test_outputs(self, case: Case, outputs: tuple[str, ...]) -> None:
        fluxes, _ = scan(*case, outputs=outputs, backend="fused")
        assert tuple(fluxes) == outputs
        assert_equal(case, outputs=outputs)

    @pytest.mark.parametrize("names", [*itertools.combinations(["FC", "BETA", "pet"], 2)])
    def test_gradients(self, case: Case, names: tuple[str, ...]) -> None:
        def gradients(backend: str) -> list[Tensor]:
            known = case.forcing | case.parameters | case.state._asdict()
            leaves = [known[name].detach().clone().requires_grad_() for name in names]
            new = known | dict(zip(names, leaves, strict=True))
            fluxes, last = scan(
                case.step,
                type(case.state)(*(new[n] for n in case.state._fields)),
                {n: new[n] for n in case.forcing},
                {n: new[n] for n in case.parameters},
                backend=backend,
            )
            return list(torch.autograd.grad(fluxes["aet"].sum() + last.SLZ.sum(), leaves))

        assert max(error(gradients("fused"), gradients("eager"))) < 1e-12

    def test_without_gradient(self, case: Case) -> None:
        parameters = {n: p.requires_grad_() for n, p in case.parameters.items()}
        with torch.no_grad():
            fluxes, _ = scan(*case._replace(parameters=parameters), backend="fused")
        assert not fluxes["aet"].requires_grad
        with torch.inference_mode():
            again, _ = scan(*case._replace(parameters=parameters), backend="fused")
        assert torch.equal(again["aet"], fluxes["aet"])

    def test_second_derivative(self, case: Case) -> None:
        fc = case.parameters["FC"].requires_grad_()
        seconds = []
        for backend in ("fused", "eager"):
            fluxes, _ = scan(*case, backend=backend)
            (first,) = torch.autograd.grad(fluxes["aet"].sum(), fc, create_graph=True)
            seconds += torch.autograd.grad(first.square().sum(), fc)
        assert seconds[0].any()
        assert error(seconds[:1], seconds[1:])[0] < 1e-12

    def test_values_changed_in_place_are_noticed(self, case: Case) -> None:
        case.parameters["BETA"].requires_grad_()
        fluxes, _ = scan(*case, backend="fused")
        case.forcing["pet"].add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            fluxes["aet"].sum().backward()


class TestLayouts:
    """Views are read as they lie in memory, whatever their strides."""

    def changed(self, **layouts: Any) -> None:
        case = model_case(MODELS["hbv_1_0"](), (30, 6, 4), dynamic=True)
        expected, _ = scan(*case, backend="fused")
        for name, layout in layouts.items():
            group = case.forcing if name in case.forcing else case.parameters
            group[name] = layout(group[name])
        found, _ = scan(*case, backend="fused")
        assert all(torch.equal(found[n], expected[n]) for n in expected)
        assert_equal(case)

    def test_transposed(self) -> None:
        self.changed(
            pet=lambda x: x.T.contiguous().T,
            BETA=lambda x: x.permute(2, 0, 1).contiguous().permute(1, 2, 0),
            FC=lambda x: x.T.contiguous().T,
        )

    def test_columns_of_a_network(self) -> None:
        self.changed(BETA=lambda x: torch.cat([x, -x, x], -1)[..., :4])

    def test_expanded(self) -> None:
        case = model_case(MODELS["hbv_1_0"](), (30, 6, 4))
        case.parameters["FC"] = case.parameters["FC"].expand(30, 6, 4)
        case.parameters["LP"] = case.parameters["LP"][:1].expand(6, 4)
        case.forcing["pet"] = case.forcing["pet"][:, :1].expand(30, 6)
        assert_equal(case)

    def test_constant_forcing(self) -> None:
        case = model_case(MODELS["hbv_1_0"](), (30, 6, 4))
        case.forcing["pet"] = case.forcing["pet"][0]
        assert_equal(case)

    def test_gradient_that_is_one_number(self) -> None:
        """`sum().backward()` gives an expanded gradient."""
        case = model_case(MODELS["hbv_1_0"](), (30, 1, 1))
        fc = case.parameters["FC"].requires_grad_()
        gradients = [
            torch.autograd.grad(scan(*case, backend=b)[0]["aet"].sum(), fc)[0]
            for b in ("fused", "eager")
        ]
        torch.testing.assert_close(*gradients, rtol=1e-12, atol=0)
