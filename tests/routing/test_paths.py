"""A unit hydrograph for each pair of a gauge and a unit: delays, volumes, chunks, gradients."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dmg.delta import DeltaModel, parameter_map
from dmg.nn import LstmMlp
from dmg.phy import MODELS
from dmg.routing import Paths, UnitHydrograph
from dmg.topology import Topology
from tests.routing.test_rivers import network, runoff
from tests.routing.test_rivers import topology as of_network
from tests.test_delta import batch, normalizer

DAY = 86400.0


def topology(distance: float | None = None) -> Topology:
    """Six gauges, some of them nested, and 80 units up to 400 km away, or all equally far."""
    at = of_network(network())
    far = torch.rand(len(at.pair_unit), generator=torch.Generator().manual_seed(1)).double() * 4e5
    return replace(at, pair_distance=far if distance is None else torch.full_like(far, distance))


def parameters(**given: float) -> dict[str, Tensor]:
    values = {"route_a": 1.4, "route_b": 1.0, "velocity": 1.0, "spread": 0.3} | given
    return {n: torch.full((80,), v, dtype=torch.float64) for n, v in values.items()}


def varied() -> dict[str, Tensor]:
    """Parameters that differ from unit to unit."""
    g = torch.Generator().manual_seed(2)
    known = Paths().PARAMETERS
    return {n: p.value(torch.randn(80, generator=g).double()) for n, p in known.items()}


@pytest.mark.parametrize(("distance", "spread"), [(0.0, 0.7), (1.7 * DAY, 0.0), (2.3 * DAY, 0.5)])
def test_equally_far_units_have_the_unit_hydrograph_of_each(distance: float, spread: float) -> None:
    at, q, lag = topology(distance), runoff(40), distance / DAY
    found, _ = Paths(15, 5.0)({"streamflow": q}, parameters(spread=spread), at, {})
    of_units = {"route_a": 1.4, "route_b": 1.0 + spread * lag, "route_lag": lag}
    routed, _ = UnitHydrograph(15, max_lag=5.0)(
        q, {n: torch.full((80,), v, dtype=torch.float64) for n, v in of_units.items()}
    )
    torch.testing.assert_close(found["streamflow"], at.mean(routed), rtol=1e-12, atol=0)


def test_water_from_farther_away_is_later_by_the_time_of_its_way() -> None:
    at, paths = topology(), Paths(15, 10.0)
    of_pairs = paths.of_pairs(parameters(spread=0.0, velocity=2.0), at)
    assert at.pair_distance is not None
    arrival = torch.arange(paths.unit_hydrograph.length).double() @ (
        paths.unit_hydrograph.ordinates(of_pairs)
    )
    torch.testing.assert_close(arrival - arrival.min(), _less_least(at.pair_distance / 2 / DAY))


def _less_least(values: Tensor) -> Tensor:
    return values - values.min()


def test_the_longest_lag_bounds_the_delay() -> None:
    of_pairs = Paths(15, 3.0).of_pairs(parameters(velocity=0.1), topology(1e9))
    assert (of_pairs["route_lag"] == 3.0).all()


def test_no_water_is_lost() -> None:
    at, paths, q = topology(), Paths(15, 8.0), runoff(50)
    routed, state = paths({"streamflow": q}, varied(), at, {})
    left = paths.unit_hydrograph.in_transit(paths.of_pairs(varied(), at), state["paths"])
    total = routed["streamflow"].sum(0) + at.mean_of_pairs(left.unsqueeze(0))[0]
    torch.testing.assert_close(total, at.mean(q).sum(0), rtol=1e-12, atol=0)


@pytest.mark.parametrize("split", [1, 9, 30])
def test_chunks_equal_the_whole(split: int) -> None:
    at, paths, q = topology(), Paths(), runoff(40)
    whole, _ = paths({"streamflow": q}, varied(), at, {})
    first, state = paths({"streamflow": q[:split]}, varied(), at, {})
    second, _ = paths({"streamflow": q[split:]}, varied(), at, state)
    assert torch.equal(torch.cat([first["streamflow"], second["streamflow"]]), whole["streamflow"])


def test_other_fluxes_are_means_over_the_units() -> None:
    at, aet = topology(), runoff()
    found, _ = Paths()({"streamflow": runoff(), "aet": aet}, varied(), at, {})
    torch.testing.assert_close(found["aet"], at.mean(aet))
    alone, state = Paths()({"aet": aet}, varied(), at, {})
    assert list(alone) == ["aet"] and not state


def test_gradients_are_correct() -> None:
    whole, paths = topology(), Paths(4, 3.0)
    few = whole.pair_unit < 3  # so that the check is quick
    names = ("pair_unit", "pair_gauge", "pair_weight", "pair_distance")
    at = replace(whole, **{n: getattr(whole, n)[few] for n in names})
    values = {n: v[:3].clone().requires_grad_() for n, v in varied().items()}

    def routed(q: Tensor, *of_units: Tensor) -> Tensor:
        given = dict(zip(values, of_units, strict=True))
        return paths({"streamflow": q}, given, at, {})[0]["streamflow"]

    assert torch.autograd.gradcheck(routed, (runoff(8)[:, :3].requires_grad_(), *values.values()))


def test_velocity_is_learned_from_the_flow_at_gauges() -> None:
    torch.manual_seed(0)
    phy, paths = MODELS["hbv_1_0"](), Paths()
    known = parameter_map(phy, None, ["BETA"], 2, None, paths)
    assert known.basin_names == ("route_a", "route_b", "velocity", "spread")
    net = LstmMlp(3, 2, known.num_dynamic, known.num_static, hidden_size=4)
    model = DeltaModel(net, phy, None, paths, normalizer=normalizer(2), parameters=known).double()
    window = replace(batch(num_steps=20, num_basins=80), topology=topology())
    flow = model(window).fluxes["streamflow"]
    assert flow.shape == (20, 6)
    flow.square().sum().backward()
    of_paths = net.mlp.get_parameter([n for n, _ in net.mlp.named_parameters()][-1]).grad
    assert of_paths is not None and (of_paths[-4:] != 0).all()


@pytest.mark.parametrize(("distance", "found"), [(None, "none"), (float("nan"), "NaN")])
def test_unknown_distances_are_refused(distance: float | None, found: str) -> None:
    at = replace(topology(), pair_distance=None) if distance is None else topology(distance)
    with pytest.raises(ValueError, match=f"distance from each unit to its gauges, found {found}"):
        Paths()({"streamflow": runoff()}, varied(), at, {})
