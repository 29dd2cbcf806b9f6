"""Reaches, sums along a network, and how a network is cut up."""

import pytest
import torch

from dmg.data.network import generate
from dmg.routing import Reaches, accumulate
from dmg.routing.sweep import Plan
from tests.routing.networks import FIVE, random_reaches


def reaches(links: list[int]) -> Reaches:
    one = torch.ones(len(links))
    return Reaches(torch.tensor(links), 1000 * one, 0.01 * one)


@pytest.mark.parametrize("backend", ["eager", "fused"])
def test_sums_and_their_gradient(backend: str) -> None:
    values = torch.rand(2, 5, dtype=torch.float64, requires_grad=True)
    matrix = torch.eye(5, dtype=torch.float64)
    for i, down in enumerate(FIVE[:4]):
        matrix[down] += matrix[i]
    found = accumulate(values, reaches([*FIVE]), backend)
    torch.testing.assert_close(found, values @ matrix.T)
    assert torch.autograd.gradcheck(lambda v: accumulate(v, reaches([*FIVE]), backend), values)


def test_a_triangular_solve_equals_a_dense_one() -> None:
    network = random_reaches(60)
    weight, right = torch.rand(2, 60, dtype=torch.float64, requires_grad=True)
    matrix = torch.zeros(60, 60, dtype=torch.float64)
    inner = (network.downstream >= 0).nonzero().squeeze(1)
    matrix[network.downstream[inner], inner] = 1
    dense = torch.linalg.solve(torch.eye(60) - weight.diag() @ matrix, right)
    found = network.levels.solve(weight, right)
    torch.testing.assert_close(found, dense)
    slopes = [
        torch.autograd.grad(x.square().sum(), (weight, right), retain_graph=True)
        for x in (found, dense)
    ]
    torch.testing.assert_close(*slopes)


@pytest.mark.parametrize("backend", ["eager", "fused"])
def test_cycles_are_named(backend: str) -> None:
    network = reaches([1, 2, 3, 1, -1])
    with pytest.raises(ValueError, match="found 3 reaches that flow in a circle: 1 -> 2 -> 3 -> 1"):
        accumulate(torch.ones(5), network, backend)
    long = reaches([*range(1, 50), 0])
    with pytest.raises(ValueError, match=r"found 50 reaches .*: 0 -> 1 -> 2 -> 3 -> 4 -> \.\.\.;"):
        accumulate(torch.ones(50), long, backend)


def test_what_reaches_refuse() -> None:
    one = torch.ones(3)
    links = torch.tensor([1, 2, -1])
    with pytest.raises(ValueError, match=r"slope of reaches: expected \[3\], found \(2,\)"):
        Reaches(links, one, one[:2])
    with pytest.raises(ValueError, match="downstream: expected -1 to 2, found 3 at reach 2"):
        Reaches(torch.tensor([1, 2, 3]), one, one)
    with pytest.raises(ValueError, match="expected another reach, found 1 at reach 1"):
        Reaches(torch.tensor([1, 1, -1]), one, one)
    with pytest.raises(ValueError, match="length: expected more than 0 m, found 0 at reach 1"):
        Reaches(links, torch.tensor([1.0, 0.0, 1.0]), one)
    with pytest.raises(ValueError, match="slope: expected 0 or more, found nan at reach 0"):
        Reaches(links, one, torch.tensor([torch.nan, 0.0, 1.0]))
    with pytest.raises(ValueError, match=r"x: expected 0 to 0\.5, found 0\.7 at reach 0"):
        Reaches(links, one, one, 0.7)


def test_work_grows_linearly_with_the_network() -> None:
    """Slots are what each step computes, crossings what pieces pass on."""
    for num_reaches in (10_000, 20_000, 40_000, 80_000):
        links = torch.from_numpy(generate(num_reaches).downstream)
        plan = Plan(links, torch.float32)
        assert num_reaches <= plan.slots <= 1.2 * num_reaches
        assert plan.rows <= num_reaches / 2000


def test_networks_of_single_reaches() -> None:
    for links in ([-1], [-1] * 40):
        values = torch.rand(len(links))
        assert torch.equal(accumulate(values, reaches(links)), values)
        assert torch.equal(accumulate(values, reaches(links), "eager"), values)
