"""Maps from files."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from dmg.data.network import Network, first_below, generate
from dmg.data.zarrs import consolidate
from dmg.report import rivers as maps
from dmg.report.rivers import draw_rivers


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("network") / "network.zarr"
    generate(300, seed=1, num_gauges=20).write(path)
    return path


@pytest.fixture
def scores(network: Path, tmp_path: Path) -> Path:
    gauges = Network.read(network).gauge_id[:8]
    table = pd.DataFrame({"basin_id": gauges, "fold": "all", "seed": "seed0", "reason": ""})
    table.assign(nse=np.linspace(0.1, 0.8, 8), fhv=-20.0).to_csv(tmp_path / "s.csv", index=False)
    return tmp_path / "s.csv"


def write_flow(path: Path, num_reaches: int) -> Path:
    flow = np.arange(1.0, 71.0)[:, None] * np.arange(num_reaches, dtype=np.float32)
    xr.Dataset({"discharge": (("time", "reach"), flow)}).to_zarr(path, consolidated=False)
    consolidate(path)
    return path


def drawn(monkeypatch: pytest.MonkeyPatch, *arguments: Path, **options: Path | str) -> list[object]:
    """What reaches and gauges of the map are coloured by."""
    seen: list[object] = []
    real = maps.river_map

    def spy(lines, panel, *, logarithmic, gauges):
        seen.extend([panel, gauges])
        return real(lines, panel, logarithmic=logarithmic, gauges=gauges)

    monkeypatch.setattr(maps, "river_map", spy)
    draw_rivers(*arguments, **options, dpi=50)
    return seen


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_drainage_area(network: Path, tmp_path: Path, suffix: str) -> None:
    draw_rivers(network, tmp_path / f"map{suffix}", dpi=50)
    assert (tmp_path / f"map{suffix}").stat().st_size > 5000


def test_reaches_have_the_score_of_the_gauge_below(
    monkeypatch: pytest.MonkeyPatch, network: Path, scores: Path, tmp_path: Path
) -> None:
    panel, (_, _, points) = drawn(monkeypatch, network, tmp_path / "map.png", scores=scores)
    rivers = Network.read(network)
    at = rivers.gauge_reach[:8]
    np.testing.assert_allclose(panel.values[at], np.linspace(0.1, 0.8, 8))
    np.testing.assert_allclose(points.values[:8], np.linspace(0.1, 0.8, 8))
    assert np.isnan(points.values[8:]).all()
    has_one = first_below(rivers.downstream, np.isin(np.arange(300), at)) >= 0
    assert (np.isfinite(panel.values) == has_one).all()
    assert (panel.name, panel.lower, panel.upper) == ("NSE", 0, 1)


def test_mean_flow_with_scores_on_top(
    monkeypatch: pytest.MonkeyPatch, network: Path, scores: Path, tmp_path: Path
) -> None:
    flow = write_flow(tmp_path / "flow.zarr", 300)
    out = tmp_path / "map.png"
    panel, (_, _, points) = drawn(monkeypatch, network, out, scores=scores, flow=flow, metric="fhv")
    np.testing.assert_allclose(panel.values, 35.5 * np.arange(300))
    assert (panel.unit, points.name, points.unit) == ("m3 s-1", "FHV", "%")


def test_what_does_not_fit_the_network(network: Path, scores: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.png"
    with pytest.raises(ValueError, match="expected a metric out of nse, fhv, found 'kge'"):
        draw_rivers(network, out, scores=scores, metric="kge")
    with pytest.raises(ValueError, match="expected discharge of 300 reaches, found 7"):
        draw_rivers(network, out, flow=write_flow(tmp_path / "flow.zarr", 7))
    with pytest.raises(ValueError, match="expected discharge of reach and time, found none"):
        draw_rivers(network, out, flow=network)
    table = pd.read_csv(scores).assign(basin_id="elsewhere")
    table.to_csv(scores, index=False)
    with pytest.raises(ValueError, match="found none, for example elsewhere"):
        draw_rivers(network, out, scores=scores)
    assert not out.exists()
