"""Units through reaches to gauges: volumes, chunks, parameters, gradients."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from dmg.data.drainage import drainage
from dmg.data.network import Network, generate
from dmg.delta import DeltaModel, parameter_map
from dmg.nn import LstmMlp
from dmg.parameters import Parameter
from dmg.phy import MODELS
from dmg.routing import MuskingumCunge, Rivers
from dmg.routing.rivers import of_reaches
from dmg.topology import Channels, Topology
from tests.test_delta import batch, normalizer


def topology(whole: Network) -> Topology:
    """All gauges of a network with all of its units."""
    found = drainage(whole)
    gauges = np.arange(whole.num_gauges)
    pairs = found.pairs(gauges, np.arange(whole.num_units))
    unit, gauge, weight = (torch.from_numpy(a) for a in pairs)
    names = ("downstream", "length", "slope", "unit_reach", "unit_area", "gauge_reach")
    of_network = {name: torch.from_numpy(getattr(whole, name)) for name in names}
    area = torch.from_numpy(found.gauge_area)
    channels = Channels(**of_network, gauge_area=area)
    return Topology(torch.from_numpy(gauges), unit, gauge, weight, channels)


def network() -> Network:
    return generate(40, 1, units_per_reach=2, num_gauges=6)


def values(num_units: int, **given: float) -> dict[str, Tensor]:
    names = {"n": 0.05, "q_spatial": 0.4} | given
    return {n: torch.full((num_units,), v, dtype=torch.float64) for n, v in names.items()}


def rivers() -> Rivers:
    return Rivers(MuskingumCunge(backend="eager"), ("n", "q_spatial")).double()


def runoff(num_steps: int = 12) -> Tensor:
    g = torch.Generator().manual_seed(0)
    return 1 + 4 * torch.rand(num_steps, 80, generator=g, dtype=torch.float64)


def test_steady_runoff_everywhere_is_the_flow_at_every_gauge() -> None:
    flux = torch.full((6, 80), 2.5, dtype=torch.float64)
    found, _ = rivers()({"streamflow": flux}, values(80), topology(network()), {})
    torch.testing.assert_close(found["streamflow"], torch.full((6, 6), 2.5, dtype=torch.float64))


def test_other_fluxes_are_means_over_the_units() -> None:
    at, aet = topology(network()), runoff()
    found, _ = rivers()({"streamflow": runoff(), "aet": aet}, values(80), at, {})
    torch.testing.assert_close(found["aet"], at.mean(aet))
    assert not torch.allclose(found["streamflow"], at.mean(runoff()))


def test_chunks_equal_the_whole() -> None:
    at, routing = topology(network()), rivers()
    whole, _ = routing({"streamflow": runoff()}, values(80), at, {})
    first, state = routing({"streamflow": runoff()[:5]}, values(80), at, {})
    second, _ = routing({"streamflow": runoff()[5:]}, values(80), at, state)
    both = torch.cat([first["streamflow"], second["streamflow"]])
    torch.testing.assert_close(both, whole["streamflow"], rtol=1e-12, atol=1e-12)


def test_a_reach_has_the_mean_parameter_of_its_units() -> None:
    channels = topology(network()).channels
    assert channels is not None
    channels = replace(channels, unit_reach=channels.unit_reach.clamp(max=38))  # 39 has none
    known = Parameter(0.0, 1.0, "1", "a share")
    share = torch.rand(80, dtype=torch.float64)
    found = of_reaches(share, known, channels)
    inside = channels.unit_reach == 7
    area = channels.unit_area[inside]
    torch.testing.assert_close(found[7], (share[inside] * area).sum() / area.sum())
    assert found[39] == 0.5


def test_roughness_is_learned_through_the_rivers() -> None:
    torch.manual_seed(0)
    phy, routing = MODELS["hbv_1_0"](), rivers()
    parameters = parameter_map(phy, None, ["BETA"], 2, None, routing)
    assert parameters.basin_names == ("n", "q_spatial")
    net = LstmMlp(3, 2, parameters.num_dynamic, parameters.num_static, hidden_size=4)
    model = DeltaModel(
        net, phy, None, routing, normalizer=normalizer(2), parameters=parameters
    ).double()
    window = replace(batch(num_steps=20, num_basins=80), topology=topology(network()))
    flow = model(window).fluxes["streamflow"]
    assert flow.shape == (20, 6)
    flow.square().sum().backward()
    of_routing = net.mlp.get_parameter([n for n, _ in net.mlp.named_parameters()][-1]).grad
    assert of_routing is not None and (of_routing[-2:] != 0).all()


def test_a_batch_without_reaches_is_refused() -> None:
    at = replace(topology(network()), channels=None)
    with pytest.raises(ValueError, match="expected a batch with reaches, found none"):
        rivers()({"streamflow": runoff()}, values(80), at, {})


@pytest.mark.parametrize("learned", [("n",), ("n", "q_spatial", "x")])
def test_what_is_learned_is_checked(learned: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \['n', 'q_spatial'\] and any of"):
        Rivers(MuskingumCunge(), learned)
