"""Examples in the documentation run as they are printed."""

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"


def run(page: str, number: int = 0) -> dict[str, Any]:
    """Run one of the Python blocks of a page; give its names."""
    names: dict[str, Any] = {"__name__": page}
    exec(blocks(page)[number], names)
    return names


def run_all(page: str) -> dict[str, Any]:
    """Run the Python blocks of a page one after another; give their names."""
    names: dict[str, Any] = {"__name__": page}
    for block in blocks(page):
        exec(block, names)
    return names


def blocks(page: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.S)


def test_a_loop_within_a_step() -> None:
    names = run("scan.md", 1)
    square, root = names["square"], names["root"]
    assert (root**2 / square - 1).abs().max() < 1e-5
    assert (square.grad * 2 * root - 1).abs().max() < 1e-3


def test_a_model_of_another_domain() -> None:
    names = run("scan.md")
    assert names["fluxes"]["eaten"].shape == (1000, 50, 4)
    gradient = names["parameters"]["attack"].grad
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0
    fluxes, _ = names["scan"](
        names["step"], names["start"], names["forcing"], names["parameters"], backend="eager"
    )
    expected = fluxes["eaten"].detach()
    assert (names["fluxes"]["eaten"] - expected).abs().max() < 1e-3 * expected.abs().max()


def test_hourly_model_from_python() -> None:
    names = run("models/hbv_2_0_hourly.md")
    runoff, routed = names["runoff"], names["routed"]
    assert routed.shape == (48, 1)
    assert runoff.argmax() < routed.argmax()  # delayed
    assert routed.max() < runoff.max()  # and spread


def test_ways_to_couple() -> None:
    names = run_all("coupling.md")
    assert names["flow"].shape == (70, 4)
    assert all(p.grad.abs().sum() > 0 for p in names["bucket"].parameters())
    assert names["both"].shape == (70, 4)
    assert {"hbv_1_0.FC", "hbv_1_1p.FC"} <= names["static"].keys()


def test_networks_are_called_alike() -> None:
    names = run_all("models/networks.md")
    whole = names["scores"].dynamic
    assert (names["later"].dynamic - whole[60:]).abs().max() < 1e-5


def test_a_model_given_as_a_differential_equation() -> None:
    names = run("ode.md")
    assert names["out"].fluxes["streamflow"].shape == (30, 2, 4)
    assert (names["k"].grad > 0).all()


def test_routing_through_a_network() -> None:
    names = run("routing.md")
    discharge, balance = names["discharge"], names["balance"]
    assert discharge.shape == (6, 4)
    assert names["roughness"].grad[3] != 0
    assert discharge[2:].sum() > 2 * discharge[:2].sum()
    assert abs(balance.error) < 0.05 * balance.inflow
