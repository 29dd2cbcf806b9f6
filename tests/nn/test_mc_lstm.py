"""Mass-conserving LSTM: published numbers, conservation, a cell that no gate moves."""

import pytest
import torch

from dmg.nn import Inputs, McLstm
from tests.nn.test_every_network import inputs as random_inputs
from tests.nn.test_networks import fill, inputs

RAIN = torch.tensor([[1.0, 2.0], [0.0, 0.0], [3.0, 1.0], [0.5, 0.0], [2.0, 4.0]])
PUBLISHED = [0.3316890, 0.1094091, 0.5315661, 0.6172929, 1.2810296]
"""Flow of the first basin alone; the published program couples basins of a batch."""


def given() -> Inputs:
    return Inputs(inputs(), torch.zeros(2, 0), physical={"precipitation": RAIN})


def published() -> McLstm:
    net = McLstm(3, 0, hidden_size=4)
    gates = ("output_gate", "input_gate", "redistribution")
    fill(net, [f"{gate}.{kind}" for gate in gates for kind in ("weight", "bias")])
    return net


def test_agrees_with_the_published_program() -> None:
    scores, _ = published()(given())
    expected = torch.tensor(PUBLISHED)
    torch.testing.assert_close(scores.dynamic[:, 0, 0], expected, atol=1e-6, rtol=0)


def test_mass_is_conserved_where_the_published_program_loses_it() -> None:
    """The second basin has a row of zeros in its redistribution."""
    outflows, cells = published()(given())[1], published().outflows(given())
    total = cells[0].sum((0, 2)) + cells[1].sum(-1)
    torch.testing.assert_close(total, RAIN.sum(0), rtol=1e-6, atol=0)
    torch.testing.assert_close(outflows[0], cells[1])


def test_mass_is_conserved_in_float64() -> None:
    torch.manual_seed(0)
    net, some = McLstm(2, 4, hidden_size=6, mass="rain").double(), random_inputs()
    first = torch.rand(3, 6, dtype=torch.float64)
    outflows, cells = net.outflows(some, (first,))
    gain = some.physical["rain"].sum(0) + first.sum(-1)
    torch.testing.assert_close(outflows.sum((0, 2)) + cells.sum(-1), gain, rtol=1e-13, atol=0)
    assert (outflows >= 0).all()
    assert (cells >= 0).all()


def test_a_row_without_weights_keeps_its_water_and_has_a_gradient() -> None:
    net = McLstm(3, 0, hidden_size=4)
    torch.nn.init.constant_(net.redistribution.bias, -100.0)
    outflows, cells = net.outflows(given())
    torch.testing.assert_close(outflows.sum((0, 2)) + cells.sum(-1), RAIN.sum(0))
    outflows.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


def test_its_mass_must_be_there() -> None:
    with pytest.raises(ValueError, match=r"conserves snow, found the forcings \['precipitation'\]"):
        McLstm(3, 0, mass="snow")(given())
