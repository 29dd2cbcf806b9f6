"""`dmg data network`: what a user sees of a good network and of a broken one."""

import sys
from pathlib import Path

import pandas as pd
import pytest
import river_layouts as layouts

from dmg.cli import main
from dmg.config import load_experiment
from dmg.data.network import Network, generate
from dmg.verbs import network_data

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "config/experiments/demo.yaml"
Printed = pytest.CaptureFixture[str]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "n.zarr"


def call(monkeypatch: pytest.MonkeyPatch, out: Path, *arguments: str | Path) -> int:
    """Exit status of `dmg data network`, run in this process."""
    options = [str(a) for a in arguments]
    monkeypatch.setattr(sys, "argv", ["dmg", "data", "network", "--out", str(out), *options])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


def test_a_good_network(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, tmp_path: Path, out: Path
) -> None:
    folder = layouts.write_nhm(tmp_path / "data")
    assert call(monkeypatch, out, "--source", "nhm", "--path", folder) == 0
    assert capsys.readouterr().out.splitlines() == [
        "note: 1 units off the network: 7; their runoff reaches no gauge",
        f"{out}: 5 reaches in 3 levels, 1 outlets, largest river 150 km2; 7 units, 2 gauges",
    ]
    assert Network.read(out).num_reaches == 5


def test_a_broken_network_is_not_written(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, tmp_path: Path, out: Path
) -> None:
    folder = layouts.write_nhm(tmp_path / "data")
    for name, row, value in (("tosegment", 4, 1), ("hru_area", 0, -1.0)):
        table = pd.read_csv(folder / f"{name}.csv")
        table.loc[row, name] = value
        table.to_csv(folder / f"{name}.csv", index=False)
    assert call(monkeypatch, out, "--source", "nhm", "--path", folder) == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "problem: 3 reaches that flow in a circle: 1, 3, 5; let one of them leave it",
        "problem: 1 units of negative or unknown area: 1; mend them at the source",
    ]
    assert not out.exists()


def test_a_generated_dataset(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, tmp_path: Path, out: Path
) -> None:
    generate(50).write(tmp_path / "network.zarr")
    assert call(monkeypatch, out, "--source", "synthetic_network", "--path", tmp_path) == 0
    assert "50 reaches in" in capsys.readouterr().out


def test_what_to_read_must_be_said(
    monkeypatch: pytest.MonkeyPatch, capsys: Printed, out: Path
) -> None:
    assert call(monkeypatch, out, "--source", "nhm") == 1
    expected = "dmg: error: network: expected --config, or --source and --path"
    assert capsys.readouterr().err.startswith(expected)


def test_an_experiment_of_gauged_basins_has_no_network(tmp_path: Path, out: Path) -> None:
    with pytest.raises(ValueError, match="expected one with a river network, found camels_us"):
        network_data(load_experiment(DEMO), tmp_path, out)
