"""The look of all figures, and how they become files."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import numpy as np
import numpy.typing as npt
from matplotlib import rc_context
from matplotlib.figure import Figure

Array = npt.NDArray[np.float64]
P = ParamSpec("P")

INK, GREY, RAIN = "#1b1f24", "#8a9099", "#6ba4d6"
COLOURS = ["#1f5a96", "#d1762a", "#3f8f6b", "#8a5aa0", "#b03a48", "#6b7280", "#a38a2b", "#2b9fa3"]
STYLE: Any = {  # matplotlib types its keys as a closed list
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.wspace": 0.05,
    "font.size": 9,
    "grid.color": "#e4e7eb",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "svg.fonttype": "path",
    "svg.hashsalt": "dmg",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}
WIDTH = 7.6  # [inch]
RASTER = 130  # of what is not drawn as paths [dots per inch]


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Draw in the style of this module, whatever the user's matplotlib settings."""

    @wraps(draw)
    def inner(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with rc_context(STYLE):
            return draw(*args, **kwargs)

    return inner


def svg(figure: Figure) -> bytes:
    """Return the figure as SVG; equal figures give equal bytes."""
    buffer = io.BytesIO()
    with rc_context(STYLE):
        metadata = {"Date": None, "Creator": None}
        figure.savefig(buffer, format="svg", dpi=RASTER, metadata=metadata)
    return buffer.getvalue()


def unit_text(unit: str) -> str:
    """Print a CF unit with raised exponents: `mm d-1` as `mm d⁻¹`, `degC` as `°C`."""
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    text = re.sub(r"(?<=[a-zA-Z])-?\d", lambda m: m[0].translate(raised), unit)
    return text.replace("degC", "°C")
