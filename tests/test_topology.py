"""From units to gauges: weights, nested gauges, streams, training in parts."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from dmg.batch import Batch
from dmg.data.drainage import Drainage
from dmg.delta import DeltaModel
from dmg.gradient import add_gradient
from dmg.losses import RmseComb
from dmg.topology import Topology
from tests.data.test_drainage import river
from tests.test_delta import batch, model


def topology(gauges: list[int], drainage: Drainage | None = None) -> Topology:
    found = drainage or river()
    units = found.units(gauges)
    unit, gauge, weight = (torch.from_numpy(a) for a in found.pairs(gauges, units))
    return Topology(torch.tensor(gauges), unit, gauge, weight)


def at_gauges(num_steps: int = 40) -> Batch:
    """Six units with four gauges, three of them nested."""
    whole = batch(num_basins=6, num_steps=num_steps)
    return replace(whole, topology=topology([0, 1, 2, 3]))


def part(whole: Batch, gauges: list[int]) -> Batch:
    """Some gauges of a batch, with their units only."""
    units = torch.from_numpy(river().units(gauges))
    assert whole.target is not None
    return replace(
        whole,
        forcing={name: series[:, units] for name, series in whole.forcing.items()},
        attributes=whole.attributes[units],
        target=whole.target[:, gauges],
        time=whole.time[units],
        rows=whole.rows[units],
        topology=topology(gauges),
    )


def test_equal_runoff_everywhere_is_the_flow_at_every_gauge() -> None:
    runoff = torch.rand(30, 1).expand(30, 6)
    flow = topology([0, 1, 2, 3]).mean(runoff)
    torch.testing.assert_close(flow, runoff[:, :4])


def test_a_gauge_has_the_weighted_mean_of_its_units() -> None:
    runoff = torch.rand(5, 6, dtype=torch.float64)
    found = river()
    flow = topology([2, 0, 3]).mean(runoff)  # the units of gauge 2 are those of gauge 0 and more
    for column, gauge in enumerate([2, 0, 3]):
        units = found.units([gauge])
        area = torch.from_numpy(found.area[units])
        expected = (runoff[:, units] * area).sum(1) / area.sum()
        torch.testing.assert_close(flow[:, column], expected)


def test_a_model_gives_fluxes_at_gauges() -> None:
    window = at_gauges()
    units = model()(replace(window, topology=None)).fluxes["streamflow"]
    assert window.topology is not None
    flow = model()(window).fluxes["streamflow"]
    torch.testing.assert_close(flow, window.topology.mean(units))


def test_chunks_equal_the_whole() -> None:
    window, net = at_gauges(), model().eval()
    state = net.resolve(window)._replace(nn=())
    whole = net(window, state).fluxes["streamflow"]
    first = net(window.slice(0, 17), state)
    second = net(window.slice(17), first.state).fluxes["streamflow"]
    torch.testing.assert_close(torch.cat([first.fluxes["streamflow"], second]), whole)


def gradient(net: DeltaModel, pieces: list[Batch]) -> Tensor:
    net.zero_grad()
    add_gradient(net, RmseComb(), pieces, "streamflow")
    return torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])


@pytest.mark.parametrize("parts", [[[0, 1, 2], [3]], [[0], [1, 3], [2]]])
def test_the_gradient_of_parts_is_that_of_the_whole(parts: list[list[int]]) -> None:
    """Nested gauges may share a part or not, and a unit may be in several."""
    window = replace(at_gauges(), target=torch.rand(40, 4, dtype=torch.float64), seed=5)
    whole = gradient(model(dynamic_dropout=0.5), [window])
    pieces = gradient(model(dynamic_dropout=0.5), [part(window, gauges) for gauges in parts])
    torch.testing.assert_close(pieces, whole, rtol=1e-10, atol=1e-14)


def test_rows_of_the_target_are_those_of_the_gauges() -> None:
    assert part(replace(at_gauges(), target=torch.rand(40, 4)), [3, 0]).observed.tolist() == [3, 0]
    assert np.array_equal(batch(num_basins=2).observed, batch(num_basins=2).basin)
