"""Examples in the documentation run as they are printed."""

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"


def run(page: str, number: int = 0) -> dict[str, Any]:
    """Run one of the Python blocks of a page; give its names."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.S)
    names: dict[str, Any] = {"__name__": page}
    exec(blocks[number], names)
    return names


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
