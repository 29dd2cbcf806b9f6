"""Maps of river networks."""

import io
import time

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from dmg.data.network import Network, generate
from dmg.plots import Panel, Rivers, river_map


def rivers(network: Network) -> Rivers:
    return Rivers(
        network.longitude, network.latitude, network.downstream, network.length, network.area
    )


def lines(figure: Figure) -> LineCollection:
    return next(c for c in figure.axes[0].collections if isinstance(c, LineCollection))


@pytest.fixture(scope="module")
def network() -> Network:
    return generate(500, seed=1, num_outlets=4)


def test_a_line_to_the_next_reach_for_each_but_the_outlets(network: Network) -> None:
    figure = river_map(rivers(network), Panel("NSE", "1", np.ones(500), 0, 1))
    segments = lines(figure).get_segments()
    inner = np.flatnonzero(network.downstream >= 0)
    assert len(segments) == len(inner)
    ends = {tuple(np.round(segment.ravel(), 9)) for segment in segments}
    first = inner[0]
    ahead = network.downstream[first]
    expected = [network.longitude[first], network.latitude[first],
                network.longitude[ahead], network.latitude[ahead]]  # fmt: skip
    assert tuple(np.round(expected, 9)) in ends
    assert lines(figure).get_rasterized()


def test_large_rivers_are_thick_and_on_top(network: Network) -> None:
    widths = lines(river_map(rivers(network), Panel("A", "km2", network.area, 10, 1e5))).get_lw()
    assert (np.diff(widths) >= 0).all()
    assert widths[-1] > 2 * widths[0]


def test_reaches_without_place_or_value_do_not_stop_the_map(network: Network) -> None:
    lost = rivers(network)._replace(
        longitude=np.where(network.area < 50, np.nan, network.longitude)
    )
    values = np.where(network.area < 200, np.nan, 0.5)
    drawn = lines(river_map(lost, Panel("NSE", "1", values, 0, 1)))
    assert 0 < len(drawn.get_segments()) < 490
    assert np.ma.getmaskarray(drawn.get_array()).any()


def test_a_link_over_mountains_is_not_drawn(network: Network) -> None:
    headwater = int(network.area.argmin())
    far = network.latitude.copy()
    far[headwater] += 5
    drawn = lines(river_map(rivers(network)._replace(latitude=far), Panel("A", "1", far, 0, 1)))
    assert len(drawn.get_segments()) == (network.downstream >= 0).sum() - 1


def test_flow_by_its_logarithm_and_gauges_on_top(network: Network) -> None:
    at = network.gauge_reach
    gauges = (
        network.longitude[at],
        network.latitude[at],
        Panel("KGE", "1", np.ones(len(at)), 0, 1),
    )
    flow = Panel("Flow", "m3 s-1", network.area - network.area.min(), 0.1, 1e3)  # one has none
    figure = river_map(rivers(network), flow, logarithmic=True, gauges=gauges)
    labels = [ax.get_ylabel() for ax in figure.axes]
    assert labels == ["", "Flow [m³ s⁻¹]", "KGE [1]"]
    same = (*gauges[:2], gauges[2]._replace(name="Flow"))
    assert len(river_map(rivers(network), flow, logarithmic=True, gauges=same).axes) == 2


@pytest.mark.slow
def test_180_000_reaches_in_seconds() -> None:
    large = generate(180_000, seed=1)
    begin = time.process_time()
    figure = river_map(rivers(large), Panel("A", "km2", large.area, 10, 1e6), logarithmic=True)
    figure.savefig(io.BytesIO(), dpi=200, format="png")
    assert time.process_time() - begin < 20  # 4 s
